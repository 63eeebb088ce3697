#!/usr/bin/env python3
"""Goal:   SIGKILL at any moment under load loses nothing that was acked and counts nothing twice.
Method: a real daemon with small lanes and cuts; producers that number their events and go on at the
        welcome's sequence, and a client whose events have ids and which sends again what was not
        acked. Each keeps a journal of its acks. The daemon is killed and started again; at each
        welcome the producer's next sequence is compared with the journal, from time to time the
        summary. At the end everything is sent until it is acked, and counters and windows are
        recounted; after a clean stop and a start they must be the same, and venturi verify must
        find nothing. Long runs begin a new store after every ROUND_KILLS kills, so that the last
        kills cost no more than the first.

usage: kill.py [--kills N] [--seed N]
"""

import argparse
import array
import collections
import itertools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import _daemon  # noqa: E402
from _daemon import ACK, COLUMNS, ERROR, ROWS, WELCOME, frame, hello, pack  # noqa: E402

BASE_US = 1_700_000_000_000_000
MINUTE_US = 60_000_000
TENANTS = ["acme", "globex"]
REGIONS = ["ap", "eu", "us"]
OPTIONS = ["--lanes", "2", "--lane-bytes", "8M", "--cut-bytes", "1M", "--partitions", "2",
           "--dedup-ids", "4000000", "--workers", "2"]
IN_FLIGHT_MAX = 16  # frames
OPEN_MAX = 4000  # events of the client with ids that wait for their ack
ROUND_KILLS = 250  # each round has a store of its own
CATALOG = dict(_daemon.CATALOG)


class Lost(Exception):
    """The connection ended: the daemon was killed."""


class Client(threading.Thread):
    """Sends until it is told to stop, then until all is acked."""

    def __init__(self, name, daemon, seed):
        super().__init__(name=name)
        self.daemon_of_test = daemon
        self.rng = random.Random(f"{seed} {name}")
        self.stopping = threading.Event()
        self.problem = None
        self.peer = None
        self.acked_frames = 0
        self.connections = 0

    def run(self):
        try:
            while not self.done():
                try:
                    self.connect()
                    while not self.done():
                        self.step()
                except (OSError, Lost):
                    time.sleep(0.01)
                if self.peer is not None:
                    self.peer.close()
        except Exception as why:  # pylint: disable=broad-except
            self.problem = f"{self.name}: {why!r}"

    def connect(self, producer=b""):
        """The sequence at which a producer goes on."""
        self.peer = None
        self.peer = _daemon.Peer(self.daemon_of_test.port,
                                 hello(self.daemon_of_test.token(), producer))
        kind, _, payload = self.receive()
        assert kind == WELCOME, f"no welcome but {kind}"
        self.connections += 1
        return struct.unpack_from("<Q", payload, 40)[0]

    def receive(self):
        got = self.peer.next()
        if got is None:
            raise Lost
        kind, _, payload = got
        if kind == ERROR:
            code = struct.unpack_from("<H", payload)[0]
            if _daemon.CODES[code] == "VT_STOPPING":
                raise Lost
            raise AssertionError(f"error {_daemon.CODES[code]}: {payload[16:]}")
        return got


def session_event(producer, number):
    """(tenant, region, tokens, time) of an event, from its place in its producer's stream."""
    mixed = (number * 2654435761 + producer * 40503) & 0xFFFFFFFF
    return mixed % 2, mixed // 2 % 3, 1 + mixed % 97, BASE_US + number * 1000 + producer


