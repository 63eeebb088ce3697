"""Goal:   a peer that takes no acks, and a crowd that takes all descriptors, cost others nothing
        and leave nothing behind; frames of many producers at once count once each.
Method: a daemon with few descriptors. A peer sends batches whose acks are large and reads none,
        until it is held up; another one must be served meanwhile, and the first one get all its
        acks once it reads. Then more peers than descriptors; then producers that break off.
"""

import random
import select
import struct
import sys
import threading

import _daemon
from _daemon import ROWS, frame, hello, rows

SEED = random.randrange(1 << 32) if len(sys.argv) < 2 else int(sys.argv[1])
DESCRIPTORS = 96
FRAMES = 40  # below the credit; their acks have 512 KiB each
EVENTS = 65536

problems = []


def expect(name, got, want):
    if got != want:
        problems.append(f"{name}: want {want}, got {got}")


def silent_reader(port, token):
    """Returns the number of events that were sent."""
    peer = _daemon.Peer(port, hello(token))
    expect("silent reader", peer.says(), "welcome 0")
    big = frame(ROWS, b"\x80" * EVENTS, 1, EVENTS)
    for _ in range(FRAMES):
        peer.send(big)
    while not select.select([peer.socket], [], [], 30)[0]:
        problems.append("silent reader: no ack comes")
    other = _daemon.Peer(port, hello(token) + rows([1]))
    expect("beside a silent reader", [other.says(), other.says()], ["welcome 0", "ack 1/1"])
    other.close()
    for i in range(FRAMES):
        expect(f"ack {i} once it reads", peer.says(), f"ack 0/{EVENTS}")
    peer.close()
    return FRAMES * EVENTS


def crowd(port, token):
    peers = [_daemon.Peer(port) for _ in range(2 * DESCRIPTORS)]
    for peer in peers:
        peer.close()
    late = _daemon.Peer(port, hello(token) + rows([2]))
    expect("after a crowd", [late.says(), late.says()], ["welcome 0", "ack 1/1"])
    late.close()


def producer(port, token, number, seed):
    """Sends 40 frames of 10 events under one epoch, breaking off at random, until all are acked."""
    chance = random.Random(seed)
    name = f"producer-{number}".encode()
    done = 0
    while done < 40:
        peer = _daemon.Peer(port, hello(token, name))
        said = peer.says().split()
        if said[0] != "welcome":
            peer.close()
            continue
        done = (int(said[1]) - 1) // 10
        for index in range(done, min(40, done + chance.randrange(1, 20))):
            first = number * 1000 + index * 10 + 10
            peer.send(rows(range(first, first + 10), index * 10 + 1))
        for _ in range(chance.randrange(20)):
            if select.select([peer.socket], [], [], 0.01)[0] and peer.next() is None:
                break
        if chance.randrange(2):
            linger = struct.pack("ii", 1, 0)
            peer.socket.setsockopt(_daemon.socket.SOL_SOCKET, _daemon.socket.SO_LINGER, linger)
        peer.close()


def main():
    with _daemon.Daemon(_daemon.CATALOG, "--partitions", "4", "--lane-bytes", "16M",
                        descriptors=DESCRIPTORS) as daemon:
        daemon.start()
        port, token = daemon.port, daemon.token()
        refused = silent_reader(port, token)
        crowd(port, token)
        threads = [threading.Thread(target=producer, args=(port, token, n, SEED + n))
                   for n in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        summary = daemon.summary()
        expect("accepted", summary["accepted"], 2 + 8 * 400)
        expect("exceptions", summary["exceptions"], refused)
        daemon.stop()
    for problem in problems:
        print(problem)
    print(f"many_peers: seed {SEED}, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
