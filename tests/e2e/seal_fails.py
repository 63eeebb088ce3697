"""Goal:   a seal that fails under load ends the daemon in order: it says why, exits with 1, acks
        nothing more; all that was acked is there at the next start, and nothing counts twice.
Method: frames without a pause while the directory of segments is made a file, three times over;
        then the directory comes back, the daemon starts, and the same frames are sent again.
"""

import os
import sys

import _daemon
from _daemon import CATALOG, hello, rows

ROUNDS = 3
EVENTS = 500
FRAMES_MAX = 2000
IN_FLIGHT = 40

problems = []


def send_until_it_ends(daemon, first, breaks):
    """Frames from number `first` on; gives how many were sent, and how many of them acked."""
    peer = _daemon.Peer(daemon.port, hello(daemon.token()))
    peer.says()
    sent = acked = 0
    while sent < FRAMES_MAX:
        at = (first + sent) * EVENTS
        peer.send(rows(range(at, at + EVENTS), sent + 1))
        sent += 1
        if sent == 5 and breaks:
            breaks()
        if sent - acked > IN_FLIGHT:
            if not peer.says().startswith("ack"):
                break
            acked += 1
    while acked < sent and peer.says().startswith("ack"):
        acked += 1
    peer.close()
    return sent, acked


def send_all(daemon, frames):
    peer = _daemon.Peer(daemon.port, hello(daemon.token()))
    peer.says()
    for number in range(frames):
        peer.send(rows(range(number * EVENTS, (number + 1) * EVENTS), number + 1))
        said = peer.says()
        if not said.endswith(f"/{EVENTS}"):
            problems.append(f"frame {number} sent again: {said}")
    peer.close()


def main():
    frames = acked_in_all = 0
    with _daemon.Daemon(CATALOG, "--cut-bytes", "256K", "--lane-bytes", "16M") as daemon:
        segments = os.path.join(daemon.data, "segments")
        aside = segments + ".aside"

        def breaks():
            os.rename(segments, aside)
            with open(segments, "w", encoding="utf-8"):
                pass

        for _ in range(ROUNDS):
            daemon.start()
            sent, acked = send_until_it_ends(daemon, frames, breaks)
            frames += sent
            acked_in_all += acked
            status = daemon.process.wait(timeout=60)
            if status != 1:
                problems.append(f"the daemon ended with {status}, not 1")
            os.remove(segments)
            os.rename(aside, segments)
        with open(daemon.log, encoding="utf-8", errors="replace") as log:
            if log.read().count("sealing commit") != ROUNDS:
                problems.append("it does not say that sealing failed")
        daemon.start()
        if daemon.summary()["accepted"] < acked_in_all * EVENTS:
            problems.append(f"{daemon.summary()}, but {acked_in_all * EVENTS} were acked")
        send_all(daemon, frames)
        if daemon.summary()["accepted"] != frames * EVENTS:
            problems.append(f"{daemon.summary()}, not {frames * EVENTS} accepted")
        daemon.stop()
    print(f"seal_fails: {frames} frames, {acked_in_all} acked before a failure")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
