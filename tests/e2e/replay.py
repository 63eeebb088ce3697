#!/usr/bin/env python3
"""Replay, verify and inspect from the files alone, beside a running daemon and after a kill.

Method: the trace in small segments; the lines of venturi replay against the daemon's and the
oracle's; adjustments against the difference of two runs of the oracle; a byte of a segment is
turned and must be found.
"""

import collections
import hashlib
import json
import os
import re
import sys
from decimal import Decimal

import _daemon
import _http

CHECKS = _http.Checks()


def replay(daemon, *arguments):
    """(exit status, lines, digest said, rows said)."""
    status, out, said = _http.venturi("replay", "--data", daemon.data, *arguments)
    digest = re.search(r"^digest ([0-9a-f]{64})$", said, re.M)
    rows = re.search(r"^rows (\d+),", said, re.M)
    if status == 0:
        CHECKS.equal("the digest is of the output", digest and digest[1],
                     hashlib.sha256(out).hexdigest())
    lines = [json.loads(line) for line in out.splitlines()]
    return status, lines, said, int(rows[1]) if rows else 0


def dearer(catalog):
    """The same with other prices from the later plan on, and one more charge."""
    other = json.loads(json.dumps(catalog))
    for charge in other["plans"][1]["charges"]:
        if charge["key"] == "input":
            charge["price"] = "0.000013"
        if charge["key"] == "support":
            charge["price"] = "120.00"
    other["plans"][1]["charges"].append({"key": "extra", "model": "fixed", "price": "1.50"})
    return other


def amounts(lines):
    sums = collections.defaultdict(Decimal)
    for line in lines:
        key = tuple(json.dumps(line.get(name)) for name in ("tenant", "contract", "charge",
                                                            "period_start"))
        sums[key] += Decimal(line["amount"])
    return {key: value for key, value in sums.items() if value}


def check_adjustments(daemon, catalog, old_lines, path):
    other = dearer(catalog)
    other_path = os.path.join(daemon.dir, "other.json")
    with open(other_path, "w", encoding="utf-8") as stream:
        json.dump(other, stream)
    want_new = _http.expected(other, path)["lines"]
    status, new_lines, _, _ = replay(daemon, "--catalog", other_path)
    CHECKS.equal("another catalog", (status, new_lines), (0, want_new))
    status, adjustments, _, _ = replay(daemon, "--catalog", other_path, "--against", daemon.catalog)
    CHECKS.equal("adjustments: status", status, 0)
    CHECKS.true("there are adjustments", len(adjustments) > 3, len(adjustments))
    new, old = amounts(want_new), amounts(old_lines)
    want = {key: new.get(key, Decimal(0)) - old.get(key, Decimal(0)) for key in {*new, *old}}
    CHECKS.equal("adjustments are the difference of two oracle runs", amounts(adjustments),
                 {key: value for key, value in want.items() if value})
    for one in adjustments:
        CHECKS.equal("amount is new less old", Decimal(one["amount"]),
                     Decimal(one["new_amount"] or 0) - Decimal(one["old_amount"] or 0))
    status, none, said, rows = replay(daemon, "--catalog", daemon.catalog, "--against",
                                      daemon.catalog)
    CHECKS.equal("a catalog against itself", (status, none), (0, []))
    CHECKS.true("it read the rows", rows > 0, said)


def check_options(daemon, lines):
    """Threads change nothing; tenant and range take lines away and alter none."""
    digests = set()
    for threads in (1, 2, 7):
        status, got, said, _ = replay(daemon, "--catalog", daemon.catalog, "--threads", threads)
        CHECKS.equal(f"{threads} threads", (status, got), (0, lines))
        digests.add(re.search(r"digest (\w+)", said)[1])
    CHECKS.equal("one digest", len(digests), 1)
    digest = digests.pop()
    for expect, want in ((digest, 0), (digest.upper(), 0), ("0" * 64, 4)):
        status, _, _ = _http.venturi("replay", "--data", daemon.data, "--catalog", daemon.catalog,
                                     "--expect-digest", expect)
        CHECKS.equal(f"--expect-digest {expect}", status, want)
    CHECKS.equal("--tenant", replay(daemon, "--catalog", daemon.catalog, "--tenant", "fabrikam")[1],
                 [line for line in lines if line["tenant"] == "fabrikam"])
    got = replay(daemon, "--catalog", daemon.catalog, "--end", "2023-10-01T00:00:00Z")[1]
    CHECKS.equal("a range without usage", got, [])
    CHECKS.equal("a range with it",
                 replay(daemon, "--catalog", daemon.catalog, "--start", "2023-11-20T00:00:00Z",
                        "--end", "2023-11-21T00:00:00Z")[1], lines)
    for words, want in ((["--catalog", daemon.dir + "/none.json"], 1), ([], 2),
                        (["--catalog", daemon.catalog, "--start", "today"], 2),
                        (["--catalog", daemon.catalog, "--threads", "65"], 2)):
        status, _, said = _http.venturi("replay", "--data", daemon.data, *words)
        CHECKS.equal(f"replay {words}: {said}", status, want)


