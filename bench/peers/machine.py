"""What the figures were measured on, and how busy it was."""

import os
import pathlib
import platform
import shutil
import subprocess
import time


def _first(path, key):
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[-1].split("=", 1)[-1].strip().strip('"')
    except OSError:
        pass
    return "unknown"


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def _disk(folder):
    """File system and device below a folder."""
    words = _output("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", str(folder)).split()
    if len(words) < 2:
        return {"file_system": "unknown"}
    found = {"device": words[0], "file_system": words[1], "options": " ".join(words[2:])}
    name = pathlib.Path(words[0]).name
    for candidate in (name, name.rstrip("0123456789"), name.rstrip("0123456789").rstrip("p")):
        queue = pathlib.Path("/sys/block", candidate, "queue")
        if queue.is_dir():
            for key in ("write_cache", "rotational", "scheduler"):
                file = queue / key
                found[key] = file.read_text().strip() if file.exists() else "unknown"
            break
    found["free_bytes"] = shutil.disk_usage(folder).free
    return found


def fingerprint(folder):
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "system": _first("/etc/os-release", "PRETTY_NAME"),
        "disk": _disk(folder),
        "python": platform.python_version(),
    }


def _cpu_times():
    first = pathlib.Path("/proc/stat").read_text().split("\n")[0]
    fields = [int(word) for word in first.split()[1:]]
    idle = fields[3] + fields[4]
    return sum(fields[:8]), idle, fields[7]


def load(seconds=0.3):
    """How busy the machine is while we do nothing: the load average still holds our own past."""
    total, idle, steal = _cpu_times()
    time.sleep(seconds)
    total_now, idle_now, steal_now = _cpu_times()
    span = max(1, total_now - total)
    return {"load1": round(os.getloadavg()[0], 2),
            "busy_percent": round(100 * (1 - (idle_now - idle) / span)),
            "steal_percent": round(100 * (steal_now - steal) / span)}


def descendants(pid):
    """A process and all below it."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def usage(pid):
    """CPU seconds and resident bytes of a process and all below it. What has ended and was waited
    for is in its parent's count."""
    ticks, resident = 0, 0
    for one in descendants(pid):
        try:
            stat = pathlib.Path("/proc", str(one), "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(word) for word in stat[11:15])
        resident += int(stat[21]) * os.sysconf("SC_PAGE_SIZE")
    return {"cpu_seconds": ticks / os.sysconf("SC_CLK_TCK"), "resident_bytes": resident}


def shared_out_bytes(pid):
    """Resident bytes of a process and all below it, where shared pages count once."""
    total = 0
    for one in descendants(pid):
        for line in _lines_of(f"/proc/{one}/smaps_rollup"):
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _lines_of(path):
    try:
        return pathlib.Path(path).read_text().splitlines()
    except OSError:
        return []


def tree_bytes(folder):
    """Bytes that the files below a folder take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in pathlib.Path(folder).rglob("*")
               if path.is_file() and not path.is_symlink())
