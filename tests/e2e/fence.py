"""Goal:   damage in sealed data fences its partition and nothing else: its tenants are told which
        file and where, the others are answered, the daemon runs on; a worker that cannot tell
        whether an event is a repeat waits and says so; after `venturi repair` all goes on by
        itself, with the answers that were there before.
Method: eight tenants in sealed segments and a second copy; a byte of a chosen kind of chunk is
        flipped under the running daemon, then repaired.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import _daemon
from _daemon import CATALOG, ROWS, event, frame, hello

TENANTS = [f"tenant-{i}" for i in range(8)]
EVENTS = 400
FRAMES = 24
CELLS, IDS = 9, 8  # kinds of chunks: engine/sealed_format.h

problems = []


def check(truth, what):
    if not truth:
        problems.append(what)


def venturi(*arguments):
    return subprocess.run([os.path.join(_daemon.BUILD, "venturi"), *arguments],
                          capture_output=True, text=True, timeout=120, check=False)


def get(daemon, path):
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http}{path}",
                                     headers={"Authorization": "Bearer " + daemon.token().decode()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def send(daemon, tenant, numbers, wait=30):
    """What is said to one frame; None where nothing is in time."""
    peer = _daemon.Peer(daemon.port, hello(daemon.token()))
    peer.says()
    payload = b"".join(event(n, tenant) for n in numbers)
    peer.socket.settimeout(wait)
    peer.send(frame(ROWS, payload, 1, events=len(numbers)))
    try:
        return peer, peer.says()
    except TimeoutError:
        return peer, None


def answers(daemon):
    return {tenant: get(daemon, f"/v1/windows?tenant={tenant}") for tenant in TENANTS}


def flip(daemon, kind):
    """A byte of a chunk of the first segment that has one; gives file, offset, partition."""
    for path in sorted(glob.glob(os.path.join(daemon.data, "segments", "*.vseg"))):
        lines = venturi("inspect", "--data", daemon.data, path).stdout.splitlines()
        for chunk in map(json.loads, lines):
            if chunk.get("chunk_kind") == kind and chunk["stored_bytes"] > 4:
                with open(path, "r+b") as stream:
                    stream.seek(chunk["offset"] + 2)
                    byte = stream.read(1)[0]
                    stream.seek(chunk["offset"] + 2)
                    stream.write(bytes([byte ^ 16]))
                return path, chunk["offset"], int(re.search(r"-(\d{3})[.-]", path)[1])
    raise AssertionError("no such chunk")


def repair(daemon, copy):
    done = venturi("repair", "--data", daemon.data, "--from", copy)
    check(done.returncode == 0 and "repaired 1, left 0" in done.stdout,
          f"repair: {done.returncode} {done.stdout}{done.stderr}")


def reader_meets_it(daemon, copy):
    before = answers(daemon)
    path, offset, partition = flip(daemon, CELLS)
    after = answers(daemon)
    fenced = [tenant for tenant in TENANTS if after[tenant][0] != 200]
    check(0 < len(fenced) < len(TENANTS), f"{len(fenced)} of {len(TENANTS)} tenants are fenced")
    for tenant in TENANTS:
        status, text = after[tenant]
        if tenant not in fenced:
            check(after[tenant] == before[tenant], f"{tenant} has another answer")
            continue
        problem = json.loads(text)
        check(status == 503 and problem["code"] == "VT_FENCED" and problem["retry"],
              f"{tenant}: {status} {text}")
        for word in (f"partition {partition} ", path, f"offset {offset}"):
            check(word in problem["detail"], f"{tenant}: {problem['detail']} does not say {word}")
    check(get(daemon, "/v1/windows")[0] == 503, "all windows, but some are fenced")
    check(get(daemon, "/v1/summary")[0] == 200, "counters need no sealed data")
    check("ready, but partition" in get(daemon, "/readyz")[1], "/readyz says nothing")
    check("\nventuri_fenced_partitions 1\n" in get(daemon, "/metrics")[1], "metrics")
    said = send(daemon, fenced[0], [900001])[1]
    check(said == "VT_FENCED", f"a frame for the fenced partition: {said}")
    other = next(tenant for tenant in TENANTS if tenant not in fenced)
    check(send(daemon, other, [900002])[1] == "ack 1/1", "a frame for another partition")
    repair(daemon, copy)
    check(get(daemon, "/readyz")[1] == "ready\n", "/readyz after the repair")
    check(get(daemon, f"/v1/windows?tenant={fenced[0]}") == before[fenced[0]],
          "another answer after the repair")
    check(send(daemon, fenced[0], [900001])[1] == "ack 1/1", "a frame after the repair")


def worker_meets_it(daemon, copy):
    _, _, partition = flip(daemon, IDS)
    peers = []
    waits = False
    # Which tenant lives in the partition follows from a key: one of them does.
    for tenant in TENANTS:
        peer, said = send(daemon, tenant, range(FRAMES * EVENTS // 2), wait=1)
        peers.append((peer, said))
        if said is None:
            waits = True
            break
    check(waits, "no worker met the damage")
    status, text = get(daemon, "/readyz")
    check(status == 503 and f"partition {partition} " in text, f"/readyz: {status} {text}")
    check(get(daemon, "/v1/windows")[0] == 503, "a view while a worker waits")
    check(send(daemon, TENANTS[0], [900010], wait=5)[1] == "VT_FENCED", "a frame meanwhile")
    repair(daemon, copy)
    peer = peers[-1][0]
    peer.socket.settimeout(30)
    said = peer.says()
    check(said.startswith("ack 0/"), f"after the repair: {said}")
    check(get(daemon, "/readyz") == (200, "ready\n"), "/readyz after the repair")


def stopped_while_it_waits(daemon, copy):
    """It ends with the reason; the next start names it as well, and a repair makes it start."""
    flip(daemon, IDS)
    for tenant in TENANTS:
        if send(daemon, tenant, range(FRAMES * EVENTS // 2), wait=1)[1] is None:
            break
    daemon.process.terminate()
    check(daemon.process.wait(timeout=60) == 1, "a stop while a worker waits")
    done = subprocess.run([os.path.join(_daemon.BUILD, "venturid"), "--data", daemon.data,
                           "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 1 and ".vseg" in done.stderr, f"a start: {done.stderr}")
    repair(daemon, copy)
    daemon.start()
    check(get(daemon, "/readyz") == (200, "ready\n"), "/readyz after the start")


def main():
    catalog = dict(CATALOG, tenants=[{"key": tenant, "name": tenant} for tenant in TENANTS])
    with _daemon.Daemon(catalog, "--cut-bytes", "1M", "--lane-bytes", "16M") as daemon:
        copy = daemon.data + ".copy"
        daemon.start()
        for number in range(FRAMES):
            first = number * EVENTS
            for tenant in TENANTS:
                said = send(daemon, tenant, range(first, first + EVENTS))[1]
                check(said == f"ack {EVENTS}/{EVENTS}", f"{tenant}: {said}")
        time.sleep(1)
        daemon.stop()  # what is cut is sealed
        daemon.start()
        done = venturi("backup", "--data", daemon.data, "--to", copy)
        check(done.returncode == 0, f"backup: {done.stderr}")
        reader_meets_it(daemon, copy)
        worker_meets_it(daemon, copy)
        stopped_while_it_waits(daemon, copy)
        daemon.stop()
        check(venturi("verify", "--data", daemon.data).returncode == 0, "verify at the end")
        shutil.rmtree(copy)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