def verify(daemon):
    status, out, said = _http.venturi("verify", "--data", daemon.data)
    digest = re.search(rb"^digest ([0-9a-f]{64})$", out, re.M)
    return status, digest and digest[1], out.decode() + said


def check_inspect(daemon, sealed):
    status, out, said = _http.venturi("inspect", "--data", daemon.data)
    rows = [json.loads(line) for line in out.splitlines()]
    kinds = collections.Counter(row["kind"] for row in rows)
    CHECKS.equal(f"inspect: {said}", status, 0)
    CHECKS.equal("one store", kinds["store"], 1)
    CHECKS.equal("segments are sealed", kinds["segment"] > 0, sealed)
    numbers = [row["commit"] for row in rows if row["kind"] == "commit"]
    first = rows[0]["sealed_commit"] + 1
    CHECKS.equal("commits follow the sealed ones", numbers,
                 list(range(first, first + len(numbers))))
    for row in rows:
        if row["kind"] == "segment":
            status, out, said = _http.venturi("inspect", "--data", daemon.data, row["path"])
            parts = [json.loads(line) for line in out.splitlines()]
            CHECKS.equal(f"{row['path']}: {said}", (status, parts[0]["chunks"], parts[0]["cut"]),
                         (0, len(parts) - 1, row["cut"]))
    return [row["path"] for row in rows if row["kind"] == "segment"]


def check_damage(daemon, path):
    """A turned bit in the middle of a segment: named by verify, exit status 4."""
    with open(path, "r+b") as stream:
        stream.seek(os.path.getsize(path) // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 4]))
    status, _, said = verify(daemon)
    CHECKS.equal("a damaged segment", status, 4)
    CHECKS.true("names the file", os.path.basename(path) in said, said)
    CHECKS.true("names the offset", re.search(r"offset \d+", said), said)
    status, _, said = _http.venturi("inspect", "--data", daemon.data, path)
    CHECKS.equal(f"inspect of it: {said}", status, 4)
    with open(path, "r+b") as stream:
        stream.seek(os.path.getsize(path) // 2)
        stream.write(bytes([byte]))
    CHECKS.equal("mended", verify(daemon)[0], 0)


def main():
    catalog = _http.catalog()
    lines = _http.events("--retries", "3", "--shuffle", "30")[::3]
    half = len(lines) // 2
    with _daemon.Daemon(catalog, "--cut-bytes", "256K", "--partitions", "3") as daemon:
        daemon.start()
        client = _http.Client(daemon.http, daemon.token().decode())
        path = os.path.join(daemon.dir, "events.jsonl")
        for at in range(0, half, 500):
            client.post("/v1/events", b"".join(lines[at:min(at + 500, half)]))
        with open(path, "wb") as stream:
            stream.writelines(lines[:half])
        want = _http.expected(catalog, path)["lines"]
        CHECKS.equal("live", client.get("/v1/lines").lines(), want)
        CHECKS.equal("replay beside the daemon", replay(daemon, "--catalog", daemon.catalog)[1],
                     want)
        CHECKS.equal("verify beside the daemon", verify(daemon)[0], 0)
        for at in range(half, len(lines), 500):
            client.post("/v1/events", b"".join(lines[at:at + 500]))
        with open(path, "wb") as stream:
            stream.writelines(lines)
        want = _http.expected(catalog, path)["lines"]
        daemon.kill()

        CHECKS.equal("replay after a kill", replay(daemon, "--catalog", daemon.catalog)[1], want)
        status, digest, said = verify(daemon)
        CHECKS.equal(f"verify after a kill: {said}", status, 0)
        check_options(daemon, want)
        check_adjustments(daemon, catalog, want, path)
        daemon.start()
        client = _http.Client(daemon.http, daemon.token().decode())
        CHECKS.equal("live after a kill", client.get("/v1/lines").lines(), want)
        daemon.stop()
        status, after, said = verify(daemon)
        CHECKS.equal(f"verify after a clean stop: {said}", (status, after), (0, digest))
        CHECKS.true("contents were sealed", re.search(r"sealed contents [1-9]", said), said)
        segments = check_inspect(daemon, True)
        check_damage(daemon, segments[len(segments) // 2])
    CHECKS.end()


if __name__ == "__main__":
    main()
