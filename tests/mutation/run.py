#!/usr/bin/env python3
"""Planted faults: each one-line fault of _faults.py must turn its named test red.

usage: run.py [--only TEXT] [--jobs N] [--list] [--keep]

Works in copies of the tree below build/mutation, one for each job: applies a fault, builds the one
program that its test needs, runs the test, wants it to fail, takes the fault back. A fault that
survives, that does not compile, or whose old text is not found exactly once is a failure, and so is
a test that is red without a fault. The last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import time

from _faults import FAULTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build/mutation"
TEST_SECONDS = 120
ENVIRONMENT = dict(os.environ, CRITERION_JOBS="1")


def tree_files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
            if path.is_file() and not str(path.relative_to(ROOT)).startswith(("build/", ".git/"))]


class Copy:
    """A copy of the tree with a build directory of its own."""

    def __init__(self, number):
        self.source = SCRATCH / f"copy-{number}"
        self.build = self.source / "build/dev"
        self.log = SCRATCH / f"log-{number}"

    def refresh(self):
        """Files whose bytes are the same keep their times, so that little is built again."""
        wanted = set(tree_files())
        for name in wanted:
            to, data = self.source / name, (ROOT / name).read_bytes()
            if not to.is_file() or to.read_bytes() != data:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(data)
        for path in list(self.source.rglob("*")):
            name = str(path.relative_to(self.source))
            if path.is_file() and not name.startswith("build/") and name not in wanted:
                path.unlink()
        return self.run("cmake", "--preset", "dev", "-DVENTURI_WERROR=OFF")

    def run(self, *command, seconds=1800):
        """The exit status, 124 after so long; the output goes to the log."""
        environment = dict(ENVIRONMENT, VENTURI_BUILD=str(self.build),
                           VENTURI_SRC=str(self.source))
        with open(self.log, "ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(command, cwd=self.source, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=environment,
                                       start_new_session=True)
            try:
                return process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                return 124

    def make(self, targets, jobs):
        return self.run("cmake", "--build", str(self.build), "-j", str(jobs), "--target", *targets)

    def test(self, command):
        return self.run(*(word.replace("BUILD", str(self.build)) for word in command.split()),
                        seconds=TEST_SECONDS)


def targets_of(test):
    """What a test needs built: "PROGRAM ARGUMENTS", or "PROGRAM PROGRAM: COMMAND"."""
    return test.split(":")[0].split() if ":" in test else test.split()[:1]


def command_of(copy, test):
    name = targets_of(test)[0]
    if ":" in test:
        return test.split(":", 1)[1].strip()
    found = next(copy.build.glob(f"tests/*/{name}"))
    return " ".join([str(found), *test.split()[1:]])


def plant(copy, fault):
    """The problem, or None where the test went red."""
    path = copy.source / fault["file"]
    text = path.read_text() if path.is_file() else ""
    found = text.count(fault["old"])
    if found != 1:
        return f"its old text is there {found} times"
    if fault["old"] == fault["new"]:
        return "it changes nothing"
    path.write_text(text.replace(fault["old"], fault["new"]))
    try:
        if copy.make(targets_of(fault["test"]), 1) != 0:
            return "it does not compile"
        if copy.test(command_of(copy, fault["test"])) == 0:
            return f"{fault['test']} stays green"
        return None
    finally:
        path.write_text(text)


def prepare(copies, tests, jobs):
    """Both trees built, one after the other so that the second finds the first in the cache, and
    every test green without a fault. Gives the tests that are not."""
    targets = sorted({target for test in tests for target in targets_of(test)})
    for copy in copies:
        if copy.refresh() != 0:
            return ["configure"]
        if copy.make(targets, jobs) != 0:
            return ["build"]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        states = pool.map(lambda test: copies[0].test(command_of(copies[0], test)), tests)
    return [test for test, state in zip(tests, states) if state != 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="faults whose name or file has this text")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("VENTURI_JOBS", "2")))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the copies for the next run")
    args = parser.parse_args()
    faults = [f for f in FAULTS if args.only in f["name"] or args.only in f["file"]]
    if args.list:
        for fault in faults:
            print(f"{fault['file']:32} {fault['name']:40} {fault['test']}")
        return 0
    SCRATCH.mkdir(parents=True, exist_ok=True)
    copies = [Copy(number) for number in range(args.jobs)]
    for copy in copies:
        copy.log.unlink(missing_ok=True)
    start = time.monotonic()
    red = prepare(copies, sorted({f["test"] for f in faults}), args.jobs)
    for name in red:
        print(f"  red without a fault: {name}", flush=True)
    print(f"  {len(faults)} faults, ready after {time.monotonic() - start:.0f} s", flush=True)
    free, failed = queue.Queue(), len(red)
    for copy in copies:
        free.put(copy)

    def one(fault):
        copy, began = free.get(), time.monotonic()
        try:
            return fault, plant(copy, fault), time.monotonic() - began
        finally:
            free.put(copy)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for fault, problem, seconds in pool.map(one, faults if "build" not in red else []):
            failed += problem is not None
            print(f"  {'SURVIVED' if problem else 'red':8} {seconds:4.0f} s  {fault['name']}"
                  + (f" ({fault['file']}): {problem}" if problem else ""), flush=True)
    if failed == 0 and not args.keep:
        shutil.rmtree(SCRATCH)
    print(f"{len(faults) + len(red) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