class Producer(Client):
    """Numbers its events; the daemon says where to go on."""

    def __init__(self, index, daemon, seed):
        super().__init__(f"producer-{index}", daemon, seed)
        self.index = index
        self.next = 1         # to be sent
        self.sent = 1         # first never sent
        self.acked = 1        # first not acked: the journal
        self.flight = collections.deque()  # (sequence, count, whether it is a resend)
        self.resent_frame = None
        self.resends_sent = self.resends_acked = 0

    def done(self):
        return self.stopping.is_set() and self.acked == self.sent

    def connect(self):
        self.flight.clear()
        self.resent_frame = None
        go_on = super().connect(self.name.encode())
        if not self.acked <= go_on <= self.sent:
            raise AssertionError(f"goes on at {go_on}, but {self.acked} was acked and {self.sent} "
                                 "was sent")
        self.acked = self.next = go_on

    def left(self):
        return f"acked up to {self.acked} of {self.sent}, {len(self.flight)} frames in flight"

    def columns(self, sequence, count):
        tenants, regions = bytearray(), bytearray()
        tokens, times = array.array("q"), array.array("q")
        for number in range(sequence, sequence + count):
            tenant, region, amount, at = session_event(self.index, number)
            tenants.append(tenant)
            regions.append(region)
            tokens.append(amount)
            times.append(at)
        fields = {"region": [REGIONS, bytes(regions)], "tokens": [0, tokens.tobytes()]}
        payload = pack(["call", [TENANTS, bytes(tenants)], None, None, times.tobytes(), fields])
        return frame(COLUMNS, payload, sequence, count)

    def step(self):
        if len(self.flight) < IN_FLIGHT_MAX and not self.stopping.is_set():
            if self.resent_frame and self.rng.random() < 0.05:
                data, sequence, count = self.resent_frame
                self.flight.append((sequence, count, True))
                self.resends_sent += count
            else:
                sequence, count = self.next, self.rng.choice([1, 7, 100, 400])
                data = self.columns(sequence, count)
                self.flight.append((sequence, count, False))
                self.next += count
                self.sent = max(self.sent, self.next)
                self.resent_frame = (data, sequence, count)
            self.peer.socket.sendall(data)
        elif not self.flight and self.acked < self.sent:
            # Told to stop with events that died on their way.
            count = min(400, self.sent - self.next)
            self.peer.socket.sendall(self.columns(self.next, count))
            self.flight.append((self.next, count, False))
            self.next += count
        else:
            self.take_ack()

    def take_ack(self):
        kind, sequence, payload = self.receive()
        assert kind == ACK, f"no ack but {kind}"
        first, _, count, accepted, _, _ = struct.unpack_from("<QQIIII", payload)
        want, events, resend = self.flight.popleft()
        assert (first, sequence, count) == (want, want, events), f"ack of {first}, not of {want}"
        assert accepted == (0 if resend else events), f"{accepted} of {events} accepted at {first}"
        self.acked_frames += 1
        if resend:
            self.resends_acked += events
        else:
            self.acked = want + events

    def unique(self):
        return self.sent - 1

    def events(self):
        return (session_event(self.index, number) for number in range(1, self.sent))


class Identified(Client):
    """Events with ids of their own; what was not acked is sent again, with repeats between."""

    def __init__(self, daemon, seed):
        super().__init__("identified", daemon, seed)
        self.count = 0
        self.open = collections.OrderedDict()  # number -> None: sent and not acked
        self.flight = {}
        self.frames = 0
        self.acked = 0

    def done(self):
        return self.stopping.is_set() and not self.open

    def left(self):
        return f"{len(self.open)} of {self.count} open, {len(self.flight)} frames in flight"

    def connect(self):
        self.flight.clear()
        super().connect()

    @staticmethod
    def content(number):
        return number % 2, number // 2 % 3, 1 + number % 89, BASE_US + number * 7000

    def step(self):
        if len(self.flight) >= 8 or (self.stopping.is_set() and self.flight):
            self.take_ack()
            return
        flying = {n for numbers in self.flight.values() for n in numbers}
        resent = 400 if self.stopping.is_set() else 40
        numbers = list(itertools.islice((n for n in self.open if n not in flying), resent))
        # On a slow machine kills come faster than acks; what is open must not grow with them.
        if not self.stopping.is_set() and len(self.open) < OPEN_MAX:
            for _ in range(self.rng.choice([1, 20, 40])):
                self.count += 1
                self.open[self.count] = None
                numbers.append(self.count)
            numbers += [self.rng.randrange(1, self.count + 1) for _ in range(self.rng.randrange(4))]
        if not numbers:
            self.take_ack()
            return
        self.rng.shuffle(numbers)
        self.frames += 1
        self.flight[self.frames] = numbers
        self.peer.socket.sendall(frame(ROWS, b"".join(map(self.packed, numbers)), self.frames,
                                       len(numbers)))

    def packed(self, number):
        tenant, region, tokens, at = self.content(number)
        return pack({"tenant": TENANTS[tenant], "type": "call", "id": f"id-{number}", "time": at,
                     "props": {"region": REGIONS[region], "tokens": tokens}})

    def take_ack(self):
        kind, sequence, payload = self.receive()
        assert kind == ACK, f"no ack but {kind}"
        verdicts = struct.unpack_from("<I", payload, 24)[0]
        for at in range(verdicts):
            verdict = payload[32 + 8 * at + 4]
            assert verdict == 1, f"verdict {verdict}: only duplicates are to be expected"
        for number in self.flight.pop(sequence):
            if self.open.pop(number, 0) is None:
                self.acked += 1
        self.acked_frames += 1

    def unique(self):
        return self.count

    def events(self):
        return map(self.content, range(1, self.count + 1))


