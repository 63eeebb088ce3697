"""Goal:   venturi feed --follow prints every revision exactly once, in the order of the feed, while
        revisions appear, over a daemon that is killed and comes back, and over its own ends: it
        ends with status 0 at SIGINT and SIGTERM, and the cursor that it names goes on exactly.
Method: a daemon whose windows close at orders; a follower that is ended and started again at its
        cursor in between; what all followers printed together is compared with the whole feed.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time

import _daemon
import _http

CHECKS = _http.Checks()
PATIENCE = 60


class Follower:
    def __init__(self, daemon, folder, number, *options):
        self.out = os.path.join(folder, f"out.{number}")
        self.said = os.path.join(folder, f"said.{number}")
        environment = dict(os.environ, VENTURI_TOKEN=daemon.token().decode())
        with open(self.out, "wb") as out, open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [_http.BUILD / "venturi", "feed", "--from", f"http://127.0.0.1:{daemon.http}",
                 "--follow", *options], stdout=out, stderr=said, env=environment)

    def lines(self):
        with open(self.out, "rb") as stream:
            return stream.read().splitlines(keepends=True)

    def blocks(self):
        """Whether SIGTERM does no longer end it at once."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as stream:
            blocked = re.search(r"SigBlk:\s*([0-9a-f]+)", stream.read())[1]
        return int(blocked, 16) >> (signal.SIGTERM - 1) & 1

    def message(self):
        with open(self.said, encoding="utf-8") as stream:
            return stream.read()

    def wait(self, what, holds):
        for _ in range(PATIENCE * 20):
            if holds():
                return True
            time.sleep(0.05)
        return CHECKS.true(f"{what}: waited for {PATIENCE} s", False, self.message())

    def end(self, number):
        """The cursor to go on with, or None."""
        self.process.send_signal(number)
        CHECKS.equal(f"status at signal {number}", self.process.wait(timeout=PATIENCE), 0)
        CHECKS.true("whole lines", all(line.endswith(b"}\n") for line in self.lines()))
        named = re.search(r"ended; go on with --cursor (\w+)\n$", self.message())
        return named and named[1]


def add(client, first, count, minute):
    rows = [{"tenant": "acme", "type": "call", "id": f"f{n}",
             "time": f"2024-01-01T00:{minute:02}:00Z", "props": {"region": f"r{n}", "tokens": n}}
            for n in range(first, first + count)]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    CHECKS.equal("posted", client.post("/v1/events", body).json()["accepted"], count)
    client.post("/v1/close?before=2024-01-01T01:00:00Z")


def check(daemon, folder):
    client = _http.Client(daemon.http, daemon.token().decode())

    def whole():
        return client.get("/v1/feed?limit=100000").body.splitlines(keepends=True)

    printed = []

    early = Follower(daemon, folder, 0)
    early.wait("it listens to signals", early.blocks)
    CHECKS.equal("nothing yet", early.end(signal.SIGTERM), None)
    CHECKS.true("nothing yet is said", "before the first line" in early.message())

    # It follows while revisions appear, in pages of 3.
    one = Follower(daemon, folder, 1, "--limit", "3")
    add(client, 0, 10, 0)
    want = len(whole())
    CHECKS.true("there are revisions", want >= 10, str(want))
    one.wait("the first ones", lambda: len(one.lines()) >= want)
    add(client, 10, 10, 1)
    want = len(whole())
    one.wait("more of them", lambda: len(one.lines()) >= want)
    cursor = one.end(signal.SIGINT)
    printed += one.lines()
    CHECKS.equal("the named cursor is the last line's", cursor,
                 printed[-1] and json.loads(printed[-1])["cursor"])

    # What appears while nobody follows comes after the cursor; then the daemon is killed.
    add(client, 20, 10, 2)
    two = Follower(daemon, folder, 2, "--cursor", cursor)
    want = len(whole())
    two.wait("after the cursor", lambda: len(printed) + len(two.lines()) >= want)
    daemon.kill()
    two.wait("it says that the daemon is away", lambda: "waiting for it" in two.message())
    daemon.start(daemon.port, daemon.http)
    add(client, 30, 10, 3)
    want = len(whole())
    two.wait("after a restart", lambda: len(printed) + len(two.lines()) >= want)
    CHECKS.true("it says that the daemon is back", "it is back" in two.message(), two.message())
    cursor = two.end(signal.SIGTERM)
    printed += two.lines()
    CHECKS.equal("every revision once, in order", printed, whole())

    # A daemon that stays away is not waited for longer than was said; who waits can be ended.
    three = Follower(daemon, folder, 3, "--cursor", cursor, "--timeout", "1")
    four = Follower(daemon, folder, 4, "--cursor", cursor)
    add(client, 40, 1, 4)
    for one in (three, four):
        one.wait("it is there", lambda follower=one: len(follower.lines()) >= 1)
    daemon.stop()
    CHECKS.equal("away for good: status", three.process.wait(timeout=PATIENCE), 1)
    CHECKS.true("away for good: why", "Couldn't connect" in three.message()
                or "Failed to connect" in three.message(), three.message())
    four.wait("it waits", lambda: "waiting for it" in four.message())
    CHECKS.equal("ended while it waits", four.end(signal.SIGINT),
                 json.loads(four.lines()[-1])["cursor"])
    never = Follower(daemon, folder, 5)
    CHECKS.equal("never there: status", never.process.wait(timeout=PATIENCE), 1)


def main():
    with tempfile.TemporaryDirectory(prefix="venturi_follow_") as folder, \
            _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M") as daemon:
        daemon.start()
        check(daemon, folder)
    CHECKS.end()


main()
