"""Goal:   each deadline of a frame connection ends who misses it and says why, spares who is only
        waited for, and disturbs nobody else.
Method: a daemon whose deadlines are a second or two, and at the same time: a peer without a hello,
        one with half of one, one with half a frame that drips on, one that falls silent, one that
        only pings, one that reads no acks. Another one sends frames all the while, and each is
        acked. No time is measured: a deadline that never comes shows itself as a peer that is
        still there at the end of the patience of this script, one that comes too early as a peer
        that is gone.
"""

import os
import socket
import sys
import threading
import time
import urllib.request

import _daemon
from _daemon import PING, ROWS, Peer, frame, hello, rows

PATIENCE = int(os.environ.get("VENTURI_PATIENCE", "60"))
# Larger than any of the kernel's buffers between the two, so that output waits in the daemon.
BIG_FRAMES, BIG_EVENTS = 14, 65536

problems = []


def expect(name, got, want):
    if got != want:
        problems.append(f"{name}: want {want}, got {got}")


def until_end(peer):
    """What the daemon says until it closes."""
    said = []
    peer.socket.settimeout(PATIENCE)
    while not said or said[-1] != "end":
        try:
            said.append(peer.says())
        except socket.timeout:
            return said + ["still there"]
    return said


def no_hello(port, token):
    expect("no hello", until_end(Peer(port)), ["VT_DEADLINE!", "end"])


def half_hello(port, token):
    peer = Peer(port, hello(token)[:40])
    expect("half a hello", until_end(peer), ["VT_DEADLINE!", "end"])


def dripping_frame(port, token):
    """A byte now and then does not renew the deadline of a frame."""
    peer = Peer(port, hello(token))
    expect("dripping: welcome", peer.says(), "welcome 0")
    data = rows([1, 2, 3])
    ended = threading.Event()

    def drip():
        for at in range(len(data) - 1):
            peer.send(data[at:at + 1])
            if ended.wait(0.3):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    expect("a dripping frame", until_end(peer), ["VT_DEADLINE!", "end"])
    ended.set()
    thread.join()


def silent(port, token):
    """Also one that was answered: its time begins with the answer."""
    peer = Peer(port, hello(token) + rows([10]))
    expect("silent", until_end(peer), ["welcome 0", "ack 1/1", "VT_DEADLINE!", "end"])


def pinging(port, token, stop):
    peer = Peer(port, hello(token))
    said = [peer.says()]
    while not stop.is_set():
        peer.send(frame(PING, b"here"))
        said.append(peer.says())
        time.sleep(0.25)
    expect("pinging", set(said), {"welcome 0", "pong"})
    peer.close()


def reads_no_acks(port, token):
    """Acks of half a MiB that nobody reads, in more than all buffers between: its end is a reset
    connection, for an error frame would wait behind the acks."""
    peer = Peer.__new__(Peer)
    peer.socket = socket.socket()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.socket.settimeout(PATIENCE)
    peer.socket.connect(("127.0.0.1", port))
    peer.input = b""
    big = frame(ROWS, b"\x80" * BIG_EVENTS, 1, BIG_EVENTS)
    peer.socket.sendall(hello(token) + big * BIG_FRAMES)
    gone = False
    for _ in range(PATIENCE * 4):
        try:  # a ping is nothing that renews the deadline of the output
            peer.socket.sendall(frame(PING))
        except OSError:
            gone = True
            break
        time.sleep(0.25)
    expect("reads no acks", gone, True)
    peer.close()


def steady(port, token, stop, counts):
    peer = Peer(port, hello(token, b"steady"))
    said = peer.says()
    expect("steady: welcome", said, "welcome 1")
    while not stop.is_set() or counts["frames"] < 20:
        first = counts["frames"] * 10 + 1
        peer.send(rows(range(1000 + first, 1010 + first), first))
        said = peer.says()
        expect("beside the slow ones", said, "ack 10/10")
        if said == "end":
            break
        counts["frames"] += 1
        time.sleep(0.02)
    peer.close()


def metric(daemon, name):
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http}/metrics",
                                     headers={"Authorization": "Bearer " + daemon.token().decode()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
    return None


def main():
    stop, counts = threading.Event(), {"frames": 0}
    with _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "16M", "--hello-timeout", "1",
                        "--frame-timeout", "2", "--idle-timeout", "1", "--output-timeout",
                        "2") as daemon:
        daemon.start()
        place = daemon.port, daemon.token()
        others = [threading.Thread(target=pinging, args=(*place, stop)),
                  threading.Thread(target=steady, args=(*place, stop, counts))]
        slow = [threading.Thread(target=one, args=place)
                for one in (no_hello, half_hello, dripping_frame, silent, reads_no_acks)]
        for thread in others + slow:
            thread.start()
        for thread in slow:
            thread.join()
        stop.set()
        for thread in others:
            thread.join()
        expect("steady frames are counted", daemon.summary()["accepted"],
               counts["frames"] * 10 + 1)
        expect("closed by a deadline", metric(daemon, "venturi_frame_connections_overdue_total"), 5)
        daemon.stop()
    for problem in problems:
        print(problem)
    print(f"deadlines: {counts['frames']} frames beside, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
