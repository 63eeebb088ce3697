"""Venturi, by its own programs: the same path that a user takes."""

import collections
import json
import re
import resource
import subprocess

import events


def _run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} {command[1]}: {done.stderr.strip()[-300:]}")
    return done


def _ingest(context):
    return json.loads(_run(
        context.build / "venturi", "bench", "ingest", "--events", context.events.count,
        "--batch", context.batch, "--ids", context.events.kind, "--start-us", context.start_us,
        "--data", context.dir / "store", "--json").stdout.splitlines()[-1])


def _lines(context):
    """Quantities by tenant, and by tenant and type, from the log alone."""
    store = context.dir / "store"
    done = _run(context.build / "venturi", "replay", "--data", store,
                "--catalog", store / "bench-catalog.json")
    sums, cells = collections.Counter(), collections.Counter()
    for line in done.stdout.splitlines():
        row = json.loads(line)
        quantity = int(row["quantity"])
        sums[row["tenant"]] += quantity
        cells[row["tenant"], "use-" + row["charge"].removeprefix("charge-")] += quantity
    rows = int(re.search(r"rows (\d+)", done.stderr).group(1))
    return rows, sums, cells


def ingest(context):
    told = _ingest(context)
    rows, sums, _ = _lines(context)
    return {"seconds": told["events"] / told["events_per_second"],
            "client_cpu_seconds": told["client_cpu_seconds"],
            "server_cpu_seconds": told["daemon_cpu_seconds"],
            "ack_us_p50": told["ack_us_p50"], "ack_us_p99": told["ack_us_p99"],
            "distinct": rows, "sums": context.events.sums(sums)}


def _disk_bytes(folder):
    """All files but the lanes, or nothing before the first cut: then all ids stand in the lanes,
    whose size says nothing of them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not any(path.parent.name == "segments" for path in files):
        return None
    return sum(path.stat().st_size for path in files if not path.name.startswith("lane-"))


def ids(context):
    """Whole events with random ids through the daemon, which has no store of ids alone: by `venturi
    bench dedup`, and by `bench ingest`, without repeats, where a build lacks that."""
    folder = context.dir / "store"
    done = subprocess.run(
        [context.build / "venturi", "bench", "dedup", "--ids", str(context.count), "--repeats",
         str(min(context.count, 1_000_000)), "--data", folder, "--json"], capture_output=True,
        text=True)
    if done.returncode == 2:
        return _ids_by_ingest(context, folder)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-300:])
    told = json.loads(done.stdout.splitlines()[-1])
    first, _, warm = told["passes"][:3]
    return {"insert_seconds": first["seconds"], "insert_cpu_seconds": first["daemon_cpu_seconds"],
            "inserted": told["ids"], "not_new": first["events"] - told["ids"],
            "repeat_seconds": warm["seconds"], "repeats": warm["events"], "found": warm["events"],
            "resident_bytes": told["resident_bytes_per_id"] * told["ids"],
            "disk_bytes": _disk_bytes(folder)}


def _ids_by_ingest(context, folder):
    done = _run(context.build / "venturi", "bench", "ingest", "--events", context.count,
                "--batch", context.batch, "--ids", "uuid", "--data", folder, "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    memory = re.search(r"peak memory (\d+) MiB", done.stdout)
    return {"insert_seconds": told["events"] / told["events_per_second"],
            "insert_cpu_seconds": told["daemon_cpu_seconds"] + told["client_cpu_seconds"],
            "inserted": told["events"] - told["repeats"],
            "not_new": told["repeats"],
            "resident_bytes": int(memory.group(1)) << 20,
            "disk_bytes": _disk_bytes(folder)}


def _sealed_rows(context, position):
    """Distinct ids among the first events: what the segments hold of this workload."""
    prefix = events.Events(context.events.path, context.events.kind, max(1, position))
    return len({row[0] for row in prefix.rows()}) if position else 0


def store(context):
    folder = context.dir / "store"
    if context.phase == "load":
        _ingest(context)
        rows, sums, _ = _lines(context)
        head = json.loads(subprocess.Popen(
            [context.build / "venturi", "inspect", "--data", folder], stdout=subprocess.PIPE,
            text=True).stdout.readline())
        files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        lanes = sum(size for path, size in files.items() if path.name.startswith("lane-"))
        segments = sum(size for path, size in files.items() if path.parent.name == "segments")
        sealed = _sealed_rows(context, head["sealed_position"])
        return {"bytes": segments, "bytes_rows": sealed, "fixed_bytes": lanes,
                "other_bytes": sum(files.values()) - lanes - segments,
                "segments": head["segments"], "distinct": rows, "sums": context.events.sums(sums)}
    told = json.loads(_run(context.build / "venturi", "bench", "replay", "--data", folder,
                           "--threads", context.threads, "--runs", 3,
                           "--json").stdout.splitlines()[-1])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the whole command: opening the store, one run to warm up and three that count.
    spent = (used.ru_utime + used.ru_stime) / 4
    rows, sums, cells = _lines(context)
    names = context.events.names
    return {"seconds": told["rows"] / told["events_per_second"], "cpu_seconds": spent,
            "distinct": rows,
            "cells": [cells[tenant, kind] for tenant in names["tenants"]
                      for kind in names["types"]]}
