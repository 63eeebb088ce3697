"""Goal:   a daemon merges its segments while it takes events, and nobody can tell: a tool reading
        beside it, a second start, a sender that repeats what stands in a merged segment.
Method: small cuts, until the metrics tell of some merges; venturi verify beside the daemon at any
        moment, and after its stop; the files are those that venturi inspect names.
"""

import glob
import json
import os
import subprocess
import sys
import time
import urllib.request

import _daemon

EVENTS = 200  # a frame
MERGES = 4
SECONDS_MAX = 90


def venturi(*words):
    """Its output; it may find nothing amiss."""
    run = subprocess.run([os.path.join(_daemon.BUILD, "venturi"), *words], capture_output=True,
                         text=True, check=False)
    if run.returncode != 0:
        print(run.stdout, run.stderr)
        daemon.fail(f"venturi {' '.join(words)} ends with {run.returncode}")
    return run.stdout


def metrics():
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.http}/metrics",
        headers={"Authorization": "Bearer " + daemon.token().decode()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines()
                    if line and line[0] != "#")


def send(peer, number):
    peer.send(_daemon.rows(range(number * EVENTS, (number + 1) * EVENTS)))
    said = peer.says()
    if not said.startswith("ack"):
        daemon.fail(f"frame {number} is answered with {said}")


def settle():
    """Until no tick is due: a revision that a start makes would be no fault of merging."""
    before, now = None, metrics()["venturi_commits_total"]
    while now != before:
        time.sleep(1.5)
        before, now = now, metrics()["venturi_commits_total"]


with _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M", "--cut-bytes", "64K", "--partitions",
                    "2", "--dedup-ids", "1000000") as daemon:
    daemon.start()
    peer = _daemon.Peer(daemon.port, _daemon.hello(daemon.token()))
    if not peer.says().startswith("welcome"):
        daemon.fail("no welcome")
    began, frames, verified = time.monotonic(), 0, 0
    while int(metrics()["venturi_merges_total"]) < MERGES:
        if time.monotonic() - began > SECONDS_MAX:
            daemon.fail(f"{frames} frames, and no {MERGES} merges")
        for _ in range(20):
            send(peer, frames)
            frames += 1
        if verified < 5:
            venturi("verify", "--data", daemon.data)
            verified += 1
    send(peer, 0)  # all of it stands in a merged segment
    told = metrics()
    if int(told["venturi_merges_failed_total"]) > 0 or int(told["venturi_merge_rows_total"]) == 0:
        daemon.fail("merges failed, or wrote nothing")
    counts = daemon.summary()
    if counts["accepted"] != frames * EVENTS or counts["duplicates"] != EVENTS:
        daemon.fail(f"{frames} frames and a repeat are counted as {counts}")
    peer.close()
    settle()
    daemon.stop()
    before = venturi("verify", "--data", daemon.data).splitlines()[-1]
    daemon.start()  # sweeps what the stop left, and merges on
    daemon.stop()
    after = venturi("verify", "--data", daemon.data).splitlines()[-1]
    if before != after:
        daemon.fail(f"{before}, and after a start {after}")
    segments = [row for row in map(json.loads, venturi("inspect", "--data", daemon.data)
                                   .splitlines()) if row.get("kind") == "segment"]
    files = glob.glob(os.path.join(daemon.data, "segments", "*.vseg"))
    if {row["path"] for row in segments} != set(files):
        daemon.fail(f"{sorted(files)} are no segments of the store")
    levels = [row["level"] for row in segments]
    if max(levels) == 0 or sum(row["rows"] for row in segments) > frames * EVENTS:
        daemon.fail(f"segments of levels {levels}")
print(f"{frames} frames, {told['venturi_merges_total']} merges, {len(levels)} segments")
sys.exit(0)
