"""Goal:   a disk that is full to the last byte costs nothing but time: events are refused by name,
        readers are answered, nothing that was acked is lost or counted twice, and ingest goes on by
        itself when there is space again; also where a foreign file takes the space under a seal,
        and where the daemon is killed while the disk is full.
Method: an ext4 of 100 MiB and a tmpfs, a client with a journal of its own acks, foreign files that
        come and go. In the end every frame is sent again: each is all duplicates or all new, and
        the daemon's counters are the journal's; `venturi verify` finds nothing.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time

import _daemon
from _daemon import BUILD, frame, hello, pack
from _disk import Disk

EVENTS = 40
WAIT_S = 30
SENT_LINES = 1000
problems = []


class Client:
    """One frame at a time; the journal says which of them were acked."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.peer = None
        self.acked = {}   # number -> events accepted at the first ack
        self.sent = 0
        self.answers = 0  # acks, resends too
        self.text = "".join(random.Random(1).choices("0123456789abcdefghijklmnop", k=1 << 16))

    def connect(self):
        self.peer = _daemon.Peer(self.daemon.port, hello(self.daemon.token()))
        said = self.peer.says()
        if not said.startswith("welcome"):
            problems.append(f"a hello is answered with {said}")

    def payload(self, number):
        """Texts that do not compress: the disk fills soon."""
        events = []
        for i in range(EVENTS):
            at = (number * EVENTS + i) * 7919 % (len(self.text) - 1000)
            events.append(pack({
                "tenant": "acme", "type": "call", "id": f"{number}-{i}",
                "time": 1700000000000000 + number,
                "props": {"region": "eu", "tokens": 7,
                          "note": f"{number}" + self.text[at:at + 900]}}))
        return b"".join(events)

    def offer(self, number):
        """The answer to frame `number`."""
        self.peer.send(frame(_daemon.ROWS, self.payload(number), number + 1, EVENTS))
        said = self.peer.says()
        if said.startswith("ack"):
            accepted = int(said.split()[1].split("/")[0])
            if accepted not in (0, EVENTS):
                problems.append(f"frame {number}: {said}")
            if number in self.acked and accepted != 0:
                problems.append(f"frame {number} was acked and is new: {said}")
            self.acked.setdefault(number, accepted)
            self.answers += 1
        return said

    def more(self):
        """The next frame; its answer."""
        said = self.offer(self.sent)
        if said.startswith("ack"):
            self.sent += 1
        return said

    def until_refused(self, most=3000):
        """And for good: a seal that is under way may make room in what is kept for it."""
        last = 0
        for _ in range(most):
            said = self.more()
            if said == "VT_DISK_FULL":
                if last == self.sent + 1:
                    return
                last = self.sent + 1
                time.sleep(1.5)
                continue
            if not said.startswith("ack"):
                problems.append(f"frame {self.sent}: {said}, where the disk fills up")
                return
        problems.append("the disk is never full")

    def until_taken(self, why):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            said = self.more()
            if said.startswith("ack"):
                return
            if said != "VT_DISK_FULL":
                problems.append(f"{why}: {said}")
                return
            time.sleep(0.1)
        problems.append(f"{why}: nothing is taken for {WAIT_S} s")


