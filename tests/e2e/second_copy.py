"""Goal:   a second copy follows a daemon under load and is whole whenever its backup ends; what is
        restored from it is the store as of there: the same digest, cursors up to the fork, sessions
        that go on; damaged files are repaired from it, also under a running daemon.
Method: frames without a pause while daemon and backup are killed in turn; verify's digest is over
        rows, counters, windows, exceptions and feed, so two equal ones are two equal states.
"""

import glob
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

import _daemon
from _daemon import CATALOG, hello, rows

KILLS = 4
EVENTS = 400
SEED = int(os.environ.get("VENTURI_SEED", random.randrange(1 << 30)))

problems = []


def check(truth, what):
    if not truth:
        problems.append(what)


def venturi(*arguments):
    return subprocess.run([os.path.join(_daemon.BUILD, "venturi"), *arguments],
                          capture_output=True, text=True, timeout=120, check=False)


def digest(directory):
    """(digest, position) of a directory; a status other than 0 is a problem."""
    done = venturi("verify", "--data", directory)
    found = re.search(r"position (\d+),.*\ndigest ([0-9a-f]{64})", done.stdout)
    if done.returncode != 0 or not found:
        problems.append(f"verify of {directory}: {done.returncode} {done.stderr}{done.stdout}")
        return None, 0
    return found[2], int(found[1])


class Load:
    """Frames of one session, numbered; what was acked is known."""

    def __init__(self):
        self.next = 0

    def run(self, daemon, frames):
        peer = _daemon.Peer(daemon.port, hello(daemon.token(), b"load"))
        welcome = peer.next()
        self.next = (struct.unpack_from("<Q", welcome[2], 40)[0] - 1) // EVENTS
        try:
            for _ in range(frames):
                first = self.next * EVENTS
                peer.send(rows(range(first, first + EVENTS), first + 1))
                if not peer.says().startswith("ack"):
                    break
                self.next += 1
        except (ConnectionError, AssertionError):
            pass
        peer.close()


def get(daemon, path):
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http}{path}",
                                     headers={"Authorization": "Bearer " + daemon.token().decode()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def follow(daemon, copy):
    return subprocess.Popen([os.path.join(_daemon.BUILD, "venturi"), "backup", "--data",
                             daemon.data, "--to", copy, "--follow", "--every", "1"],
                            stderr=subprocess.PIPE, text=True)


def kills(daemon, copy, load, chance):
    """Load, with kills of daemon and backup; the copy is whole after each of the backup."""
    for _ in range(KILLS):
        backup = follow(daemon, copy)
        load.run(daemon, chance.randrange(5, 40))
        time.sleep(chance.random() * 0.3)
        load.run(daemon, chance.randrange(1, 20))
        first_daemon = chance.random() < 0.5
        if first_daemon:
            daemon.kill()
        backup.kill()
        backup.communicate()
        if os.path.exists(os.path.join(copy, "store")):
            digest(copy)
        if first_daemon:
            daemon.start()


def last_cursor(daemon):
    status, text = get(daemon, "/v1/feed?limit=100000")
    check(status == 200 and text, f"feed: {status}")
    return json.loads(text.splitlines()[-1])["cursor"] if text else ""


def restored(daemon, copy, load):
    """A store of the copy beside the one that went on."""
    cursor = last_cursor(daemon)
    daemon.stop()
    done = venturi("backup", "--data", daemon.data, "--to", copy)
    check(done.returncode == 0, f"backup: {done.stderr}")
    check(digest(daemon.data) == digest(copy), "the copy has another digest than the store")
    refused = subprocess.run([os.path.join(_daemon.BUILD, "venturid"), "--data", copy],
                             capture_output=True, text=True, timeout=60, check=False)
    check(refused.returncode == 1 and "second copy" in refused.stderr,
          f"a daemon on a copy: {refused.returncode} {refused.stderr}")

    daemon.start()
    load.run(daemon, 10)
    time.sleep(1.2)
    load.run(daemon, 1)
    lost = last_cursor(daemon)
    check(lost != cursor, "the store that went on has no new revision")
    daemon.stop()

    other = daemon.data + ".restored"
    done = venturi("restore", "--from", copy, "--data", other)
    check(done.returncode == 0, f"restore: {done.stderr}")
    check(digest(other) == digest(copy), "what was restored has another digest")
    again = venturi("restore", "--from", copy, "--data", other)
    check(again.returncode == 1 and "not empty" in again.stderr, f"a second restore: {again}")
    shutil.copy(os.path.join(daemon.data, "admin.token"), other)
    old, daemon.data = daemon.data, other
    daemon.start()
    status, _ = get(daemon, f"/v1/feed?cursor={cursor}")
    check(status == 200, f"a cursor of before the fork: {status}")
    status, text = get(daemon, f"/v1/feed?cursor={lost}")
    check(status == 400 and "fork" in text, f"a cursor of the lost future: {status} {text}")
    before = load.next
    load.run(daemon, 5)
    check(load.next == before - 11 + 5, f"the session went on at {load.next}, not {before - 6}")
    daemon.stop()
    digest(other)
    shutil.rmtree(other)
    daemon.data = old


def damage(path, chance):
    with open(path, "r+b") as stream:
        size = os.path.getsize(path)
        stream.seek(chance.randrange(size - 64))
        at = stream.tell()
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1 << chance.randrange(8)]))


