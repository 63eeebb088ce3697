#!/usr/bin/env python3
"""The main job on real input, as demo.sh shows it: stream, kill -9, restart, resume, compare, price
again.

usage: demo_run.py BUILD_DIR [--keep DIR]

28,185 real calls of two LLM services (tests/data/azure-llm-2023, CC BY 4.0), 3 % of them delivered
again and all out of order, go into a daemon that is killed in mid-stream. What it then answers is
compared with the reference model, tests/oracle/oracle.py, string for string. Exit status 0 only
where everything is equal.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRACE = ROOT / "tests" / "data" / "azure-llm-2023"
RATE = 6000     # events a second: slow enough to be killed in mid-stream


def say(text=""):
    print(text, flush=True)


def step(number, text):
    say(f"\n{number}. {text}")


def fail(text):
    say(f"demo: {text}")
    sys.exit(1)


class Daemon:
    """A venturid of our own, stopped by its process id."""

    def __init__(self, build, folder):
        self.build, self.folder, self.process = build, folder, None
        self.frames, self.http = "127.0.0.1:0", "127.0.0.1:0"

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.build / "venturid", "--data", self.folder / "store",
             "--catalog", TRACE / "catalog.json", "--listen", self.frames, "--http", self.http,
             "--lane-bytes", "16M"],
            stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.search(r"frames on (\S+), http on (\S+)", line)
        if not found:
            fail("the daemon did not start: " + line + (self.process.stderr.read() or ""))
        self.frames, self.http = found.groups()
        return time.monotonic() - began

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=30) != 0:
            fail("the daemon did not end cleanly: " + self.process.stderr.read())

    @property
    def url(self):
        return "http://" + self.http

    @property
    def token_file(self):
        return self.folder / "store" / "admin.token"


def run(command, statuses=(0,), **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode not in statuses:
        fail(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr}")
    return done


def ask(daemon, *words):
    return run([daemon.build / "venturi", *words, "--from", daemon.url,
                "--token-file", daemon.token_file]).stdout


def rows_of(text):
    return [json.loads(row) for row in text.splitlines()]


def oracle(catalog, events):
    model = ROOT / "tests/oracle/oracle.py"
    return json.loads(run([sys.executable, model, catalog, events]).stdout)


def as_set(rows):
    return collections.Counter(json.dumps(row, ensure_ascii=False) for row in rows)


def equal(name, have, want):
    if as_set(have) != as_set(want):
        missing = list((as_set(want) - as_set(have)).elements())[:3]
        extra = list((as_set(have) - as_set(want)).elements())[:3]
        fail(f"{name} differ from the oracle\nmissing {missing}\nextra {extra}")
    say(f"   {name:9} {len(want):5} rows   equal to the oracle, string for string")


def stream(daemon, events):
    """Sends the events, kills the daemon half-way, starts it again; the sender goes on by
    itself."""
    sender = subprocess.Popen(
        [str(daemon.build / "venturi"), "send", "--to", daemon.frames,
         "--token-file", str(daemon.token_file), "--batch", "100", "--rate", str(RATE),
         "--producer", "demo", str(events)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(2.2)
    if sender.poll() is not None:
        fail("the stream ended before it could be interrupted: " + sender.stderr.read())
    seen = json.loads(ask(daemon, "summary"))["received"]
    daemon.kill()
    say(f"   kill -9 after {seen:,} events were durable and counted")
    took = daemon.start()
    say(f"   started again in {took * 1000:.0f} ms, from the log; "
        "the sender reconnects and resumes")
    out, err = sender.communicate(timeout=120)
    if sender.returncode != 0:
        fail(f"send: status {sender.returncode}\n{err}")
    say("   the sender's own summary: " + out.strip())


def table(lines):
    head = ("tenant", "charge", "from", "to", "quantity", "amount")
    body = [(r["tenant"], r["charge"], r["from"][:16], r["to"][:16], f"{int(r['quantity']):,}",
             f"{r['amount']} {r['currency']}") for r in lines]
    wide = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    for row in [head, tuple("-" * w for w in wide), *body]:
        cells = (cell.rjust(w) if i > 3 else cell.ljust(w)
                 for i, (cell, w) in enumerate(zip(row, wide)))
        say("   " + "  ".join(cells))
    totals = collections.defaultdict(int)
    for r in lines:
        totals[r["tenant"], r["currency"]] += round(float(r["amount"]) * 100)
    for (tenant, currency), cents in sorted(totals.items()):
        say(f"   {tenant}: {cents / 100:,.2f} {currency}")


def chart(windows):
    minutes = collections.defaultdict(int)
    for row in windows:
        if row["meter"] in ("input_tokens", "output_tokens"):
            minutes[row["window_start"]] += int(row["value"])
    series = [minutes[key] for key in sorted(minutes)]
    top, height = max(series), 8
    for level in range(height, 0, -1):
        eighths = (round(value / top * height * 8) - (level - 1) * 8 for value in series)
        bar = "".join(" ▁▂▃▄▅▆▇█"[max(0, min(8, eighth))] for eighth in eighths)
        say(f"   {top * level // height:>9,} |{bar}")
    first, last = min(minutes)[11:16], max(minutes)[11:16]
    say("             +" + "-" * len(series))
    say(f"              {first}{' ' * max(1, len(series) - 10)}{last}  (tokens a minute, UTC)")


def cheaper(path):
    """A draft of the catalog in which the second price list is corrected: output tokens cost a
    fifth less."""
    catalog = json.loads((TRACE / "catalog.json").read_text())
    for charge in catalog["plans"][-1]["charges"]:
        if charge["key"] == "output":
            charge["tiers"] = [{"up_to": "1000000", "price": "0.000024"},
                               {"up_to": "3000000", "price": "0.00002"}, {"price": "0.000016"}]
    path.write_text(json.dumps(catalog, indent=1))
    return path


IDENTITY = ("contract", "period_start", "charge", "kind", "row", "from", "to", "contract_version",
            "plan_version")


def differences(old, new):
    """Adjustments between two sets of the oracle's lines, by identity."""
    def key(row):
        return tuple(row[word] for word in IDENTITY) + (json.dumps(row["group"], sort_keys=True),)

    def cents(row):
        return round(float(row["amount"]) * 100) if row else 0
    before, after = {key(r): r for r in old}, {key(r): r for r in new}
    found = {k: cents(after.get(k)) - cents(before.get(k)) for k in {*before, *after}}
    return {k: v for k, v in found.items() if v}, key