def get(daemon, path):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http, timeout=30)
    connection.request("GET", path, headers={"Authorization": "Bearer " + daemon.token().decode()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def metric(daemon, name):
    status, body = get(daemon, "/metrics")
    for line in body.splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    problems.append(f"/metrics answers {status} without {name}")
    return -1


def check_full(daemon, client, disk, when):
    """Readers are answered, and right; what is full says so."""
    summary = daemon.summary()
    least = EVENTS * len(client.acked)
    sum_of = summary["accepted"] + summary["duplicates"]
    if summary["accepted"] < least or summary["received"] != sum_of:
        problems.append(f"{when}: {summary}, {least} acked")
    status, body = get(daemon, "/readyz")
    if status != 503 or json.loads(body)["code"] != "VT_DISK_FULL":
        problems.append(f"{when}: /readyz answers {status} {body}")
    if metric(daemon, "venturi_disk_full") != 1:
        problems.append(f"{when}: no metric says that the disk is full")
    for path in ("/v1/windows", "/v1/feed", "/v1/lines"):
        if get(daemon, path)[0] != 200:
            problems.append(f"{when}: {path} answers {get(daemon, path)}")
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http, timeout=30)
    connection.request("POST", "/v1/events", b'{"tenant":"acme"}\n',
                       {"Authorization": "Bearer " + daemon.token().decode()})
    answer = connection.getresponse()
    code = json.loads(answer.read())["code"]
    if answer.status != 503 or answer.getheader("Retry-After") is None or code != "VT_DISK_FULL":
        problems.append(f"{when}: /v1/events answers {answer.status} {code}")
    connection.close()
    print(f"  {when}: {client.sent} frames, {disk.free()} bytes free, "
          f"a seal waits: {metric(daemon, 'venturi_seal_waits')}")


def send_start(daemon):
    """`venturi send` waits for space, too."""
    lines = "".join(
        json.dumps({"tenant": "acme", "type": "call", "id": f"s{i}",
                    "time": "2023-11-14T22:13:20Z",
                    "props": {"region": "eu", "tokens": "7"}}) + "\n" for i in range(SENT_LINES))
    sender = subprocess.Popen(
        [os.path.join(BUILD, "venturi"), "send", "--to", f"127.0.0.1:{daemon.port}", "--batch",
         "100", "-"], env=dict(os.environ, VENTURI_TOKEN=daemon.token().decode()),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sender.stdin.write(lines.encode())
    sender.stdin.close()
    return sender


def send_check(sender):
    status = sender.wait(timeout=WAIT_S)
    said = json.loads(sender.stdout.read())
    errors = sender.stderr.read().decode()
    if status != 0 or said["accepted"] != SENT_LINES or errors.count("waiting: the disk") != 1:
        problems.append(f"venturi send ends with {status}, {said}, {errors}")


def trial(kind, size):
    with Disk(kind, size) as disk, \
            _daemon.Daemon(_daemon.CATALOG, "--cut-bytes", "1M", "--lane-bytes", "8M",
                           "--lanes", "2", "--dedup-ids", "1000000") as daemon:
        daemon.data = os.path.join(disk.path, "data")
        daemon.start()
        client = Client(daemon)
        client.connect()
        for _ in range(50):
            client.more()
        disk.fill("foreign", left=12 << 20)
        client.until_refused()
        check_full(daemon, client, disk, "full")
        disk.fill("foreign.rest")
        if client.more() != "VT_DISK_FULL":
            problems.append("a disk without a byte takes a frame")
        check_full(daemon, client, disk, "without a byte")
        daemon.kill()
        daemon.start()
        client.connect()
        if client.more() != "VT_DISK_FULL":
            problems.append("a start without a byte takes a frame")
        check_full(daemon, client, disk, "started without a byte")
        sender = send_start(daemon)
        time.sleep(1.5)
        disk.remove("foreign.rest")
        disk.remove("foreign")
        client.until_taken("after space was made")
        send_check(sender)

        # The space goes while cuts are being sealed.
        for turn in range(3):
            filler = threading.Thread(target=disk.fill, args=("foreign",))
            filler.start()
            client.until_refused()
            filler.join()
            disk.fill("foreign")
            check_full(daemon, client, disk, f"foreign file {turn}")
            if turn == 1:
                daemon.kill()
                daemon.start()
                client.connect()
                # The start may have swept files of what was killed, and then has space.
                disk.fill("foreign.more")
                client.until_refused()
                disk.remove("foreign.more")
            disk.remove("foreign")
            client.until_taken("after the foreign file")
        if get(daemon, "/readyz")[0] != 200 or metric(daemon, "venturi_disk_full") != 0:
            problems.append("a disk with space is not ready")

        before = daemon.summary()["received"]
        client.peer.close()
        client.connect()
        for number in range(client.sent):
            client.offer(number)
        summary = daemon.summary()
        if (summary["accepted"] != client.sent * EVENTS + SENT_LINES
                or summary["received"] != before + client.sent * EVENTS
                or summary["duplicates"] != summary["received"] - summary["accepted"]):
            problems.append(f"{kind}: {summary}; {client.sent} frames, {before} received before")
        daemon.stop()
        verify = subprocess.run([os.path.join(BUILD, "venturi"), "verify", "--data", daemon.data],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if verify.returncode != 0:
            problems.append(f"venturi verify: {verify.returncode} {verify.stdout.decode()}")
        print(f"{kind}: {client.sent} frames of {EVENTS}, {client.answers} acks")


for kind, size in (("ext4", 100 << 20), ("tmpfs", 64 << 20)):
    trial(kind, size)
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
