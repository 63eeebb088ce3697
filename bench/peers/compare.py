"""Venturi and its peers on the same events; bench/peers/run.sh starts this.

examples: bench/peers/run.sh
          bench/peers/run.sh --events 5000000 --json peers.json
          bench/peers/run.sh --only ids --ids-count 10000000 --work /var/tmp/peers
          bench/peers/run.sh --events 20000 --only sqlite          (downloads nothing)

Every row runs on the same events of workload W1, in alternation, each run in processes and a
directory of its own. What a peer then holds (count of distinct ids, sum of quantities by tenant)
is compared with the answer that a naive count of the events gives and with Venturi's; a row that
differs is marked wrong. Tables go to standard output; rows of unequal promises are never ranked
in one list. Exit status 0 where all rows ran and are right, 1 where one is wrong or failed, 3
where peers could not be installed.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import events
import install
import machine
import report
import rows

HERE = pathlib.Path(__file__).resolve().parent


def say(text):
    print(text, file=sys.stderr, flush=True)


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({row.name for row in rows.ROWS})
    parser.add_argument("--events", type=int, default=500_000, metavar="N",
                        help="events that each row of section ingest takes (500000)")
    parser.add_argument("--store-events", type=int, metavar="N",
                        help="events that each row of section store holds (8 x --events)")
    parser.add_argument("--ids-count", type=int, metavar="N",
                        help="ids that each row of section ids remembers (--events)")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="a section (" + ", ".join(rows.SECTIONS) + "), or a row or the begin"
                        " of one (" + ", ".join(names) + "); may be repeated")
    parser.add_argument("--kinds", default="sequence,uuid7,uuid", metavar="LIST",
                        help="kinds of ids (sequence,uuid7,uuid)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each row (3)")
    parser.add_argument("--batch", type=int, default=1000, metavar="N",
                        help="events of a batch (1000)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="of engines in process and of scans (cores)")
    parser.add_argument("--timeout", type=int, default=900, metavar="SECONDS",
                        help="of one run (900)")
    parser.add_argument("--work", metavar="DIR", help="where peers are unpacked and run; kept, so"
                        " that the next run installs nothing (a temporary directory)")
    parser.add_argument("--json", metavar="FILE", help="all figures, every single run")
    chosen = parser.parse_args()
    if min(chosen.events, chosen.runs, chosen.batch, chosen.threads) < 1:
        parser.error("numbers are positive")
    chosen.store_events = chosen.store_events or 8 * chosen.events
    chosen.ids_count = chosen.ids_count or chosen.events
    # Frames are whole: the last one is as full as the others.
    for key in ("events", "store_events", "ids_count"):
        setattr(chosen, key, -(-getattr(chosen, key) // chosen.batch) * chosen.batch)
    chosen.kinds = tuple(chosen.kinds.split(","))
    for kind in chosen.kinds:
        if kind not in events.KINDS:
            parser.error(f"--kinds {kind}: sequence, uuid7 or uuid")
    for name in chosen.only or ():
        if name not in rows.SECTIONS and not any(one.startswith(name) for one in names):
            parser.error(f"--only {name}: neither a section nor a row")
    return chosen


def selected(chosen):
    def wanted(row):
        # Venturi stands beside every peer of its section, whatever was asked for.
        beside = {"ingest": "venturi", "ids": "venturi-ids", "store": "venturi-store"}
        return not chosen.only or any(
            name == row.section or row.name.startswith(name) or
            (beside.get(row.section) == row.name and any(
                one.name.startswith(name) and one.section == row.section for one in rows.ROWS))
            for name in chosen.only)
    return [(row, kind) for row in rows.ROWS if wanted(row) for kind in row.kinds
            if kind in chosen.kinds or kind == "random"]


def installed(needs, work):
    """Tools by name, versions, and what is missing with the reason."""
    tools, versions, missing = {}, {}, {}

    def get(name):
        if name == "python":
            tools["python"] = str(install.python(work))
            for line in (HERE / "requirements.txt").read_text().split():
                package, number = line.split("==")
                versions[package] = number
        elif name == "postgres":
            tools["postgres"] = str(install.postgres(work))
            if str(work) in tools["postgres"]:
                root = pathlib.Path(work, "deb-postgres")
                tools["postgres_libraries"] = install.deb_libraries(root)
            versions["postgres"] = install.output(
                [tools["postgres"] + "/postgres", "--version"],
                tools.get("postgres_libraries")).split()[2]
        elif name == "redis":
            root = install.debs("redis", work)
            # redis-server is a link to this program, which goes by its own name.
            tools["redis"] = str(root / "usr/bin/redis-server")
            tools["redis_libraries"] = install.deb_libraries(root)
            versions["redis"] = install.output([tools["redis"], "--version"],
                                               tools["redis_libraries"]).split()[2]
        elif name == "kafka":
            tools["kafka"] = str(install.kafka(work))
            versions["kafka"] = next(pathlib.Path(tools["kafka"]).glob(
                "kafka-clients-*.jar")).stem.removeprefix("kafka-clients-")
        elif name == "nats":
            tools["nats"] = str(install.nats(work))
            versions["nats"] = install.output([tools["nats"], "-v"]).split("v")[-1].strip()
        else:
            root = install.debs(name, work)
            libraries = {"rocksdb": ["-lrocksdb"], "lmdb": ["-llmdb"]}[name]
            tools["ids_" + name] = str(install.c_program("ids_" + name, root, libraries, work))
            versions[name] = install.deb_version(root)

    for name in sorted(needs):
        say(f"installing {name}")
        try:
            get(name)
        except (install.Missing, OSError, StopIteration, IndexError) as error:
            missing[name] = str(error) or type(error).__name__
            say(f"  not installed: {missing[name]}")
    return tools, versions, missing


class Comparison:
    def __init__(self, chosen, work):
        self.chosen, self.work = chosen, pathlib.Path(work)
        self.build = pathlib.Path(os.environ.get("VENTURI_BUILD", "build/release")).resolve()
        self.start_us = int(time.time()) * 1_000_000
        self.files, self.answers, self.results = {}, {}, []
        self.tools = {}

    def data(self, row, kind):
        """The events of a row and the answer to them."""
        if kind == "random":
            return None, None
        count = self.chosen.store_events if row.section == "store" else self.chosen.events
        size = max(count, self.files[kind].count) if kind in self.files else count
        if kind not in self.files or self.files[kind].count < size:
            most = max(self.chosen.store_events if one.section == "store" else self.chosen.events
                       for one, its in self.plan if its == kind)
            say(f"writing {most} events with ids {kind}")
            self.files[kind] = events.write(self.build / "bench/write_events",
                                            self.work / f"rows-{kind}.bin", kind, most,
                                            self.start_us)
        limit = min(count, row.events_max or count)
        limit = -(-limit // self.chosen.batch) * self.chosen.batch
        view = events.Events(self.files[kind].path, kind, limit)
        if (kind, limit) not in self.answers:
            self.answers[kind, limit] = events.reference(view)
        return view, self.answers[kind, limit]

    def child(self, row, kind, folder, phase):
        """One run in a process of its own; what it prints is its result."""
        view, _ = self.data(row, kind)
        task = {"call": row.call, "events": view.spec() if view else None, "dir": str(folder),
                "batch": self.chosen.batch, "threads": self.chosen.threads,
                "build": str(self.build), "tools": self.tools, "start_us": self.start_us,
                "count": view.count if view else self.chosen.ids_count, "phase": phase}
        program = self.tools["python"] if "python" in row.needs else sys.executable
        process = subprocess.Popen([program, str(HERE / "child.py")], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        try:
            out, err = process.communicate(json.dumps(task), timeout=self.chosen.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"error": f"not done after {self.chosen.timeout} s"}
        except BaseException:   # we are told to end: its servers with it
            os.killpg(process.pid, signal.SIGKILL)
            raise
        try:
            result = json.loads(out)
        except ValueError:
            return {"error": f"status {process.returncode}: {err.strip()[-300:]}"}
        if "error" in result:
            say(err.strip()[-2000:])
        return result

    def check(self, row, kind, result):
        """A run's answer against the naive one: what differs, or nothing."""
        if "error" in result:
            return result["error"]
        if kind == "random":
            if result["inserted"] + result.get("not_new", 0) != self.chosen.ids_count:
                return f"{result['inserted']} ids inserted, not {self.chosen.ids_count}"
            if result.get("found") != result.get("repeats"):
                return f"{result['found']} of {result['repeats']} repeats were found"
            return None
        _, answer = self.data(row, kind)
        for key in ("distinct", "sums", "cells"):
            if row.same_answer and key in result and result[key] != answer[key]:
                return (f"{key} differ from the events" if key != "distinct" else
                        f"{result[key]} distinct ids where the events have {answer[key]}")
        return None

    def run_once(self, entry, number, phase, folder):
        row, kind = entry["row"], entry["kind"]
        view, answer = self.data(row, kind)
        os.sync()       # what others left unwritten is not this row's
        load = machine.load()
        result = self.child(row, kind, folder, phase)
        wrong = self.check(row, kind, result)
        for key in ("sums", "cells"):
            result.pop(key, None)
        result.update(phase=phase, number=number, load=load, wrong=wrong,
                      checked=row.same_answer or kind == "random")
        if view:
            result["events"] = view.count
            result["answer_distinct"] = answer["distinct"]
        entry["runs"].append(result)
        rate = report.rate_of(entry, result)
        say(f"  {phase} {number} {row.name} {kind}: " + (f"WRONG: {wrong}" if wrong else
            f"{rate:,.0f}/s" if rate else "done") +
            f"   (load {load['load1']}, others {load['busy_percent']} %)")

    def folder(self, row, kind):
        path = self.work / f"run-{row.name}-{kind}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o755)
        return path

    def alternate(self, entries):
        """Every row once, then every row again: no row has a quiet hour for itself."""
        stores = [entry for entry in entries if entry["row"].section == "store"]
        for entry in stores:
            entry["folder"] = self.folder(entry["row"], entry["kind"])
            self.run_once(entry, 1, "load", entry["folder"])
        for number in range(1, self.chosen.runs + 1):
            for entry in entries:
                row = entry["row"]
                if row.section == "store":
                    if row.scans and not entry["runs"][0]["wrong"]:
                        self.run_once(entry, number, "scan", entry["folder"])
                    continue
                folder = self.folder(row, entry["kind"])
                self.run_once(entry, number, "run", folder)
                shutil.rmtree(folder, ignore_errors=True)
        for entry in stores:
            shutil.rmtree(entry["folder"], ignore_errors=True)

    def run(self):
        self.plan = selected(self.chosen)
        needs = {need for row, _ in self.plan for need in row.needs}
        self.tools, versions, missing = installed(needs, self.work)
        versions["venturi"] = install.output([str(self.build / "venturi"), "--version"]).strip()
        versions["sqlite"] = __import__("sqlite3").sqlite_version
        entries = [{"row": row, "kind": kind, "runs": []} for row, kind in self.plan
                   if not set(row.needs) & set(missing)]
        for section in rows.SECTIONS:
            for kind in (*events.KINDS, "random"):
                part = [entry for entry in entries
                        if entry["row"].section == section and entry["kind"] == kind]
                if part:
                    say(f"section {section}, ids {kind}")
                    self.alternate(part)
        return {"machine": machine.fingerprint(self.work), "versions": versions,
                "missing": missing, "options": {key: value for key, value in
                                                vars(self.chosen).items() if key != "work"},
                "rows": [report.plain(entry) for entry in entries]}


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = pathlib.Path(chosen.work or tempfile.mkdtemp(prefix="venturi-peers-"))
    work.mkdir(parents=True, exist_ok=True)
    # Servers that refuse root run as nobody and have to get to their files.
    work.chmod(0o755)
    try:
        result = Comparison(chosen, work.resolve()).run()
    finally:
        if not chosen.work:
            shutil.rmtree(work, ignore_errors=True)
    print(report.text(result))
    if chosen.json:
        pathlib.Path(chosen.json).write_text(json.dumps(result, indent=1) + "\n")
    wrong = any(run["wrong"] for row in result["rows"] for run in row["runs"])
    sys.exit(1 if wrong else 3 if result["missing"] else 0)


if __name__ == "__main__":
    main()
