"""Time zones equal Python's zoneinfo, billing periods the oracle's, in every zone of the system.

usage: zones.py [SEED]

zone_probe is asked around every transition and at random instants of the years 2 to 9998.
"""

import datetime as dt
import importlib.util
import os
import pathlib
import random
import subprocess
import sys
import zoneinfo

SOURCE = pathlib.Path(os.environ.get("VENTURI_SRC", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("VENTURI_BUILD", SOURCE / "build" / "dev"))
US = 1_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
FIRST_S, LAST_S = -62_104_060_800, 253_370_764_800 - 86400 * 62
RANDOM_INSTANTS, RANDOM_DATES, PERIODS = 60, 60, 40
# Clocks that go back over midnight, skip it, have it twice, or skip a day: (zone, anchor, instant).
NAMED = [
    ("America/St_Johns", 1, "2009-11-01T03:00:00"), ("America/Goose_Bay", 1, "2009-11-01T03:30:00"),
    ("Pacific/Apia", 29, "2011-12-30T09:00:00"), ("Pacific/Apia", 30, "2011-12-30T10:00:00"),
    ("Pacific/Apia", 31, "2011-12-31T12:00:00"), ("Pacific/Kwajalein", 21, "1993-08-21T12:00:00"),
    ("America/Havana", 5, "2023-11-05T04:30:00"), ("America/Sao_Paulo", 15, "2017-10-15T03:00:00"),
    ("America/Sao_Paulo", 18, "2018-02-18T02:30:00"), ("Asia/Beirut", 27, "2022-03-26T22:30:00"),
    ("Africa/Cairo", 26, "2024-04-25T22:00:00"), ("Africa/Cairo", 24, "2026-04-23T22:00:00"),
    ("Europe/Amsterdam", 31, "1900-02-28T23:50:00"), ("Europe/Dublin", 31, "2024-10-27T00:30:00"),
]


def load_oracle():
    path = SOURCE / "tests" / "oracle" / "oracle.py"
    spec = importlib.util.spec_from_file_location("oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(lines):
    probe = BUILD / "tests" / "prop" / "zone_probe"
    done = subprocess.run([probe], input="\n".join(lines) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"zone_probe failed: {done.stderr}")
    return done.stdout.splitlines()


def utc(seconds):
    return EPOCH + dt.timedelta(seconds=seconds)


def questions(rng, name, transitions, oracle):
    """(question, the answer that Python gives) for one zone."""
    tz = zoneinfo.ZoneInfo(name)
    near = [t for t in transitions if FIRST_S < t < LAST_S]
    instants = [t + d for t in near for d in (-86400, -1, 0, 1, 3599)]
    instants += [rng.randrange(FIRST_S, LAST_S) for _ in range(RANDOM_INSTANTS)]
    instants += [rng.randrange(2_000_000_000, 4_102_444_800) for _ in range(RANDOM_INSTANTS)]
    for s in instants:
        offset = utc(s).astimezone(tz).utcoffset()
        yield f"o {s}", str(offset.days * 86400 + offset.seconds)
    dates = [(utc(t) + dt.timedelta(days=d)).date() for t in near for d in (-1, 0, 1)]
    dates += [utc(rng.randrange(FIRST_S, LAST_S)).date() for _ in range(RANDOM_DATES)]
    for d in dates:
        local = dt.datetime(d.year, d.month, d.day, tzinfo=tz)
        yield f"m {d.year} {d.month} {d.day}", str(int(local.timestamp()) * US)
    chosen = [rng.choice(near) + rng.randrange(-90000, 90000) for _ in range(PERIODS) if near]
    chosen += [rng.randrange(FIRST_S + 86400 * 62, LAST_S) for _ in range(PERIODS // 4)]
    for s in chosen:
        anchor, us = rng.choice((1, 2, 15, 28, 29, 30, 31)), s * US + rng.randrange(US)
        yield f"p {anchor} {us}", period(oracle, name, anchor, us)


def period(oracle, name, anchor, us):
    start = oracle.month_start(us, anchor, name)
    return f"{start} {oracle.next_month_start(start, anchor, name)}"


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, oracle = random.Random(seed), load_oracle()
    names = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
    listed = ask([line for name in names for line in (f"z {name}", "t")])
    asked, wanted, context = [], [], []
    for name, line in zip(names, listed):
        asked.append(f"z {name}")
        for question, answer in questions(rng, name, [int(t) for t in line.split()], oracle):
            asked.append(question)
            wanted.append(answer)
            context.append((name, question))
    for name, anchor, text in NAMED:
        us = int((dt.datetime.fromisoformat(text + "+00:00") - EPOCH).total_seconds()) * US
        for step in range(-48, 49):
            at = us + step * 1800 * US
            asked += [f"z {name}", f"p {anchor} {at}"]
            wanted.append(period(oracle, name, anchor, at))
            context.append((name, asked[-1]))
    got = ask(asked)
    wrong = [(where, want, have) for where, want, have in zip(context, wanted, got) if want != have]
    for where, want, have in wrong[:20]:
        print(f"{where[0]}: {where[1]}: zoneinfo says {want}, Venturi {have}")
    if len(got) != len(wanted) or not names:
        raise SystemExit(f"{len(got)} answers to {len(wanted)} questions in {len(names)} zones")
    print(f"{len(wanted)} answers in {len(names)} zones, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
