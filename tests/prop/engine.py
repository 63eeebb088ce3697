#!/usr/bin/env python3
"""The whole engine against the oracle: random catalogs and dirty streams, equal string for string.

usage: engine.py [--cases N] [--seed N] [--one SEED] [--seconds N]

Each case goes through engine_probe: batches of 1 to 10,000 events, 1 or 2 workers, 1 to 4
partitions, cuts, restarts, crashes of a simulated disk, and in some cases a catalog that is mended
afterwards and every exception retried. Without --seed the first seed is random and printed; a run
of at least 300 cases fails if it missed a feature. VENTURI_PROP_CASES is the number of cases where
--cases is not given.
"""

import argparse
import collections
import concurrent.futures
import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import _generate

oracle = _generate.oracle
PROBE = pathlib.Path(os.environ.get("VENTURI_BUILD", "build/release")) / "tests/prop/engine_probe"
EVERY_FEATURE = sorted([*_generate.EVERY_FEATURE, "retry", "retry_accepted", "restart", "crash",
                        "clean_stop", "segments", "columns", "merged", "merged_twice",
                        *(f"window_{a}" for a in _generate.AGGREGATIONS)])


def unknown_names(case):
    """Tenants and types that the stream names and the catalog does not have."""
    tenants = {t["key"] for t in case.catalog["tenants"]}
    types = {t["type"] for t in case.catalog["event_types"]}
    new_tenants, new_types = set(), set()
    for event in _generate.parse_lines(case.events_bytes()):
        tenant, kind = event.get("tenant"), event.get("type")
        if isinstance(tenant, str) and tenant not in tenants and oracle.is_text(tenant):
            new_tenants.add(tenant)
        if isinstance(kind, str) and kind not in types and oracle.is_text(kind):
            new_types.add(kind)
    return sorted(new_tenants), sorted(new_types)


def mended(case):
    """The case's catalog with every tenant and type that the stream names; None: nothing is new."""
    tenants, types = unknown_names(case)
    tenants = [t for t in tenants if t]
    types = [t for t in types if t]
    if not tenants and not types:
        return None
    more = copy.deepcopy(case.catalog)
    more["tenants"] += [{"key": t} for t in tenants]
    more["event_types"] += [{"type": t, "fields": []} for t in types]
    for number, kind in enumerate(types):
        more["meters"].append({"key": f"mended-{number}", "event_type": kind,
                               "aggregation": "count", "window": "1h"})
    return more


def retried_stream(case, before, after):
    """The order in which a log with a retry at its end has the events: what was no exception, then
    the exceptions again."""
    types = {t["type"]: t for t in before["event_types"]}
    tenants = {t["key"] for t in before["tenants"]}
    first, second = [], []
    for event in _generate.parse_lines(case.events_bytes()):
        clean = {name: value for name, value in event.items() if value is not None}
        try:
            oracle.validate(clean, types, tenants)
            first.append(event)
        except oracle.Rejected as why:
            second.append((str(why), event))
    return first, second


def want_of(case, at, then):
    catalog = json.loads(case.catalog_bytes(), parse_float=oracle.Decimal)
    events = list(_generate.parse_lines(case.events_bytes()))
    if then is not None:
        first, second = retried_stream(case, catalog, then)
        catalog = json.loads(json.dumps(then), parse_float=oracle.Decimal)
        accepted, counts, _ = oracle.ingest(catalog, first + [event for _, event in second])
        # An exception that stays one keeps the reason that it had first.
        types = {t["type"]: t for t in catalog["event_types"]}
        tenants = {t["key"] for t in catalog["tenants"]}
        reasons = collections.Counter()
        for why, event in second:
            clean = {name: value for name, value in event.items() if value is not None}
            try:
                oracle.validate(clean, types, tenants)
            except oracle.Rejected:
                reasons[why] += 1
    else:
        accepted, counts, reasons = oracle.ingest(catalog, events)
    return catalog, {
        "summary": dict(sorted(counts.items()), exceptions_by_reason=dict(sorted(reasons.items()))),
        "windows": oracle.windows(catalog, accepted),
        "lines": oracle.lines(catalog, accepted, at),
        "unrated": oracle.unrated(catalog, accepted),
    }


