"""Goal:   a disk that takes no write for a while costs nothing but that while: nothing is acked,
        what is held in memory is bounded, whoever asks how it is gets an answer that says so, and
        all goes on when the disk does.
Method: an ext4 that is frozen (fsfreeze) under a daemon with frames on several connections and more
        HTTP requests with events than it has threads for.
"""

import http.client
import os
import socket
import sys
import threading
import time

import _daemon
from _daemon import hello, rows
from _disk import Disk, run

EVENTS = 500
PEERS = 6
POSTS = 24
FROZEN_S = 8
RSS_MAX = 600 << 20
problems = []


def rss(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as stream:
        for line in stream:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def get(daemon, path):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http, timeout=5)
    connection.request("GET", path, headers={"Authorization": "Bearer " + daemon.token().decode()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


class Pusher(threading.Thread):
    """Sends frames as long as the daemon reads them, then waits for all acks."""

    def __init__(self, daemon, number, until):
        super().__init__()
        self.daemon_of = daemon
        self.number = number
        self.until = until
        self.sent = 0
        self.acked = 0
        self.acked_frozen = 0
        self.frozen_at = 0

    def run(self):
        peer = _daemon.Peer(self.daemon_of.port, hello(self.daemon_of.token()))
        peer.says()
        peer.socket.settimeout(60)
        # Within the credit; a second wave is left in the socket.
        while self.sent < 60 and time.monotonic() < self.until:
            at = (self.number * 1000 + self.sent) * EVENTS
            peer.send(rows(range(at, at + EVENTS), self.sent + 1))
            self.sent += 1
        while self.acked < self.sent:
            said = peer.says()
            if said != f"ack {EVENTS}/{EVENTS}":
                problems.append(f"connection {self.number}: {said}")
                break
            self.acked += 1
        peer.close()


def post(daemon, number, done):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http, timeout=60)
    body = ('{"tenant":"acme","type":"call","id":"p%d","time":"2023-11-14T22:13:20Z",'
            '"props":{"region":"eu","tokens":"7"}}' % number)
    try:
        connection.request("POST", "/v1/events", body.encode(),
                           {"Authorization": "Bearer " + daemon.token().decode()})
        done.append(connection.getresponse().status)
    except OSError as error:
        problems.append(f"a POST ends with {error}")
    connection.close()


def check_frozen(daemon):
    """While nothing is written."""
    status, body = get(daemon, "/readyz")
    if status != 503 or "VT_AGAIN" not in body:
        problems.append(f"/readyz answers {status} {body} on a disk that hangs")
    status, body = get(daemon, "/metrics")
    age = [line.split()[1] for line in body.splitlines()
           if line.startswith("venturi_commit_age_seconds ")]
    if status != 200 or not age or not 5 <= int(age[0]) <= FROZEN_S + 5:
        problems.append(f"/metrics answers {status}, a commit age of {age}")
    if get(daemon, "/livez")[0] != 200:
        problems.append("/livez does not answer on a disk that hangs")
    held = rss(daemon)
    if held > RSS_MAX:
        problems.append(f"{held} bytes are held")
    return held


def trial(disk):
    with _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M", "--lanes", "2", "--cut-bytes", "1M",
                        "--dedup-ids", "1000000") as daemon:
        daemon.data = os.path.join(disk.path, "data")
        daemon.start()
        before = rss(daemon)
        done = []
        run("fsfreeze", "-f", disk.path)
        try:
            until = time.monotonic() + FROZEN_S
            pushers = [Pusher(daemon, number, until) for number in range(PEERS)]
            posts = [threading.Thread(target=post, args=(daemon, number, done))
                     for number in range(POSTS)]
            for each in pushers + posts:
                each.start()
            time.sleep(max(0, until - time.monotonic()))
            held = check_frozen(daemon)
            acked = sum(each.acked for each in pushers) + len(done)
            if acked != 0:
                problems.append(f"{acked} acks of what cannot be durable")
        finally:
            run("fsfreeze", "-u", disk.path)
        for each in pushers + posts:
            each.join()
        events = sum(each.acked for each in pushers) * EVENTS + POSTS
        if done != [200] * POSTS:
            problems.append(f"POSTs are answered with {done}")
        if daemon.summary()["accepted"] != events:
            problems.append(f"{daemon.summary()}, not {events} accepted")
        if get(daemon, "/readyz")[0] != 200:
            problems.append("it is not ready when the disk goes on")
        daemon.stop()
        print(f"slow_disk: {events} events, {before >> 20} MiB before, {held >> 20} held")


with Disk("ext4", 128 << 20) as the_disk:
    trial(the_disk)
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