def replay(daemon, events, want):
    store, build = daemon.folder / "store", daemon.build
    base = [build / "venturi", "replay", "--data", store]
    same = run([*base, "--catalog", TRACE / "catalog.json"])
    equal("replay", rows_of(same.stdout), want["lines"])
    say("   " + same.stderr.strip().replace("\n", "\n   "))
    again = run([*base, "--catalog", TRACE / "catalog.json", "--against", TRACE / "catalog.json"])
    if again.stdout:
        fail("today's catalog against itself gives adjustments: " + again.stdout)
    say("   today's catalog against itself: no adjustment")
    other = cheaper(daemon.folder / "cheaper.json")
    out = rows_of(run([*base, "--catalog", other, "--against", TRACE / "catalog.json"]).stdout)
    wanted, key = differences(want["lines"], oracle(other, events)["lines"])
    have = {key(row): round(float(row["amount"]) * 100) for row in out}
    if have != wanted:
        fail(f"adjustments {have}\ndiffer from the oracle's {wanted}")
    say(f"   output tokens a fifth cheaper from 18:45 on: {len(out)} adjustments, "
        "equal to the difference of two oracle runs")
    for row in out:
        say(f"     {row['tenant']:9} {row['charge']:7} {row['from'][:16]} to {row['to'][:16]}  "
            f"{row['old_amount']:>8} -> {row['new_amount']:>8}   {row['amount']:>8} "
            f"{row['currency']}")
    say(f"     sum {sum(have.values()) / 100:,.2f} USD")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the store here")
    args = parser.parse_args()
    folder = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="venturi-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(args.build.resolve(), folder)
    events = folder / "events.jsonl"
    try:
        step(1, "real input: 28,185 calls to two LLM services in one hour, 3 % delivered twice, "
                "shuffled within 30 s")
        with open(events, "w") as out:
            subprocess.run([sys.executable, TRACE / "make_events.py", "--retries", "3",
                            "--shuffle", "30"], stdout=out, check=True)
        count = sum(1 for _ in open(events))
        say(f"   {count:,} events in delivery order")
        step(2, "a daemon, a stream of frames over io_uring, and a crash in the middle")
        say(f"   ready in {daemon.start() * 1000:.0f} ms, frames on {daemon.frames}, "
            f"HTTP on {daemon.http}")
        stream(daemon, events)
        step(3, "what it counted and priced, against the reference model")
        want = oracle(TRACE / "catalog.json", events)
        summary = json.loads(ask(daemon, "summary"))
        if summary != want["summary"]:
            fail(f"summary {summary}\ndiffers from the oracle's {want['summary']}")
        say(f"   summary   received {summary['received']:,} = accepted {summary['accepted']:,} + "
            f"duplicates {summary['duplicates']:,} + exceptions {summary['exceptions']:,}   "
            "equal to the oracle")
        windows = rows_of(ask(daemon, "windows"))
        equal("windows", windows, want["windows"])
        lines = rows_of(ask(daemon, "lines"))
        equal("lines", lines, want["lines"])
        equal("unrated", rows_of(ask(daemon, "unrated")), want["unrated"])
        request = urllib.request.Request(daemon.url + "/v1/feed", headers={
            "Authorization": "Bearer " + daemon.token_file.read_text().strip()})
        with urllib.request.urlopen(request) as answer:
            revisions = len(answer.read().splitlines())
        say(f"   feed      {revisions:5} revisions of closed windows")
        step(4, "invoice lines")
        table(lines)
        step(5, "tokens a minute")
        chart(windows)
        step(6, "history priced again from the log alone, beside the running daemon")
        replay(daemon, events, want)
        step(7, "a clean stop, and every checksum of the store")
        daemon.stop()
        verified = run([daemon.build / "venturi", "verify", "--data", folder / "store"]).stdout
        say("   " + verified.strip().replace("\n", "\n   "))
        say("\nAll answers are equal to the reference model. Nothing was lost, nothing was counted "
            "twice.")
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
