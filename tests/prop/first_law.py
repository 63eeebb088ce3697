#!/usr/bin/env python3
"""The first law: a plan version, or an amendment with `continue`, that changes no term changes no
amount.

usage: first_law.py [--cases N] [--seed N] [--one SEED]

A random case is rated twice by the engine: as it is, and with a copy of the plan version in force,
or of a contract's version with "counters": "continue", put in at a random instant. The totals of
every charge, row, kind and price group of each period must be equal to the cent; shares of
`split_by` may move. Without --seed the first seed is random and printed; a run of at least 300
cases fails if it did not see both kinds of cut move a line.
"""

import argparse
import collections
import concurrent.futures
import copy
import json
import os
import pathlib
import random
import sys
import tempfile
from fractions import Fraction

import _generate
import rating

oracle = _generate.oracle


def cut_plan(catalog, instant, rng):
    """A copy of the version of some plan that is in force at the instant, from there on; None where
    there is none."""
    followed = [c["plan"] for c in catalog["contracts"] if c["plan_version"] == "latest"]
    if not followed:
        return None
    key = rng.choice(followed)
    known = [p for p in catalog["plans"] if p["key"] == key]
    now = [p for p in known if oracle.parse_time(p["effective_from"]) <= instant]
    if not now or any(oracle.parse_time(p["effective_from"]) == instant for p in known):
        return None
    latest = max(reversed(now), key=lambda p: oracle.parse_time(p["effective_from"]))
    version = copy.deepcopy(latest)
    version["version"] = max(p["version"] for p in known) + 1000
    version["effective_from"] = oracle.rfc3339(instant)
    return dict(catalog, plans=catalog["plans"] + [version])


def cut_contract(catalog, instant, rng):
    """A contract's version in force at the instant goes on from there as another one, counters
    too."""
    versions = oracle.contract_versions(catalog)
    inside = [v for group in versions.values() for v in group
              if v["begin"] < instant and (v["end"] is None or instant < v["end"])]
    if not inside:
        return None
    found = rng.choice(inside)
    key, number = found["key"], found.get("version", 1)
    amended = copy.deepcopy(next(c for c in catalog["contracts"]
                                 if c["key"] == key and c.get("version", 1) == number))
    amended["version"] = max(v.get("version", 1) for v in versions[key]) + 1000
    amended["from"] = oracle.rfc3339(instant)
    amended["counters"] = "continue"
    return dict(catalog, contracts=catalog["contracts"] + [amended])


def totals(catalog, lines):
    """(contract, period, charge, kind, row, price group) -> sum of amounts."""
    by = {c["key"]: c.get("price_by", []) for p in catalog["plans"] for c in p["charges"]}
    found = collections.defaultdict(Fraction)
    for line in lines:
        group = tuple(sorted((d, v) for d, v in line["group"].items()
                             if d in by.get(line["charge"], ())))
        key = (line["contract"], line["period_start"], line["charge"], line["kind"], line["row"],
               group)
        found[key] += Fraction(line["amount"])
    return {key: amount for key, amount in found.items() if amount}


def spans(lines):
    return {(line["contract"], line["charge"], line["from"], line["to"]) for line in lines}


def run_case(seed):
    """(features, problem or None)"""
    rng = random.Random(seed)
    case = _generate.Case(seed, event_count=rng.choice([20, 60, 120]))
    catalog = json.loads(case.catalog_bytes(), parse_float=oracle.Decimal)
    accepted, _ = _generate.answer(case)
    if not accepted:
        return set(), None
    low, high = min(e["time"] for e in accepted), max(e["time"] for e in accepted)
    instant = rng.randint(low, high + 1)
    kind = rng.choice(["plan", "contract"])
    other = (cut_plan if kind == "plan" else cut_contract)(case.catalog, instant, rng)
    if other is None:
        return set(), None
    try:
        oracle.check(json.loads(json.dumps(other), parse_float=oracle.Decimal))
    except SystemExit:
        return {"refused"}, None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "rows.txt").write_bytes(b"".join(rating.row_bytes(catalog, e) for e in accepted))
        answers = []
        for terms in (case.catalog, other):
            text = json.dumps(terms, ensure_ascii=False)
            (folder / "catalog.json").write_text(text, encoding="utf-8")
            try:
                answers.append(rating.probe(folder, 100, None)["lines"])
            except RuntimeError as why:
                return set(), f"seed {seed}, {kind} cut at {instant}: {why}"
    before, after = totals(case.catalog, answers[0]), totals(other, answers[1])
    if before != after:
        moved = sorted(str((k, str(before.get(k, 0)), str(after.get(k, 0))))
                       for k in {*before, *after} if before.get(k, 0) != after.get(k, 0))
        return set(), f"seed {seed}, {kind} cut at {instant}: " + "\n".join(moved[:4])
    moved_a_line = spans(answers[0]) != spans(answers[1])
    return {kind} | ({f"{kind}_cut_a_line"} if moved_a_line else set()), None


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
            problems += [problem] if problem else []
    for problem in problems[:5]:
        print(problem)
    missed = [f for f in ("plan_cut_a_line", "contract_cut_a_line") if not reached[f]]
    print(json.dumps({"cases": len(seeds), "first_seed": seeds[0], "problems": len(problems),
                      "missed": missed, "reached": dict(sorted(reached.items()))}))
    return 1 if problems or (missed and len(seeds) >= 300) else 0


if __name__ == "__main__":
    sys.exit(main())
