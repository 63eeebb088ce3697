"""One run of one row in a process of its own, so that its memory and CPU are its own: reads a JSON
object on standard input, writes one on standard output."""

import importlib
import json
import pathlib
import resource
import statistics
import sys
import time
import traceback

import events


class Context:
    """What a row gets: the events, an empty directory, tools, and what to do."""

    def __init__(self, task):
        given = task.get("events")
        self.events = events.Events(given["path"], given["kind"], given["count"]) if given else None
        self.dir = pathlib.Path(task["dir"])
        self.batch = task["batch"]
        self.threads = task["threads"]
        self.build = pathlib.Path(task["build"])
        self.tools = task["tools"]
        self.start_us = task["start_us"]
        self.count = task["count"]
        self.phase = task["phase"]

    def slices(self):
        """(first, last) of each batch."""
        for first in range(0, self.events.count, self.batch):
            yield first, min(first + self.batch, self.events.count)


class Clock:
    """Seconds and this process's CPU between enter and exit."""

    def __enter__(self):
        self.cpu = time.process_time()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.began
        self.client_cpu = time.process_time() - self.cpu

    def result(self, **more):
        return {"seconds": self.seconds, "client_cpu_seconds": round(self.client_cpu, 3), **more}


def warm(runs):
    """Medians of (seconds, CPU seconds) of several runs of a query but the first."""
    seconds, spent = zip(*runs[1:])
    return {"seconds": statistics.median(seconds), "cpu_seconds": statistics.median(spent)}


def main():
    task = json.load(sys.stdin)
    sys.stdout, out = sys.stderr, sys.stdout        # what a package prints is no result
    module, function = task["call"].split(":")
    try:
        result = getattr(importlib.import_module(module), function)(Context(task))
    except Exception as error:      # every fault of a peer becomes a line of the table
        text = " ".join(str(error).split())
        result = {"error": f"{type(error).__name__}: {text[:300]}"}
        traceback.print_exc()
    result["process_peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump(result, out)


if __name__ == "__main__":
    main()
