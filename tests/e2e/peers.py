"""Goal:   the comparison of bench/peers runs without any download, its rows hold what the events
        say, and a row that does not is marked wrong.
Method: the row of SQLite beside Venturi's on 20,000 events; then the check is given answers that
        lost or doubled one event."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ["VENTURI_SRC"])
sys.path.insert(0, str(ROOT / "bench/peers"))

import compare  # noqa: E402
import rows  # noqa: E402

EVENTS = 20_000


def run(folder):
    file = pathlib.Path(folder, "peers.json")
    done = subprocess.run(
        [ROOT / "bench/peers/run.sh", "--events", str(EVENTS), "--runs", "1", "--only", "sqlite",
         "--work", folder, "--json", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["missing"] == {}, found["missing"]
    seen = {(row["name"], row["ids"]): row["runs"] for row in found["rows"]}
    assert set(seen) == {(name, ids) for name in ("venturi", "sqlite")
                         for ids in ("sequence", "uuid")}, sorted(seen)
    for (name, ids), (one,) in seen.items():
        assert one["wrong"] is None and one["checked"], one
        assert one["events"] == EVENTS, one
        # 1 % of the events with ids of their own are repeats; a sequence has none.
        assert (one["distinct"] == EVENTS) == (ids == "sequence"), (name, ids, one["distinct"])
        assert one["distinct"] == one["answer_distinct"], one
    assert "WRONG" not in done.stdout


class Answered(compare.Comparison):
    """With an answer given by hand."""

    def __init__(self):
        self.answer = {"distinct": 3, "sums": [5, 7], "cells": [5, 0, 0, 7]}

    def data(self, row, kind):
        return None, self.answer


def check_marks():
    judge = Answered()
    row = next(row for row in rows.ROWS if row.name == "sqlite")
    for name, result, right in (
            ("equal", {"distinct": 3, "sums": [5, 7]}, True),
            ("one lost", {"distinct": 2, "sums": [5, 7]}, False),
            ("one doubled", {"distinct": 3, "sums": [5, 8]}, False),
            ("another tenant's", {"distinct": 3, "sums": [7, 5]}, False),
            ("another type's", {"distinct": 3, "cells": [0, 5, 0, 7]}, False),
            ("failed", {"error": "no"}, False)):
        assert (judge.check(row, "uuid", result) is None) == right, name


def main():
    check_marks()
    with tempfile.TemporaryDirectory() as folder:
        run(folder)
    print("peers: ok")


if __name__ == "__main__":
    main()