def repaired(daemon, copy, chance):
    """Segments damaged while no daemon runs, then mended; another history's copy is refused."""
    done = venturi("backup", "--data", daemon.data, "--to", copy)
    check(done.returncode == 0, f"backup: {done.stderr}")
    want = digest(daemon.data)
    segments = sorted(glob.glob(os.path.join(daemon.data, "segments", "*.vseg")))
    chosen = chance.sample(segments, min(3, len(segments)))
    for path in chosen:
        damage(path, chance)
    os.remove(chosen[0])
    done = venturi("verify", "--data", daemon.data)
    check(done.returncode == 4, f"verify of a damaged store: {done.returncode}")
    for path in chosen:
        check(os.path.basename(path) in done.stderr, f"verify does not name {path}")
    told = [json.loads(line) for line in
            venturi("verify", "--data", daemon.data, "--json").stdout.splitlines()]
    damages = [line for line in told if line["kind"] == "damage"]
    check(len(damages) >= len(chosen), f"{len(damages)} damages are told")
    check(told[-1]["kind"] == "files" and told[-1]["damages"] == len(damages), f"{told[-1]}")
    for line in damages:
        if line["file"] == chosen[0]: # is not there: the manifest alone knows of it
            check(line["tenants"] is None and line["rows"] > 0, f"{line}")
        else:
            check(line["tenants"] in (["acme"], None) and line["rows"] > 0, f"{line}")
            check(line.get("first_time", "2023-11-14") >= "2023-11-14", f"{line}")
    done = venturi("repair", "--data", daemon.data, "--from", copy)
    check(done.returncode == 0 and done.stdout.count("repaired /") == len(chosen),
          f"repair: {done.returncode} {done.stdout}{done.stderr}")
    check(digest(daemon.data) == want, "repaired, but another digest")
    with open(os.path.join(daemon.data, "store"), "r+b") as stream:
        stream.write(bytes(8192))
    check(venturi("verify", "--data", daemon.data).returncode == 4, "verify without superblock")
    done = venturi("repair", "--data", daemon.data, "--from", copy)
    check(done.returncode == 0, f"repair of the superblock: {done.stdout}{done.stderr}")
    check(digest(daemon.data) == want, "superblock repaired, but another digest")


def main():
    chance = random.Random(SEED)
    load = Load()
    print(f"second_copy: VENTURI_SEED={SEED}")
    with _daemon.Daemon(CATALOG, "--cut-bytes", "256K", "--lane-bytes", "16M") as daemon:
        copy = daemon.data + ".copy"
        daemon.start()
        kills(daemon, copy, load, chance)
        restored(daemon, copy, load)
        daemon.start()
        load.run(daemon, 10)
        daemon.stop()
        repaired(daemon, copy, chance)
    print(f"second_copy: {load.next} frames")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