def probe(folder, seed, at, then):
    command = [PROBE, str(seed), folder / "catalog.json", folder / "events.jsonl"]
    command += [] if at is None else ["--at", str(at)]
    command += [] if not then else ["--then", folder / "then.json"]
    done = subprocess.run(command, capture_output=True, timeout=300)
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", errors="replace")
        raise RuntimeError(f"exit {done.returncode}: {told[-2000:]}")
    rows = collections.defaultdict(list)
    for row in done.stdout.decode("utf-8").split("\n")[:-1]:
        rows[row[0]].append(row[2:])
    answer = {"summary": json.loads(rows["S"][0]), "windows": rows["W"], "lines": rows["L"],
              "unrated": rows["U"]}
    return answer, json.loads(rows["N"][0])


def shown(row):
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def difference(want, got):
    """The first rows in which two answers differ; lists are compared as sets, rows as text (keys
    in their order)."""
    if want["summary"] != got["summary"]:
        return f"summary: oracle {want['summary']}, engine {got['summary']}"
    for part in ("windows", "lines", "unrated"):
        wanted = collections.Counter(shown(row) for row in want[part])
        have = collections.Counter(shown(json.loads(row)) for row in got[part])
        if wanted != have:
            missing, extra = list((wanted - have).elements()), list((have - wanted).elements())
            return "\n".join([f"{part}: oracle {len(want[part])}, engine {len(got[part])}",
                              *("- " + r for r in sorted(missing)[:4]),
                              *("+ " + r for r in sorted(extra)[:4])])
    return None


def run_case(seed):
    """(features, problem or None)"""
    rng = random.Random(seed)
    case = _generate.Case(seed)
    then = mended(case) if rng.random() < 0.4 else None
    if then is not None:
        try:
            oracle.check(json.loads(json.dumps(then), parse_float=oracle.Decimal))
        except SystemExit:
            then = None
    found = set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "catalog.json").write_bytes(case.catalog_bytes())
        (folder / "events.jsonl").write_bytes(case.events_bytes())
        if then is not None:
            text = json.dumps(then, ensure_ascii=False)
            (folder / "then.json").write_text(text, encoding="utf-8")
        at = rng.choice(case.ask)
        catalog, want = want_of(case, at, then)
        _, plain = _generate.answer(case, at)
        found |= set(_generate.features(case.catalog, plain))
        meters = {m["key"]: m["aggregation"] for m in catalog["meters"]}
        found |= {f"window_{meters[row['meter']]}" for row in want["windows"]}
        try:
            got, notes = probe(folder, seed, at, then is not None)
        except (RuntimeError, subprocess.TimeoutExpired) as why:
            return found, f"seed {seed}, at {at}: {why}"
        found |= {word for word, key in (("restart", "restarts"), ("crash", "crashes"),
                                         ("clean_stop", "clean"), ("segments", "segments"),
                                         ("columns", "columns"), ("retry", "retried"),
                                         ("merged", "merge_level")) if notes[key]}
        if notes["merge_level"] > 1:
            found.add("merged_twice")
        if then is not None and want["summary"]["accepted"] > plain["summary"]["accepted"]:
            found.add("retry_accepted")
        problem = difference(want, got)
        told = f"seed {seed}, at {at}, then {then is not None}: {problem}"
        return found, told if problem else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int,
                        default=int(os.environ.get("VENTURI_PROP_CASES") or 300))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--one", type=int)
    parser.add_argument("--seconds", type=float, default=1e9,
                        help="stop beginning new cases after so long")
    args = parser.parse_args()
    seeds = [args.one] if args.one is not None else range(args.seed, args.seed + args.cases)
    reached, problems, done, start = collections.Counter(), [], 0, time.monotonic()
    print(f"first seed {seeds[0]}, {len(seeds)} cases", flush=True)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for at in range(0, len(seeds), 32):
            if time.monotonic() - start > args.seconds:
                break
            for found, problem in pool.map(run_case, seeds[at:at + 32], chunksize=4):
                done += 1
                reached.update(found)
                if problem:
                    problems.append(problem)
            if done % 512 == 0 and len(seeds) > 1000:
                print(f"{done} cases, {len(problems)} problems", flush=True)
    for problem in problems[:5]:
        print(problem)
    missed = [f for f in EVERY_FEATURE if not reached[f]]
    print(json.dumps({"cases": done, "first_seed": seeds[0], "problems": len(problems),
                      "missed": missed, "reached": dict(sorted(reached.items()))}))
    return 1 if problems or (missed and done >= 300) else 0


if __name__ == "__main__":
    sys.exit(main())
