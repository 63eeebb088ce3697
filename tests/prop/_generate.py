#!/usr/bin/env python3
"""Random catalogs and dirty streams of events for property tests, and what a case reached.

usage: _generate.py --seed N --out DIR    writes catalog.json and events.jsonl, prints features

A case is a function of its seed. The catalog is always one that the oracle accepts. Times cluster
around a few months and stand often exactly at an edge: of a period, a contract version, a plan
version.
"""

import argparse
import collections
import copy
import datetime as dt
import importlib.util
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent


def load_oracle():
    spec = importlib.util.spec_from_file_location("oracle", HERE.parent / "oracle" / "oracle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracle = load_oracle()

US = 1_000_000
VALUES = ["", "x", "y", "z", "é", "日本", "a b", "𝄞\"\\", "\t\u007f"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/St_Johns",
         "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo", "Australia/Lord_Howe"]
CURRENCIES = ["USD", "EUR", "JPY", "KWD"]
AGGREGATIONS = ["sum", "count", "min", "max", "last", "unique"]
ADDITIVE = ("sum", "count")
MODELS = ["per_unit", "graduated", "volume", "package", "percentage", "fixed"]
REASONS = ["malformed", "unknown_tenant", "unknown_event_type", "missing_id", "bad_time",
           "missing_field", "bad_value", "scale_exceeded", "value_out_of_range"]


def instant(us):
    return oracle.rfc3339(us)


def us_of(year, month, day, hour=0, minute=0):
    stamp = dt.datetime(year, month, day, hour, minute, tzinfo=dt.timezone.utc)
    return int(stamp.timestamp()) * US


def without_empty_versions(catalog):
    """A version that ends at or before its beginning does not exist: what follows it continues
    what was before it, so the two must fit. The oracle's check looks at the empty one instead."""
    real = [version for versions in oracle.contract_versions(catalog).values()
            for version in versions if version["end"] is None or version["begin"] < version["end"]]
    kept = {(version["key"], version["version"]) for version in real}
    return dict(catalog, contracts=[c for c in catalog["contracts"]
                                    if (c["key"], c["version"]) in kept])


def accepted(catalog):
    try:
        oracle.check(catalog)
    except SystemExit:
        return False
    return True


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.year = self.rng.choice([2017, 2023, 2024, 2024, 2025])
        self.month = self.rng.randint(1, 12)
        self.edges = []

    def chance(self, share):
        return self.rng.random() < share

    def moment(self, months=3):
        """An instant in the months of the case; half of them at midnight or noon."""
        rng = self.rng
        base = us_of(self.year, self.month, 1)
        us = base + rng.randrange(months * 30 * 86400) * US
        if self.chance(0.5):
            us -= us % (12 * 3600 * US)
        elif self.chance(0.3):
            us += rng.randrange(US)
        return us

    def money(self, low=0, high=100, digits=4):
        units = self.rng.randint(low * 10**digits, high * 10**digits)
        return oracle.show(oracle.Fraction(units, 10**digits))

    # ---- event types and meters

    def types(self):
        rng = self.rng
        kinds = []
        for number in range(rng.randint(1, 3)):
            dims = ("a", "b", "c")[: rng.choice([1, 2, 3])]
            fields = [{"name": d, "kind": "string"} for d in dims]
            if number == 2 and self.chance(0.3):
                fields = []
            fields.append({"name": "q", "kind": "decimal", "scale": rng.choice([0, 0, 2, 6, 18])})
            if self.chance(0.6):
                fields.append({"name": "r", "kind": "decimal", "scale": rng.choice([0, 3]),
                               "required": False})
            rng.shuffle(fields)
            kinds.append({"type": f"t{number}", "fields": fields})
        return kinds

    def dims(self, kind):
        return [f["name"] for f in kind["fields"] if f["kind"] == "string"]

    def some(self, values, most):
        return self.rng.sample(values, min(len(values), self.rng.randint(0, most)))

    def filter(self, dims):
        given = {}
        for dim in self.some(dims, 2):
            if self.chance(0.4):
                given[dim] = self.rng.choice(VALUES)
            else:
                given[dim] = self.rng.sample(VALUES, self.rng.randint(2, 5))
        return given

    def meters(self, kinds):
        rng = self.rng
        found = []
        order = AGGREGATIONS[:]
        rng.shuffle(order)
        for number in range(rng.randint(2, 7)):
            kind = rng.choice(kinds)
            dims = self.dims(kind)
            aggregation = order[number % len(order)]
            meter = {"key": f"m{number}", "event_type": kind["type"], "aggregation": aggregation,
                     "window": rng.choice(list(oracle.WINDOWS)), "unit": "u"}
            if aggregation == "unique":
                if not dims:
                    meter["aggregation"] = "count"
                else:
                    meter["field"] = rng.choice(dims)
            elif aggregation != "count":
                meter["field"] = rng.choice([f["name"] for f in kind["fields"]
                                             if f["kind"] == "decimal"])
            if self.chance(0.7):
                meter["group_by"] = self.some(dims, 2)
            if self.chance(0.3):
                meter["filter"] = self.filter(dims)
            found.append(meter)
        return found

    # ---- plans

    def terms(self, model, with_included=True):
        """The fields of a model that a row of a price table may carry as well."""
        rng = self.rng
        low = -2 if self.chance(0.05) else 0
        found = {}
        if model in ("per_unit", "fixed", "package"):
            found["price"] = self.money(low, 9)
        if model == "package":
            found["package_size"] = rng.choice(["1", "3", "2.5", "10", "100"])
        if model in ("graduated", "volume"):
            count = rng.randint(1, 4)
            ends = sorted({rng.choice([1, 5, 10, 20, 50, 100]) for _ in range(count - 1)})
            found["tiers"] = [dict({"up_to": str(e)}, price=self.money(low, 5)) for e in ends]
            found["tiers"].append({"price": self.money(low, 3)})
            for tier in found["tiers"]:
                if self.chance(0.4):
                    tier["flat"] = self.money(0, 20, 2)
            if self.chance(0.3):
                found["tiers"][-1]["up_to"] = None
        if model == "percentage":
            found["rate"] = self.money(0, 20, 3)
            if self.chance(0.5):
                found["fixed_per_event"] = self.money(0, 1)
            if self.chance(0.4):
                found["per_event_min"] = self.money(0, 1)
            if self.chance(0.4):
                found["per_event_max"] = self.money(1, 4)
        if with_included and model != "fixed" and self.chance(0.45):
            found["included"] = rng.choice(["0", "5", "10", "33.333", "100", "-3"])
        return found

    def charge(self, key, meters, kinds):
        rng = self.rng
        model = rng.choice(MODELS)
        charge = {"key": key, "model": model}
        if model != "fixed":
            usable = [m for m in meters
                      if model != "percentage" or m["aggregation"] in ADDITIVE]
            if not usable:
                model = charge["model"] = "fixed"
        if model == "fixed":
            charge.update(self.terms(model))
        else:
            meter = rng.choice(usable)
            dims = self.dims(next(k for k in kinds if k["type"] == meter["event_type"]))
            charge["meter"] = meter["key"]
            charge.update(self.usage_terms(model, dims))
        if self.chance(0.3):
            charge["prorate"] = self.chance(0.3)
        if self.chance(0.3):
            charge["discount_percent"] = rng.choice(["10", "33.3", "100", "150", "0"])
        if self.chance(0.25):
            charge["counts_toward_commitment"] = self.chance(0.3)
        return charge

    def usage_terms(self, model, dims):
        rng = self.rng
        found = {}
        if dims and self.chance(0.35):
            rows = []
            for number in range(rng.randint(1, 3)):
                row = self.terms(model)
                when = self.filter(dims)
                if when or number == 0 and self.chance(0.5):
                    row["when"] = when
                rows.append(row)
            found["prices"] = rows
            if self.chance(0.3):
                shared = self.terms(model, with_included=False)
                found.update(shared)
                for row in rows:
                    if self.chance(0.5):
                        for word in shared:
                            row.pop(word, None)
        else:
            found.update(self.terms(model))
        if dims and self.chance(0.4):
            found["split_by"] = self.some(dims, 2)
        if dims and self.chance(0.3):
            found["price_by"] = self.some(dims, 2)
        if dims and self.chance(0.3):
            found["filter"] = self.filter(dims)
        if self.chance(0.25):
            found["minimum"] = self.money(0, 60, 2)
        if self.chance(0.25):
            found["maximum"] = self.money(60, 200, 2)
        if self.chance(0.25):
            found["prorate_quantity"] = self.chance(0.7)
        return found

    def changed(self, charge, meters, kinds):
        """A charge of the next plan version: other prices, the same identity."""
        rng = self.rng
        charge = copy.deepcopy(charge)
        meter = next((m for m in meters if m["key"] == charge.get("meter")), None)
        if self.chance(0.3):
            return charge
        holders = charge["prices"] if "prices" in charge else [charge]
        for row in holders:
            fresh = self.terms(charge["model"])
            fresh.pop("package_size", None)
            for word in list(row):
                if word in fresh:
                    row[word] = fresh[word]
        if self.chance(0.3):
            charge["discount_percent"] = rng.choice(["0", "7.5", "20"])
        if meter is None:
            return charge
        dims = self.dims(next(k for k in kinds if k["type"] == meter["event_type"]))
        if self.chance(0.3):
            charge["split_by"] = self.some(dims, 2)
        for word, low, high in (("minimum", 0, 60), ("maximum", 60, 200)):
            if self.chance(0.2):
                charge[word] = self.money(low, high, 2)
            elif self.chance(0.2):
                charge.pop(word, None)
        if meter["aggregation"] in ADDITIVE:
            if self.chance(0.2):
                charge["filter"] = self.filter(dims)
            if "prices" in charge and self.chance(0.3):
                rng.shuffle(charge["prices"])
            if "prices" in charge and len(charge["prices"]) > 1 and self.chance(0.3):
                charge["prices"].pop()
        return charge

    def plans(self, meters, kinds):
        rng = self.rng
        found = []
        bases = {}
        for number in range(rng.randint(1, 3)):
            key = f"p{number}"
            currency = rng.choice(CURRENCIES)
            charges = [self.charge(f"c{number}_{n}", meters, kinds)
                       for n in range(rng.randint(1, 5))]
            if number > 0 and self.chance(0.4):
                charges = [self.changed(c, meters, kinds) for c in bases["p0"][0]]
                currency = bases["p0"][1]
            bases[key] = (charges, currency)
            moments = sorted(self.moment() for _ in range(rng.randint(0, 3)))
            if self.chance(0.8):
                moments.insert(0, us_of(2010, 1, 1))
            if len(moments) > 1 and self.chance(0.1):
                moments[-1] = moments[-2]
            for version, from_us in enumerate(moments or [us_of(2010, 1, 1)], 1):
                plan = {"key": key, "version": version, "currency": currency,
                        "effective_from": instant(from_us), "charges": copy.deepcopy(charges)}
                self.edges.append(from_us)
                if self.chance(0.3):
                    plan["rounding"] = rng.choice(["half_up", "half_even"])
                if self.chance(0.3):
                    plan["minimum_commitment"] = self.money(0, 400, 2)
                found.append(plan)
                charges = [self.changed(c, meters, kinds) for c in charges]
                if self.chance(0.2) and len(charges) > 1:
                    charges.pop(rng.randrange(len(charges)))
                if self.chance(0.2):
                    charges.append(self.charge(f"c{number}_v{version}", meters, kinds))
        if self.chance(0.2):
            rng.shuffle(found)
        return found

    # ---- contracts

    def overrides(self, plans):
        rng = self.rng
        found = {}
        charges = [c for p in plans for c in p["charges"]]
        for charge in rng.sample(charges, min(len(charges), rng.randint(0, 2))):
            changes = {}
            if self.chance(0.5):
                changes["discount_percent"] = rng.choice(["5", "50"])
            if "price" in charge and "prices" not in charge:
                changes["price"] = self.money(0, 5)
            if charge["model"] != "fixed" and "prices" not in charge and self.chance(0.4):
                changes["included"] = rng.choice(["7", "70"])
            if "tiers" in charge and "prices" not in charge and self.chance(0.5):
                changes["tiers"] = self.terms(charge["model"], False)["tiers"]
            if charge["model"] != "fixed" and self.chance(0.2):
                changes["minimum"] = self.money(0, 50, 2)
            if changes:
                found[charge["key"]] = changes
        return found

    def contract(self, key, tenant, plans, usage_filter):
        rng = self.rng
        zone, anchor = rng.choice(ZONES), rng.choice([1, 1, 1, 15, 29, 31, rng.randint(1, 31)])
        begins = [us_of(self.year - 1, 6, 15) if self.chance(0.5) else self.moment()]
        while len(begins) < 4 and self.chance(0.45):
            begins.append(self.moment())
        begins.sort()
        if len(begins) > 1 and self.chance(0.15):
            begins[-2] = begins[-1]
        found = []
        for number, begin in enumerate(begins):
            plan_key = rng.choice(plans)["key"] if number == 0 or self.chance(0.3) \
                else found[-1]["plan"]
            mine = [p for p in plans if p["key"] == plan_key]
            version = {"key": key, "tenant": tenant, "plan": plan_key, "from": instant(begin),
                       "plan_version": rng.choice(mine)["version"],
                       "version": number + 1, "billing_anchor_day": anchor, "time_zone": zone}
            self.edges.append(begin)
            if self.chance(0.6):
                version["plan_version"] = "latest"
            if number:
                version["counters"] = rng.choice(["continue", "continue", "separate"])
            if self.chance(0.25):
                end = begin + rng.randint(1, 40 * 86400) * US
                version["to"] = instant(end)
                self.edges.append(end)
            elif self.chance(0.3):
                version["to"] = None
            if self.chance(0.3):
                version["overrides"] = self.overrides(mine)
            if usage_filter is not None:
                version["usage_filter"] = usage_filter
            elif self.chance(0.1):
                version["usage_filter"] = {"a": rng.sample(VALUES, 5)}
            found.append(version)
        if self.chance(0.1):
            rng.shuffle(found)
            if "counters" not in found[0]:
                found[0]["counters"] = "separate"
        return found

    def contracts(self, tenants, plans):
        found = []
        for tenant in tenants[:-1]:
            if self.chance(0.3):
                halves = VALUES[:]
                self.rng.shuffle(halves)
                cut = self.rng.randint(1, len(halves) - 1)
                for number, part in enumerate((halves[:cut], halves[cut:])):
                    found += self.contract(f"{tenant}-{number}", tenant, plans, {"a": part})
            else:
                found += self.contract(f"{tenant}-0", tenant, plans, None)
        return found

    def catalog(self):
        for _ in range(500):
            self.edges = []
            kinds = self.types()
            meters = self.meters(kinds)
            plans = self.plans(meters, kinds)
            tenants = [f"tenant-{n}" for n in range(self.rng.randint(2, 3))]
            if self.chance(0.3):
                tenants[0] = "tenant-é"
            catalog = {"event_types": kinds, "meters": meters,
                       "tenants": [{"key": t, "name": t} for t in tenants], "plans": plans,
                       "contracts": self.contracts(tenants, plans)}
            if accepted(catalog) and accepted(without_empty_versions(catalog)):
                return catalog
        raise RuntimeError("no valid catalog in 500 tries")

    # ---- events

    def time(self):
        rng = self.rng
        if self.edges and self.chance(0.25):
            us = rng.choice(self.edges) + rng.choice([-1, 0, 0, 1, US, -US])
        else:
            us = self.moment()
        us = min(max(us, oracle.FIRST_US), oracle.LAST_US)
        self.us = us
        kind = rng.random()
        if kind < 0.2:
            return us
        text = instant(us)
        if kind < 0.3:
            return text.replace("T", rng.choice("t "))
        if kind < 0.45:
            minutes = rng.choice([-720, -210, 60, 330, 845])
            hour, minute = divmod(abs(minutes), 60)
            local = instant(us + minutes * 60 * US)[:-1]
            return f"{local}{'-' if minutes < 0 else '+'}{hour:02d}:{minute:02d}"
        if kind < 0.5 and "." in text:
            return text[:-1] + rng.choice(["9", "0", "123456789"]) + "Z"
        return text

    def decimal(self, scale):
        """A number in one of its spellings, as JSON text."""
        rng = self.rng
        units = rng.choice([0, 1, 1, 1, 2, 5, 10, rng.randint(-20, 100), rng.randint(0, 10**6)])
        if self.chance(0.02):
            units = rng.choice([2**63 - 1, -2**63])
        elif self.chance(0.7):
            units *= 10 ** min(scale, 6 if scale == 18 else scale)
        if abs(units) >= 2**63:
            units = 1
        text = oracle.point(oracle.Fraction(units, 10**scale), scale)
        kind = rng.random()
        if kind < 0.1:
            text = f"{units}e{'-' if scale else ''}{scale}"
        elif kind < 0.2 and "." in text:
            text += "000"
        elif kind < 0.3:
            text = oracle.show(oracle.Fraction(units, 10**scale))
        return text if self.chance(0.5) else json.dumps(text)

    def props(self, kind):
        found = {}
        for field in kind["fields"]:
            if field["kind"] == "string":
                if not self.chance(0.15):
                    value = self.rng.choice(VALUES[:6] if self.chance(0.8) else VALUES)
                    found[field["name"]] = json.dumps(value, ensure_ascii=self.chance(0.5))
                elif self.chance(0.3):
                    found[field["name"]] = "null"
            elif field.get("required", True) or self.chance(0.7):
                found[field["name"]] = self.decimal(field.get("scale", 0))
        if self.chance(0.1):
            found["undeclared"] = self.rng.choice(['"v"', "1.5", "[1, {}]", "null", "true"])
        return found

    def event(self, catalog, number):
        rng = self.rng
        kind = rng.choice(catalog["event_types"])
        event = {"tenant": json.dumps(rng.choice(catalog["tenants"])["key"]),
                 "type": json.dumps(kind["type"]), "id": json.dumps(f"e{number}"),
                 "time": json.dumps(self.time()), "props": self.props(kind)}
        if self.chance(0.4):
            event["source"] = json.dumps(rng.choice(["s", "", "s2", "é"]))
        if self.chance(0.1):
            event["trace_id"] = json.dumps("trace")
        if self.chance(0.1):
            event["other"] = "{}"
        return kind, event

    def spoil(self, kind, event, reason):
        """Makes an event wrong for a reason; False where this one cannot be."""
        rng = self.rng
        decimals = [f for f in kind["fields"] if f["kind"] == "decimal"]
        field = rng.choice(decimals)
        scale = field.get("scale", 0)
        if reason == "malformed":
            word = rng.choice(["tenant", "id", "source", "props", "surrogate", "long"])
            if word == "props":
                event["props"] = rng.choice(["[]", '"x"', "3"])
            elif word == "surrogate":
                event["other"] = '["\\ud800"]'
            elif word == "long":
                event["id"] = json.dumps("i" * 1025)
            else:
                event[word] = rng.choice(["7", "true", "[]"])
                if word == "source" and self.chance(0.5):
                    event[word] = '"~mine"'
        elif reason == "unknown_tenant":
            event["tenant"] = rng.choice(['"nobody"', "null"])
        elif reason == "unknown_event_type":
            event["type"] = '"nothing"'
        elif reason == "missing_id":
            event["id"] = rng.choice(['""', "null"])
        elif reason == "bad_time":
            event["time"] = rng.choice(
                ['"yesterday"', '"2024-01-01T00:00:00"', "null", "1.5", '"2024-02-30T00:00:00Z"',
                 '"2024-01-01T23:59:60Z"', '"0001-05-05T00:00:00Z"', "99999999999999999999",
                 '"2024-01-01T00:00:00+24:00"'])
        elif reason == "missing_field":
            if not field.get("required", True):
                return False
            event["props"][field["name"]] = "null"
        elif reason == "bad_value":
            event["props"][field["name"]] = rng.choice(
                ['"1."', '"0x1"', "true", "[]", '" 1"', '""', '"+1"'])
        elif reason == "scale_exceeded":
            event["props"][field["name"]] = f'"1.{"0" * scale}1"'
        else:
            event["props"][field["name"]] = rng.choice([str(2**63), "1e1000", "-1e30"])
        return True

    def text(self, event):
        props = event["props"]
        if isinstance(props, dict):
            inner = ", ".join(f"{json.dumps(n)}: {v}" for n, v in props.items())
            event = dict(event, props="{" + inner + "}")
        return "{" + ", ".join(f"{json.dumps(n)}: {v}" for n, v in event.items()) + "}"

    def events(self, catalog, count):
        rng = self.rng
        found = []
        for number in range(count):
            kind, event = self.event(catalog, number)
            roll = rng.random()
            if roll < 0.12:
                if self.spoil(kind, event, rng.choice(REASONS)):
                    found.append(self.text(event))
                if self.chance(0.3):
                    continue
                kind, event = self.event(catalog, number)
            found.append(self.text(event))
            if roll > 0.88:
                found.append(self.text(event))
            if roll > 0.95:
                other = dict(event, props=self.props(kind))
                found.append(self.text(other))
            if 0.2 < roll < 0.21:
                found.append(rng.choice(["{", "[1]", '"e"', '{"a": NaN}', "",
                                         "[" * 70 + "]" * 70, '{"tenant": "x",}']))
        if self.chance(0.5):
            rng.shuffle(found)
        return found

    def moments_to_ask(self, catalog):
        """Instants for `--at`: none, and one in or near the case."""
        return [None, self.moment() if self.chance(0.7) or not self.edges
                else self.rng.choice(self.edges)]


class Case:
    def __init__(self, seed, event_count=None):
        generator = Generator(seed)
        self.seed = seed
        self.catalog = generator.catalog()
        count = event_count or generator.rng.choice([0, 1, 20, 60, 120, 250])
        self.lines = generator.events(self.catalog, count)
        self.ask = generator.moments_to_ask(self.catalog)

    def events_bytes(self):
        return "".join(line + "\n" for line in self.lines).encode("utf-8")

    def catalog_bytes(self):
        return json.dumps(self.catalog, ensure_ascii=False, indent=1).encode("utf-8")


def runs_of(catalog):
    """Features of how contracts and plans change with time."""
    found = set()
    for versions in oracle.contract_versions(catalog).values():
        for one, after in zip(versions, versions[1:]):
            if one["end"] is not None and one["begin"] < one["end"] < after["begin"]:
                found.add("gap")
            if after["end"] is not None and after["end"] <= after["begin"]:
                found.add("empty_version")
            found.add("counters_" + after.get("counters", "none"))
        for version in versions:
            found.add("plan_latest" if version["plan_version"] == "latest" else "plan_pinned")
            found |= {"overrides"} if version.get("overrides") else set()
            found |= {"usage_filter"} if version.get("usage_filter") else set()
            found.add("zone_" + version.get("time_zone", "UTC"))
    return found


def features(catalog, result):
    """What a case reached: its reasons, and of the answer's lines what they came from."""
    meters = {m["key"]: m for m in catalog["meters"]}
    charges = collections.defaultdict(list)
    for plan in catalog["plans"]:
        for charge in plan["charges"]:
            charges[charge["key"]].append(charge)
    found = runs_of(catalog)
    summary = result["summary"]
    found |= {"reason_" + reason for reason in summary["exceptions_by_reason"]}
    found |= {word for word in ("duplicates", "conflicts") if summary[word]}
    found |= {"unrated_" + row["reason"] for row in result["unrated"]}
    cut = collections.Counter()
    for line in result["lines"]:
        found.add("kind_" + line["kind"])
        if line["charge"] not in charges or line["kind"] != "usage":
            continue
        charge = charges[line["charge"]][0]
        meter = meters[charge["meter"]]
        found.add("model_" + charge["model"])
        found.add("aggregation_" + meter["aggregation"])
        kind = "additive" if meter["aggregation"] in ADDITIVE else "level"
        found.add(f"{charge['model']}_on_{kind}")
        found |= {"row"} if line["row"] is not None else set()
        found |= {"price_by"} if charge.get("price_by") else set()
        found |= {"credit"} if line["amount"].startswith("-") else set()
        digits = line["amount_exact"].partition(".")[2]
        found |= {"no_finite_decimal"} if len(digits) == 12 else set()
        cut[line["contract"], line["period_start"], line["charge"], line["row"],
            line["from"]] += 1
    starts = collections.Counter(key[:4] for key in cut)
    found |= {"interval_cut"} if any(n > 1 for n in starts.values()) else set()
    found |= {"split"} if any(n > 1 for n in cut.values()) else set()
    found |= {"rounding_" + p.get("rounding", "default") for p in catalog["plans"]}
    for charge in (c for group in charges.values() for c in group):
        found |= {word for word in ("prorate_quantity", "included", "discount_percent", "split_by")
                  if charge.get(word)}
        found |= {"no_prorate"} if charge.get("prorate") is False else set()
    return sorted(found)


EVERY_FEATURE = sorted(
    [f"reason_{r}" for r in REASONS] + [f"model_{m}" for m in MODELS if m != "fixed"]
    + [f"aggregation_{a}" for a in AGGREGATIONS] + [f"zone_{z}" for z in ZONES]
    + [f"{m}_on_{k}" for m in MODELS if m != "fixed" for k in ("additive", "level")
       if (m, k) != ("percentage", "level")]
    + ["kind_usage", "kind_fixed", "kind_minimum", "kind_maximum", "kind_true_up", "duplicates",
       "conflicts", "unrated_no_contract", "unrated_no_plan_version", "unrated_not_priced",
       "unrated_no_charge", "gap", "empty_version", "counters_continue", "counters_separate",
       "plan_latest", "plan_pinned", "overrides", "usage_filter", "row", "price_by", "credit",
       "no_finite_decimal", "interval_cut", "split", "split_by", "rounding_half_up",
       "rounding_half_even", "rounding_default", "prorate_quantity", "included",
       "discount_percent", "no_prorate"])


def answer(case, at=None):
    """What the oracle answers to a case, and the events that it accepted."""
    catalog = json.loads(case.catalog_bytes(), parse_float=oracle.Decimal)
    accepted, counts, reasons = oracle.ingest(catalog, parse_lines(case.events_bytes()))
    result = {"summary": dict(sorted(counts.items()),
                              exceptions_by_reason=dict(sorted(reasons.items()))),
              "lines": oracle.lines(catalog, accepted, at),
              "unrated": oracle.unrated(catalog, accepted)}
    return accepted, result


def parse_lines(data):
    """As the oracle's read_events, of bytes."""
    def refuse(constant):
        raise ValueError(constant)

    for line in data.split(b"\n"):
        try:
            event = json.loads(line.decode("utf-8"), parse_float=oracle.Number,
                               parse_int=oracle.Number, parse_constant=refuse)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and oracle.depth(event) <= 64:
            yield event


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--events", type=int)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    case = Case(args.seed, args.events)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "catalog.json").write_bytes(case.catalog_bytes())
    (args.out / "events.jsonl").write_bytes(case.events_bytes())
    json.dump({"seed": case.seed, "features": features(case.catalog, answer(case)[1])}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
