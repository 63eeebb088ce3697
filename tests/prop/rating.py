#!/usr/bin/env python3
"""Rating against the oracle: lines and unrated usage of random catalogs, equal string for string.

usage: rating.py [--cases N] [--seed N] [--one SEED]

Accepted events go through rating_probe in blocks of random size. Without --seed the first seed is
random and printed; a run of at least 300 cases fails if they missed a feature of the generator.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import _generate

oracle = _generate.oracle
PROBE = pathlib.Path(os.environ.get("VENTURI_BUILD", "build/release")) / "tests/prop/rating_probe"


def text(value):
    data = value.encode("utf-8")
    return b"%d:%s" % (len(data), data)


def row_bytes(catalog, event):
    """An accepted event in the form that rating_probe reads."""
    kind = next(t for t in catalog["event_types"] if t["type"] == event["type"])
    fields = []
    for field in kind["fields"]:
        name = field["name"]
        if field["kind"] == "string":
            fields.append(text(name) + b"s" + text(event["dims"][name]))
        elif name in event["values"]:
            scale = field.get("scale", 0)
            units = event["values"][name] * 10**scale
            assert units.denominator == 1
            fields.append(text(name) + b"d%d %d " % (scale, units.numerator))
    head = b"".join(text(event[word]) for word in ("tenant", "type", "source", "id"))
    return head + b"%d %d " % (event["time"], len(fields)) + b"".join(fields)


def probe(folder, block_rows, at):
    command = [PROBE, folder / "catalog.json", folder / "rows.txt", str(block_rows)]
    done = subprocess.run(command + ([] if at is None else [str(at)]), capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode("utf-8", errors="replace"))
    rows = done.stdout.decode("utf-8").split("\n")[:-1]
    return {"lines": [json.loads(r[2:]) for r in rows if r.startswith("L ")],
            "unrated": [json.loads(r[2:]) for r in rows if r.startswith("U ")]}


def difference(want, got):
    """The first lines in which two answers differ; the order counts, that of keys as well."""
    for part in ("lines", "unrated"):
        want_rows = [json.dumps(row, ensure_ascii=False) for row in want[part]]
        got[part].sort(key=lambda row: row["tenant"])      # the probe goes by the catalog's order
        got_rows = [json.dumps(row, ensure_ascii=False) for row in got[part]]
        if want_rows != got_rows:
            missing = [r for r in want_rows if r not in got_rows]
            extra = [r for r in got_rows if r not in want_rows]
            if not missing and not extra:
                return f"{part}: the order differs"
            return "\n".join([f"{part}: oracle {len(want_rows)}, rating {len(got_rows)}",
                              *("- " + r for r in missing[:4]), *("+ " + r for r in extra[:4])])
    return None


def run_case(seed):
    """(features, problem or None)"""
    case = _generate.Case(seed)
    rng = random.Random(seed)
    found = set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "catalog.json").write_bytes(case.catalog_bytes())
        accepted, _ = _generate.answer(case)
        (folder / "rows.txt").write_bytes(b"".join(row_bytes(case.catalog, e) for e in accepted))
        for at in case.ask:
            _, want = _generate.answer(case, at)
            found |= set(_generate.features(case.catalog, want))
            block_rows = rng.choice([1, 2, 7, 100, 5000])
            try:
                problem = difference(want, probe(folder, block_rows, at))
            except RuntimeError as why:
                problem = str(why)
            if problem:
                return found, f"seed {seed}, blocks of {block_rows}, at {at}: {problem}"
    return found, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int,
                        default=int(os.environ.get("VENTURI_PROP_CASES") or 300))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--one", type=int)
    args = parser.parse_args()
    seeds = [args.one] if args.one is not None else range(args.seed, args.seed + args.cases)
    reached, problems = collections.Counter(), []
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for found, problem in pool.map(run_case, seeds, chunksize=8):
            reached.update(found)
            if problem:
                problems.append(problem)
    for problem in problems[:5]:
        print(problem)
    missed = [f for f in _generate.EVERY_FEATURE if not reached[f]]
    print(json.dumps({"cases": len(seeds), "first_seed": seeds[0], "problems": len(problems),
                      "missed": missed, "reached": dict(sorted(reached.items()))}))
    return 1 if problems or (missed and len(seeds) >= 300) else 0


if __name__ == "__main__":
    sys.exit(main())