def ask(daemon, path):
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http}{path}",
                                     headers={"Authorization": "Bearer " + daemon.token().decode()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [json.loads(line) for line in answer.read().decode().splitlines()]


def recount(clients):
    """(tenant, minute, region) -> [count, sum]"""
    totals = collections.defaultdict(lambda: [0, 0])
    for client in clients:
        for tenant, region, tokens, at in client.events():
            total = totals[TENANTS[tenant], at // MINUTE_US, REGIONS[region]]
            total[0] += 1
            total[1] += tokens
    return totals


def differences(daemon, clients):
    problems = []
    summary = daemon.summary()
    unique = sum(client.unique() for client in clients)
    if summary["accepted"] != unique:
        problems.append(f"{summary['accepted']} accepted of {unique} unique events")
    if summary["exceptions"] or summary["conflicts"]:
        problems.append(f"exceptions or conflicts: {summary}")
    if summary["received"] != summary["accepted"] + summary["duplicates"]:
        problems.append(f"the counters do not add up: {summary}")
    resends = [c for c in clients if isinstance(c, Producer)]
    if summary["duplicates"] < sum(c.resends_acked for c in resends):
        problems.append(f"{summary['duplicates']} duplicates, but more were acked")
    totals = recount(clients)
    rows = ask(daemon, "/v1/windows")
    for row in rows:
        minute = time.strptime(row["window_start"], "%Y-%m-%dT%H:%M:%SZ")
        key = (row["tenant"], int(time.mktime(minute) - time.timezone) // 60,
               row["group"]["region"])
        if [row["count"], int(row["value"])] != totals.pop(key, None):
            problems.append(f"window {row} is not what was sent")
    problems += [f"window {key} is missing" for key in list(totals)[:3]]
    return summary, problems


def loop(daemon, clients, kills, rng):
    """The problems that were met on the way; seconds from kill to ready in the second result."""
    restarts = []
    for kill in range(kills):
        # Most lives are short: a start, some frames; some are long enough for cuts.
        time.sleep(rng.choice([0.0, 0.01, 0.02, 0.1]) + rng.random() * rng.choice([0.03, 0.2]))
        daemon.kill()
        began = time.monotonic()
        daemon.start(daemon.port, daemon.http)
        restarts.append(time.monotonic() - began)
        problems = [c.problem for c in clients if c.problem]
        if kill % 10 == 9:
            # The journal is read first: what is acked later may be in the summary or not.
            acked = sum(c.acked if isinstance(c, Identified) else c.acked - 1 for c in clients)
            if daemon.summary()["accepted"] < acked:
                problems.append(f"after kill {kill + 1}: fewer accepted than {acked} acked")
        if problems:
            return problems, restarts
    return [], restarts


def run(kills, seed, total, total_restarts):
    rng = random.Random(seed)
    with _daemon.Daemon(CATALOG, *OPTIONS) as daemon:
        daemon.print_log = lambda: None
        daemon.start()
        clients = [Producer(0, daemon, seed), Producer(1, daemon, seed), Identified(daemon, seed)]
        for client in clients:
            client.start()
        problems, restarts = loop(daemon, clients, kills, rng)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(timeout=120)
            if client.is_alive():
                problems.append(f"{client.name} does not come to its end: {client.left()}")
        problems += [c.problem for c in clients if c.problem]
        if problems:
            _daemon.Daemon.print_log(daemon)
            return problems
        summary, problems = differences(daemon, clients)
        daemon.stop()
        checked = subprocess.run([os.path.join(_daemon.BUILD, "venturi"), "verify", "--data",
                                  daemon.data], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            problems.append(f"verify: {checked.stdout} {checked.stderr}")
        daemon.start()
        again, more = differences(daemon, clients)
        if again != summary:
            problems.append(f"after a clean stop: {again}, before: {summary}")
        daemon.stop()
        total.update(connections=sum(c.connections for c in clients),
                     frames=sum(c.acked_frames for c in clients), events=summary["received"],
                     duplicates=summary["duplicates"])
        total_restarts.extend(restarts)
        return problems + more


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    total, restarts, began = collections.Counter(), [], time.monotonic()
    for done in range(0, args.kills, ROUND_KILLS):
        seed = args.seed + done // ROUND_KILLS
        problems = run(min(ROUND_KILLS, args.kills - done), seed, total, restarts)
        for problem in problems[:10]:
            print(f"seed {seed}: {problem}")
        if problems:
            return 1
    restarts.sort()
    print(f"{args.kills} kills in {time.monotonic() - began:.0f} s, "
          f"{total['connections']} connections, {total['frames']} frames acked, "
          f"{total['events']} events, {total['duplicates']} of them duplicates; "
          f"restart {restarts[len(restarts) // 2]:.3f} s in the middle, "
          f"{restarts[-1]:.3f} s at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
