#!/usr/bin/env python3
"""Reference model of the metering semantics: slow, exact, independent of the engine.

usage: oracle.py CATALOG.json EVENTS.jsonl [--at TIME] [--windows] [--lines] [--unrated] [--summary]   (default: all)

It is the executable half of docs/SEMANTICS.md: given a catalog and events in arrival order it prints the
windows, the rated lines and the reconciliation counts that any correct engine must produce. Python 3.9+, standard
library only. Every quantity and amount is an exact decimal, printed as a string without trailing zeros.
"""
import argparse
import collections
import datetime as dt
import json
import re
import sys
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

US = 1_000_000
INT64_MAX = 2**63 - 1
MINOR_UNITS = {"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "CAD": 2, "AUD": 2, "INR": 2, "BRL": 2, "SEK": 2,
               "JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "BHD": 3, "TND": 3}      # the engine has all of ISO 4217
WINDOWS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}
EXACT_DIGITS = 12          # amounts that are no finite decimal are kept to this many digits


class Rejected(Exception):
    """An event that goes to the exception queue; the message is the reason code."""


# ---------------------------------------------------------------- time
FIRST_US, LAST_US = -62_104_060_800 * US, 253_370_764_800 * US - 1      # events: from year 2 to before 9999-01-01 UTC
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)


class Number:
    """A JSON number, kept as its text."""

    def __init__(self, text):
        self.text = text


def parse_time(value):
    """RFC 3339 string or integer microseconds since the Unix epoch -> integer microseconds (truncated)."""
    if isinstance(value, Number) and re.fullmatch(r"-?\d{1,20}", value.text):
        value = int(value.text)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise Rejected("bad_time")
    date, clock, digits, zone = found.groups()
    try:
        stamp = dt.datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        raise Rejected("bad_time")
    delta = stamp - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (delta.days * 86400 + delta.seconds) * US + int(((digits or "") + "000000")[:6])


def rfc3339(us):
    stamp = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=us)
    text = f"{stamp.year:04d}" + stamp.strftime("-%m-%dT%H:%M:%S")
    return text + (f".{us % US:06d}" if us % US else "") + "Z"


def month_start(us, anchor_day, zone):
    """Start of the monthly billing period that holds `us`: the last anchored start at or before it, in microseconds."""
    tz = ZoneInfo(zone)
    local = dt.datetime.fromtimestamp(us // US, tz)
    starts = []
    for step in (-1, 0, 1):
        month = local.year * 12 + local.month - 1 + step
        year, month = month // 12, month % 12 + 1
        last = (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day
        starts.append(int(dt.datetime(year, month, min(anchor_day, last), tzinfo=tz).timestamp()) * US)
    return max(start for start in starts if start <= us)


def next_month_start(start, anchor_day, zone):
    probe = start + 20 * 86400 * US
    while True:
        found = month_start(probe, anchor_day, zone)
        if found > start:
            return found
        probe += 86400 * US


# ---------------------------------------------------------------- numbers
def point(number, places):
    """A multiple of 10**-places as a plain decimal string with exactly that many digits."""
    units = Fraction(number) * 10**places
    assert units.denominator == 1
    digits = str(abs(units.numerator)).rjust(places + 1, "0")
    sign = "-" if units < 0 else ""
    return sign + (digits[:-places] + "." + digits[-places:] if places else digits)


def show(number):
    """A number as the shortest exact decimal string (rounded to EXACT_DIGITS digits where it does not terminate)."""
    frac = Fraction(number)
    den, twos, fives = frac.denominator, 0, 0
    while den % 2 == 0:
        den, twos = den // 2, twos + 1
    while den % 5 == 0:
        den, fives = den // 5, fives + 1
    places = max(twos, fives) if den == 1 else EXACT_DIGITS
    text = point(round_money(frac, places, "half_even"), places)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def round_money(number, places, mode):
    """A Fraction rounded to `places` decimal digits; half_up is away from zero, half_even to the even digit."""
    scaled = abs(Fraction(number)) * 10**places
    floor = scaled.numerator // scaled.denominator
    rest = scaled - floor
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (mode == "half_up" or floor % 2)):
        floor += 1
    return Fraction(floor if number >= 0 else -floor, 10**places)


def share_out(total, weights, unit):
    """`total` (a multiple of `unit`) shared by weight in multiples of `unit`: largest remainder first, then first come."""
    sign, units = (1 if total >= 0 else -1), abs(Fraction(total)) / unit
    exact = [units * w / sum(weights) for w in weights]
    parts = [x.numerator // x.denominator for x in exact]
    spare = int(units) - sum(parts)
    for i in sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))[:spare]:
        parts[i] += 1
    return [sign * n * unit for n in parts]


NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)


def field_value(raw, field):
    """A decimal field's value as a Fraction; rejects what the declared scale or a signed 64-bit integer cannot hold."""
    text = raw.text if isinstance(raw, Number) else str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    found = NUMBER.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise Rejected("bad_value")
    sign, whole, part, exponent = found.groups()
    digits = (whole + (part or "")).lstrip("0")
    trailing = len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    if not digits:
        return Fraction(0)
    shift = int((exponent or "0")[:12]) - len(part or "") + trailing      # value = digits x 10**shift
    if shift < -field.get("scale", 0):
        raise Rejected("scale_exceeded")
    if shift + len(digits) > 40:
        raise Rejected("value_out_of_range")
    value = Fraction(int(sign + digits)) * Fraction(10) ** shift
    scaled = value * 10 ** field.get("scale", 0)
    if not -INT64_MAX - 1 <= scaled <= INT64_MAX:
        raise Rejected("value_out_of_range")
    return value


# ---------------------------------------------------------------- catalog
MONEY = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)
MODEL_FIELDS = {"per_unit": {"price"}, "graduated": {"tiers"}, "volume": {"tiers"}, "package": {"price", "package_size"},
                "percentage": {"rate", "fixed_per_event", "per_event_min", "per_event_max"}, "fixed": {"price"}}
ANY_CHARGE = {"key", "name", "model", "prorate", "discount_percent", "counts_toward_commitment"}
USAGE_CHARGE = {"meter", "filter", "split_by", "price_by", "prices", "included", "prorate_quantity", "minimum", "maximum"}


def check(catalog):
    """Refuse a catalog that could not be rated unambiguously. The engine also names the JSON path."""
    problems = []

    def need(truth, what):
        if not truth:
            problems.append(what)

    def decimal(value, what):
        need(isinstance(value, (str, int)) and not isinstance(value, bool) and MONEY.fullmatch(str(value)),
             f"{what}: not a decimal string: {value!r}")

    def unique(keys, what):
        for key, times in collections.Counter(keys).items():
            need(times == 1, f"{what} {key!r} stands twice")

    types = {t["type"]: {f["name"]: f for f in t["fields"]} for t in catalog["event_types"]}
    meters = {m["key"]: m for m in catalog["meters"]}
    unique([t["type"] for t in catalog["event_types"]], "event type")
    unique([m["key"] for m in catalog["meters"]], "meter")
    unique([t["key"] for t in catalog["tenants"]], "tenant")
    unique([(p["key"], p["version"]) for p in catalog["plans"]], "plan version")
    unique([(c["key"], c.get("version", 1)) for c in catalog["contracts"]], "contract version")
    for kind in catalog["event_types"]:
        unique([f["name"] for f in kind["fields"]], f"event type {kind['type']} field")
        for f in kind["fields"]:
            need(f["kind"] in ("string", "decimal"), f"field {f['name']}: unknown kind")
            need(f.get("scale", 0) in range(19), f"field {f['name']}: scale is 0 to 18")
    for meter in catalog["meters"]:
        name, fields = f"meter {meter['key']}", types.get(meter["event_type"])
        need(fields is not None, f"{name}: unknown event type")
        need(meter["window"] in WINDOWS, f"{name}: unknown window")
        kind = meter["aggregation"]
        need(kind in ("sum", "count", "min", "max", "last", "unique"), f"{name}: unknown aggregation")
        if fields is not None and kind != "count":
            wanted = "string" if kind == "unique" else "decimal"
            need(fields.get(meter.get("field"), {}).get("kind") == wanted, f"{name}: needs a {wanted} field")
        for dim in [*meter.get("group_by", []), *(meter.get("filter") or {})]:
            need((fields or {}).get(dim, {}).get("kind") == "string", f"{name}: {dim} is no string field")
    for plan in catalog["plans"]:
        need(plan["currency"] in MINOR_UNITS, f"plan {plan['key']}: unknown currency")
        need(plan.get("rounding", "half_up") in ("half_up", "half_even"), f"plan {plan['key']}: unknown rounding")
        decimal(plan.get("minimum_commitment", "0"), f"plan {plan['key']} minimum_commitment")
        unique([c["key"] for c in plan["charges"]], f"plan {plan['key']} charge")
        for charge in plan["charges"]:
            check_charge(charge, meters, types, f"plan {plan['key']} charge {charge['key']}", need, decimal)
    check_contracts(catalog, meters, types, need, decimal)
    if problems:
        raise SystemExit("catalog: " + "; ".join(problems))


def check_charge(charge, meters, types, name, need, decimal):
    """One charge with its overrides applied: known fields, known references, prices that can be read."""
    model = charge.get("model")
    need(charge["key"] != "true_up", f"{name}: true_up is a reserved key")
    if model not in MODEL_FIELDS:
        need(False, f"{name}: unknown model")
        return
    allowed = ANY_CHARGE | MODEL_FIELDS[model] | (set() if model == "fixed" else USAGE_CHARGE)
    for word in sorted(set(charge) - allowed):
        need(False, f"{name}: a {model} charge has no {word}")
    decimal(charge.get("discount_percent", "0"), f"{name} discount_percent")
    if model == "fixed":
        decimal(charge.get("price"), f"{name} price")
        return
    if charge.get("meter") not in meters:
        need(False, f"{name}: unknown meter")
        return
    meter = meters[charge["meter"]]
    fields = types.get(meter["event_type"], {})
    for dim in [*charge.get("split_by", []), *charge.get("price_by", []), *(charge.get("filter") or {}),
                *(d for row in charge.get("prices", []) for d in row.get("when") or {})]:
        need(fields.get(dim, {}).get("kind") == "string", f"{name}: {dim} is no string field of {meter['event_type']}")
    need(model != "percentage" or meter["aggregation"] in ("sum", "count"), f"{name}: percentage needs a sum or count meter")
    need(not ("prices" in charge and "included" in charge), f"{name}: with a price table, included belongs to its rows")
    for word in ("minimum", "maximum"):
        decimal(charge.get(word, "0"), f"{name} {word}")
    if all(MONEY.fullmatch(str(charge.get(word, ""))) for word in ("minimum", "maximum")):
        need(Fraction(charge["minimum"]) <= Fraction(charge["maximum"]), f"{name}: minimum over maximum")
    for number, row in enumerate(charge.get("prices", [{}])):
        terms, label = dict(charge, **row), f"{name} row {number}"
        for word in sorted(set(row) - MODEL_FIELDS[model] - {"when", "included"}):
            need(False, f"{label}: a row has no {word}")
        decimal(terms.get("included", "0"), f"{label} included")
        if model in ("graduated", "volume"):
            tiers = terms.get("tiers") or []
            ends = [t.get("up_to") for t in tiers]
            need(ends and ends[-1] is None and None not in ends[:-1], f"{label}: the last tier, and only it, is open")
            readable = all(MONEY.fullmatch(str(e)) for e in ends[:-1])
            bounds = [Fraction(0)] + [Fraction(str(e)) for e in ends[:-1]] if readable and None not in ends[:-1] else []
            need(readable and all(x < y for x, y in zip(bounds, bounds[1:])), f"{label}: tiers do not ascend")
            for tier in tiers:
                decimal(tier.get("price"), f"{label} tier price")
                decimal(tier.get("flat", "0"), f"{label} tier flat")
        else:
            for word in sorted(MODEL_FIELDS[model]):
                decimal(terms.get(word, "0" if word.startswith(("per_event", "fixed_per")) else None), f"{label} {word}")
        if model == "package":
            size = str(terms.get("package_size"))
            need(MONEY.fullmatch(size) and Fraction(size) > 0, f"{label}: package_size")


def canonical(given):
    """A filter with each dimension's values as a sorted list."""
    return {d: sorted(set(w) if isinstance(w, list) else {w}) for d, w in (given or {}).items()}


def disjoint(one, other):
    """Whether two usage filters can never take the same event: some dimension that both name has no common value."""
    def values(given, dim):
        return set(given[dim]) if isinstance(given[dim], list) else {given[dim]}
    return any(not values(one, d) & values(other, d) for d in one if d in other)


def overridden(plan, version):
    changes = version.get("overrides") or {}
    return dict(plan, charges=[dict(c, **changes.get(c["key"], {})) for c in plan["charges"]])


def check_contracts(catalog, meters, types, need, decimal):
    plans = collections.defaultdict(list)
    for plan in catalog["plans"]:
        plans[plan["key"]].append(plan)
    spans = []
    for key, versions in contract_versions(catalog).items():
        name = f"contract {key}"
        for word in ("tenant", "time_zone", "billing_anchor_day"):
            need(len({json.dumps(v.get(word)) for v in versions}) == 1, f"{name}: versions differ in {word}")
        need(versions[0]["tenant"] in {t["key"] for t in catalog["tenants"]}, f"{name}: unknown tenant")
        need(versions[0].get("billing_anchor_day", 1) in range(1, 32), f"{name}: billing_anchor_day")
        try:
            ZoneInfo(versions[0].get("time_zone", "UTC"))
        except (KeyError, ValueError, OSError):
            need(False, f"{name}: unknown time zone")
        linked = []
        for number, v in enumerate(versions):
            need(v["plan"] in plans, f"{name}: unknown plan {v['plan']}")
            need("plan_version" in v, f"{name}: plan_version is missing (a number or \"latest\")")
            need(not isinstance(v.get("plan_version"), bool), f"{name}: plan_version")
            known = [p["version"] for p in plans[v["plan"]]]
            need(v.get("plan_version") == "latest" or v.get("plan_version") in known, f"{name}: unknown plan_version")
            need(number == 0 or v.get("counters") in ("separate", "continue"), f"{name}: counters is missing")
            mine = [p for p in plans[v["plan"]] if v.get("plan_version") in ("latest", p["version"])]
            for charge, changes in (v.get("overrides") or {}).items():
                label = f"{name} override of {charge}"
                found = [c for p in mine for c in p["charges"] if c["key"] == charge]
                need(found, f"{label}: no such charge")
                need(not set(changes) & {"key", "meter", "model", "price_by"}, f"{label}: key, meter, model, price_by stay")
                for c in found:
                    need(not any("prices" in c and "prices" not in changes and all(w in row for row in c["prices"])
                                 for w in changes), f"{label}: every row sets it already")
            mine = [overridden(p, v) for p in mine]
            if v.get("overrides"):
                for p in mine:
                    for c in p["charges"]:
                        check_charge(c, meters, types, f"{name} charge {c['key']}", need, decimal)
            for dim in v.get("usage_filter") or {}:
                need(any(f.get(dim, {}).get("kind") == "string" for f in types.values()), f"{name}: unknown dimension {dim}")
            mine = [dict(p, usage_filter=v.get("usage_filter")) for p in mine]
            linked = linked + mine if number and v.get("counters") == "continue" else mine
            need(len({p["currency"] for p in linked}) <= 1, f"{name}: the currency changes while counters continue")
            charges = collections.defaultdict(set)
            for p in linked:
                for c in p["charges"]:
                    level = meters.get(c.get("meter"), {}).get("aggregation") in LEVEL
                    charges[c["key"]].add(json.dumps([
                        c["model"], c.get("meter"), c.get("price_by"), c.get("package_size"),
                        level and [canonical(f) for f in (c.get("filter"), p["usage_filter"],
                                                          *(r.get("when") for r in c.get("prices", [])))]],
                        sort_keys=True))
            for charge, shapes in charges.items():
                need(len(shapes) == 1, f"{name}: charge {charge} changes model, meter, price_by, package_size or, on a level meter, its filters")
            spans.append((v, {c.get("meter") for p in mine for c in p["charges"]} - {None}))
    for n, (one, priced) in enumerate(spans):
        for other, also in spans[n + 1:]:
            if one["key"] == other["key"] or one["tenant"] != other["tenant"] or not priced & also:
                continue
            apart = ((one["end"] is not None and one["end"] <= other["begin"])
                     or (other["end"] is not None and other["end"] <= one["begin"]))
            need(apart or disjoint(one.get("usage_filter") or {}, other.get("usage_filter") or {}),
                 f"contracts {one['key']} and {other['key']} price the same usage")


# ---------------------------------------------------------------- ingest: validate, then deduplicate
def is_text(value):
    """A well-formed Unicode string of at most 1,024 bytes."""
    try:
        return isinstance(value, str) and len(value.encode("utf-8")) <= 1024
    except UnicodeEncodeError:
        return False


def well_formed(value):
    """No lone surrogate in any string or name at any depth."""
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return all(well_formed(k) and well_formed(v) for k, v in value.items())
    return not isinstance(value, list) or all(map(well_formed, value))


def validate(event, types, tenants):
    """An event's (time, decimal fields, string fields), or Rejected with the first reason that applies."""
    if not well_formed(event):
        raise Rejected("malformed")
    props = event.get("props", {})
    if not all(is_text(event[word]) for word in ("tenant", "type", "id", "source") if word in event):
        raise Rejected("malformed")
    if event.get("source", "").startswith("~"):      # reserved for producer sessions
        raise Rejected("malformed")
    if not isinstance(props, dict) or not all(is_text(v) for v in props.values() if isinstance(v, str)):
        raise Rejected("malformed")
    props = {name: value for name, value in props.items() if value is not None}
    if event.get("tenant") not in tenants:
        raise Rejected("unknown_tenant")
    if event.get("type") not in types:
        raise Rejected("unknown_event_type")
    if not event.get("id"):
        raise Rejected("missing_id")
    when = parse_time(event.get("time"))
    if not FIRST_US <= when <= LAST_US:
        raise Rejected("bad_time")
    values, dims = {}, {}
    for field in types[event["type"]]["fields"]:
        name = field["name"]
        if field["kind"] == "decimal":
            if name in props:
                values[name] = field_value(props[name], field)
            elif field.get("required", True):
                raise Rejected("missing_field")
        else:
            dims[name] = props.get(name, "")
            if not isinstance(dims[name], str):
                raise Rejected("bad_value")
    return when, values, dims


def ingest(catalog, events):
    """Events in arrival order -> (accepted events, counts, exceptions by reason). The first event with a key wins."""
    types = {t["type"]: t for t in catalog["event_types"]}
    tenants = {t["key"] for t in catalog["tenants"]}
    seen, accepted = {}, []
    counts = collections.Counter(received=0, accepted=0, duplicates=0, conflicts=0, exceptions=0)
    reasons = collections.Counter()
    for event in events:
        event = {name: value for name, value in event.items() if value is not None}      # null means absent
        counts["received"] += 1
        try:
            when, values, dims = validate(event, types, tenants)
        except Rejected as why:
            counts["exceptions"] += 1
            reasons[str(why)] += 1
            continue
        key = (event["tenant"], event.get("source", ""), event["id"])
        body = (event["type"], when, values, dims)
        if key in seen:
            counts["duplicates"] += 1
            counts["conflicts"] += seen[key] != body
            continue
        seen[key] = body
        counts["accepted"] += 1
        accepted.append(dict(tenant=key[0], source=key[1], id=key[2], type=event["type"], time=when, values=values,
                             dims=dims))
    assert counts["received"] == counts["accepted"] + counts["duplicates"] + counts["exceptions"]
    return accepted, counts, reasons


# ---------------------------------------------------------------- aggregation
def matches(meter_or_charge, dims):
    for name, wanted in (meter_or_charge.get("filter") or {}).items():
        allowed = wanted if isinstance(wanted, list) else [wanted]
        if dims.get(name, "") not in allowed:
            return False
    return True


def measures(meter, event):
    """Whether an event is usage of a meter: of its type, through its filter, with a value where one is needed."""
    if event["type"] != meter["event_type"] or not matches(meter, event["dims"]):
        return False
    if meter["aggregation"] == "count":
        return True
    if meter["aggregation"] == "unique":
        return bool(event["dims"][meter["field"]])
    return meter["field"] in event["values"]


def arrival_free_order(event):
    return event["time"], event["source"], event["id"]


def aggregate(meter, events):
    """(count, value) of one meter over events that already match it; value is None where there is nothing to show."""
    kind = meter["aggregation"]
    if kind == "count":
        return len(events), Fraction(len(events))
    if kind == "unique":
        seen = [e["dims"][meter["field"]] for e in events if e["dims"].get(meter["field"], "")]
        return len(seen), Fraction(len(set(seen))) if seen else None
    have = [e for e in events if meter["field"] in e["values"]]
    if not have:
        return 0, None
    numbers = [e["values"][meter["field"]] for e in have]
    if kind == "sum":
        return len(have), sum(numbers, Fraction(0))
    if kind == "min":
        return len(have), min(numbers)
    if kind == "max":
        return len(have), max(numbers)
    if kind == "last":
        return len(have), max(have, key=arrival_free_order)["values"][meter["field"]]
    raise SystemExit(f"catalog: meter {meter['key']}: unknown aggregation {kind}")


def windows(catalog, accepted):
    rows = []
    for meter in catalog["meters"]:
        size = WINDOWS[meter["window"]] * US
        groups = collections.defaultdict(list)
        for e in accepted:
            if e["type"] != meter["event_type"] or not matches(meter, e["dims"]):
                continue
            group = tuple((d, e["dims"].get(d, "")) for d in meter.get("group_by", []))
            groups[(e["tenant"], e["time"] // size * size, group)].append(e)
        for (tenant, start, group), members in groups.items():
            count, value = aggregate(meter, members)
            if value is None:
                continue
            rows.append(dict(tenant=tenant, meter=meter["key"], window_start=rfc3339(start),
                             window_end=rfc3339(start + size), group=dict(group), count=count, value=show(value)))
    rows.sort(key=lambda r: (r["tenant"], r["meter"], r["window_start"], json.dumps(r["group"], sort_keys=True)))
    return rows


# ---------------------------------------------------------------- rating
LEVEL = ("min", "max", "last", "unique")     # level meters: one quantity a run; sum and count are additive


def plan_in_force(catalog, version, us):
    """The plan version that a contract version prices by at `us`, its overrides applied; None where there is none."""
    plans = [p for p in catalog["plans"] if p["key"] == version["plan"] and parse_time(p["effective_from"]) <= us]
    if version["plan_version"] != "latest":
        plans = [p for p in plans if p["version"] == version["plan_version"]]
    if not plans:
        return None
    plan = max(reversed(plans), key=lambda p: parse_time(p["effective_from"]))     # of equals, the later recorded
    return overridden(plan, version)


def price_row(charge, dims):
    """Which row of a charge's price table takes these dimensions: the first that matches; 0 without a table; or None."""
    if not matches(charge, dims):
        return None
    if "prices" not in charge:
        return 0
    for number, row in enumerate(charge["prices"]):
        if matches({"filter": row.get("when")}, dims):
            return number
    return None


def row_terms(charge, number):
    return dict(charge, **charge["prices"][number]) if "prices" in charge else charge


def cumulative(terms, units):
    """The price of the first `units` billable units of a run: per unit, graduated or by package."""
    if units <= 0:
        return Fraction(0)
    if terms["model"] == "per_unit":
        return units * Fraction(terms["price"])
    if terms["model"] == "package":
        packs = units / Fraction(terms["package_size"])
        return -(-packs.numerator // packs.denominator) * Fraction(terms["price"])
    amount, low = Fraction(0), Fraction(0)
    for tier in terms["tiers"]:
        high = Fraction(tier["up_to"]) if tier.get("up_to") is not None else units
        amount += (min(units, high) - low) * Fraction(tier["price"]) + Fraction(tier.get("flat", "0"))
        if units <= high:
            return amount
        low = high
    raise SystemExit("catalog: the last tier is bounded")


def volume_tier(terms, units):
    return next(t for t in terms["tiers"] if t.get("up_to") is None or units <= Fraction(t["up_to"]))


def per_event_fee(terms, value, free):
    """The percentage fee of one event of which `free` units are free."""
    if value < 0:
        return value * Fraction(terms["rate"]) / 100
    if value > 0 and free == value:
        return Fraction(0)
    fee = (value - free) * Fraction(terms["rate"]) / 100 + Fraction(terms.get("fixed_per_event", "0"))
    if "per_event_min" in terms:
        fee = max(fee, Fraction(terms["per_event_min"]))
    if "per_event_max" in terms:
        fee = min(fee, Fraction(terms["per_event_max"]))
    return fee


def contract_versions(catalog):
    """Contract key -> its versions in order, each with `begin` and `end` in microseconds (end None: open)."""
    found = collections.defaultdict(list)
    for version in catalog["contracts"]:
        found[version["key"]].append(dict(version, begin=parse_time(version["from"]),
                                          end=parse_time(version["to"]) if version.get("to") else None))
    for versions in found.values():
        versions.sort(key=lambda v: v["begin"])
        for one, after in zip(versions, versions[1:]):
            one["end"] = after["begin"] if one["end"] is None else min(one["end"], after["begin"])
    return found


def covers(version, event):
    return (version["tenant"] == event["tenant"] and version["begin"] <= event["time"]
            and (version["end"] is None or event["time"] < version["end"])
            and matches({"filter": version.get("usage_filter")}, event["dims"]))


class Run:
    """An unbroken stretch of one billing period of one contract in which the counters run on."""

    def __init__(self, catalog, period, period_end, stretches, events):
        self.catalog, self.period, self.period_end = catalog, period, period_end
        self.begin, self.end = stretches[0][0], stretches[-1][1]
        self.meters = {m["key"]: m for m in catalog["meters"]}
        self.lines, self.intervals = [], []
        for lo, hi, version in stretches:
            cuts = sorted({lo, hi} | {parse_time(p["effective_from"]) for p in catalog["plans"]
                                      if p["key"] == version["plan"] and version["plan_version"] in ("latest", p["version"])
                                      and lo < parse_time(p["effective_from"]) < hi})
            for a, b in zip(cuts, cuts[1:]):
                plan = plan_in_force(catalog, version, a)
                if plan is not None:
                    mine = [e for e in events if a <= e["time"] < b and covers(version, e)]
                    self.intervals.append(dict(lo=a, hi=b, version=version, plan=plan, events=mine))

    def share(self, part, over=None):
        """An interval's length over the period's, or over that of the parts of the run in which its charge exists."""
        whole = sum(p["hi"] - p["lo"] for p in over) if over else self.period_end - self.period
        return Fraction(part["hi"] - part["lo"], whole)

    def scale(self, meter):
        if meter["aggregation"] in ("count", "unique"):
            return 0
        kind = next(t for t in self.catalog["event_types"] if t["type"] == meter["event_type"])
        return next(f for f in kind["fields"] if f["name"] == meter["field"]).get("scale", 0)

    def round(self, part, amount):
        plan = part["plan"]
        return round_money(amount, MINOR_UNITS[plan["currency"]], plan.get("rounding", "half_up"))

    def emit(self, part, charge, kind, row, group, span, quantity, billable, exact, money):
        plan, version = part["plan"], part["version"]
        places = MINOR_UNITS[plan["currency"]]
        self.lines.append({
            "tenant": version["tenant"], "contract": version["key"], "contract_version": version.get("version", 1),
            "plan": plan["key"], "plan_version": plan["version"], "charge": charge, "kind": kind, "row": row,
            "period_start": rfc3339(self.period), "period_end": rfc3339(self.period_end), "from": rfc3339(span[0]),
            "to": rfc3339(span[1]), "group": dict(group), "quantity": show(quantity), "billable": show(billable),
            "amount_exact": show(exact), "currency": plan["currency"],
            "amount": point(money, places)})
        return money

    def rate(self):
        if not self.intervals:
            return []
        counted = Fraction(0)
        keys = list(dict.fromkeys(c["key"] for part in self.intervals for c in part["plan"]["charges"]))
        for key in keys:
            parts = [dict(part, charge=c) for part in self.intervals for c in part["plan"]["charges"] if c["key"] == key]
            charge = parts[0]["charge"]
            money = self.rate_fixed(parts) if charge["model"] == "fixed" else self.rate_usage(parts)
            if charge.get("counts_toward_commitment", True):
                counted += money
        last = self.intervals[-1]
        floor = self.round(last, sum((Fraction(p["plan"].get("minimum_commitment", "0")) * self.share(p)
                                      for p in self.intervals), Fraction(0)))
        if floor > 0 and counted < floor:
            self.emit(last, "true_up", "true_up", None, (), (self.begin, self.end), 1, 1, floor - counted, floor - counted)
        return self.lines

    def rate_fixed(self, parts):
        total = money = Fraction(0)
        for number, part in enumerate(parts):
            charge = part["charge"]
            if charge.get("prorate", True):
                exact = Fraction(charge["price"]) * self.share(part)
            elif number == 0:
                exact = Fraction(charge["price"])
            else:
                continue
            exact *= 1 - Fraction(charge.get("discount_percent", "0")) / 100
            total += exact
            line = self.round(part, total) - money
            money += self.emit(part, charge["key"], "fixed", None, (), (part["lo"], part["hi"]), 1, 1, exact, line)
        return money

    def rate_usage(self, parts):
        """Every row and price group of one charge over the run, then its minimum and maximum. Returns the money."""
        meter = self.meters[parts[0]["charge"]["meter"]]
        taken = collections.defaultdict(list)     # (row, price group) -> [(number of the part, event)]
        groups = set()
        for number, part in enumerate(parts):
            charge = part["charge"]
            for e in part["events"]:
                if not measures(meter, e):
                    continue
                row = price_row(charge, e["dims"])
                if row is not None:
                    group = tuple((d, e["dims"].get(d, "")) for d in charge.get("price_by", []))
                    taken[row, group].append((number, e))
                    groups.add(group)
        money = collections.defaultdict(Fraction)
        for row, group in sorted(taken, key=repr):
            money[group] += self.rate_slot(parts, meter, row, group, taken[row, group])
        if not parts[0]["charge"].get("price_by"):
            groups.add(())
        for group in sorted(groups):
            money[group] += self.bound(parts, group, money[group])
        return sum(money.values(), Fraction(0))

    def bound(self, parts, group, money):
        """The minimum and maximum of a charge over the run: lines of their own, against the rounded, discounted lines."""
        last, extra = parts[-1], Fraction(0)
        for kind in ("minimum", "maximum"):
            bounds = [p["charge"].get(kind) for p in parts]
            if all(b is None for b in bounds) or (kind == "maximum" and any(b is None for b in bounds)):
                continue
            limit = self.round(last, sum((Fraction(b or "0") * self.share(p, None if p["charge"].get("prorate", True) else parts)
                                          for b, p in zip(bounds, parts)), Fraction(0)))
            gap = limit - (money + extra)
            if (kind == "minimum" and gap > 0) or (kind == "maximum" and gap < 0):
                extra += self.emit(last, last["charge"]["key"], kind, None, group, (self.begin, self.end), 1, 1, gap, gap)
        return extra

    def rate_slot(self, parts, meter, row, group, taken):
        """One row and price group of a charge: its counters run through the parts. Returns the rounded money."""
        terms = [row_terms(p["charge"], row) if row < len(p["charge"].get("prices", [0])) else None for p in parts]
        unit = Fraction(1, 10 ** self.scale(meter))
        allowance = sum((Fraction(t.get("included", "0")) * self.share(p, None if t.get("prorate", True) else parts)
                         for t, p in zip(terms, parts) if t), Fraction(0))
        allowance = (allowance / unit).__floor__() * unit
        level = meter["aggregation"] in LEVEL
        everything = [e for _, e in taken]
        quantities = []
        for number in range(len(parts)):
            members = everything if level else [e for n, e in taken if n == number]
            quantities.append((members, aggregate(meter, members)[1] or Fraction(0)))

        def billable(n):
            return n - min(max(n, Fraction(0)), allowance)

        free = {}
        left = allowance
        for e in sorted(everything, key=arrival_free_order):
            value = Fraction(1) if meter["aggregation"] == "count" else e["values"].get(meter["field"])
            if value is not None and value > 0:
                free[id(e)] = min(value, left)
                left -= free[id(e)]
        whole = billable(quantities[0][1] if level else sum((q for _, q in quantities), Fraction(0)))
        seen = total = money = Fraction(0)
        for number, (part, term) in enumerate(zip(parts, terms)):
            members, quantity = quantities[number]
            if term is None:
                continue
            in_run = Fraction(part["hi"] - part["lo"], self.end - self.begin)
            before, after = (Fraction(0), billable(quantity)) if level else (billable(seen), billable(seen + quantity))
            seen += quantity
            if term["model"] == "percentage":
                have = [(Fraction(1) if meter["aggregation"] == "count" else e["values"][meter["field"]], e) for e in members
                        if meter["aggregation"] == "count" or meter["field"] in e["values"]]
                exact = sum((per_event_fee(term, v, free.get(id(e), Fraction(0))) for v, e in have), Fraction(0))
                units = sum((v - free.get(id(e), Fraction(0)) for v, e in have), Fraction(0))
            else:
                units = after - before
                if term["model"] == "volume":
                    tier = volume_tier(term, whole) if whole > 0 else {"price": "0"}
                    flat = Fraction(tier.get("flat", "0"))
                    exact = units * Fraction(tier["price"]) + (flat if level else flat * in_run)
                else:
                    exact = cumulative(term, after) - cumulative(term, before)
                if level:
                    exact *= self.share(part) if term.get("prorate_quantity", False) else in_run
            exact *= 1 - Fraction(term.get("discount_percent", "0")) / 100
            total += exact
            line = self.round(part, total) - money
            money += line
            if not members and exact == 0 and line == 0:
                continue
            table = row if "prices" in part["charge"] else None
            self.emit_split(part, meter, table, group, term.get("split_by", []), members, quantity, units, unit, exact, line)
        return money

    def emit_split(self, part, meter, row, group, split_by, members, quantity, units, unit, exact, line):
        span = (part["lo"], part["hi"])
        buckets = collections.defaultdict(list)
        for e in members:
            buckets[group + tuple((d, e["dims"].get(d, "")) for d in split_by)].append(e)
        if not split_by or len(buckets) < 2:
            whole = next(iter(buckets), group)
            self.emit(part, part["charge"]["key"], "usage", row, whole, span, quantity, units, exact, line)
            return
        names = sorted(buckets)
        own = [aggregate(meter, buckets[n])[1] or Fraction(0) for n in names]
        sign = 1 if sum(own) >= 0 else -1
        weights = [max(Fraction(0), sign * q) for q in own]        # a group of the opposite sign bears nothing
        if not sum(weights):
            weights = [Fraction(len(buckets[n])) for n in names]
        step = Fraction(1, 10 ** MINOR_UNITS[part["plan"]["currency"]])
        for n, q, u, m, w in zip(names, own, share_out(units, weights, unit), share_out(line, weights, step), weights):
            self.emit(part, part["charge"]["key"], "usage", row, n, span, q, u, exact * w / sum(weights), m)


def lines(catalog, accepted, at=None):
    """Rated lines of every contract: of the billing period that holds `at`, or of each period in which it had usage."""
    out = []
    for versions in contract_versions(catalog).values():
        zone, anchor = versions[0].get("time_zone", "UTC"), versions[0].get("billing_anchor_day", 1)
        mine = [e for e in accepted if any(covers(v, e) for v in versions)]
        wanted = {month_start(e["time"], anchor, zone) for e in mine} if at is None else {month_start(at, anchor, zone)}
        for period in sorted(wanted):
            period_end = next_month_start(period, anchor, zone)
            runs = []
            for v in versions:
                lo, hi = max(period, v["begin"]), period_end if v["end"] is None else min(period_end, v["end"])
                if lo >= hi:
                    continue
                if runs and v.get("counters") == "continue" and runs[-1][-1][1] == lo:
                    runs[-1].append((lo, hi, v))
                else:
                    runs.append([(lo, hi, v)])
            for stretches in runs:
                out += Run(catalog, period, period_end, stretches, mine).rate()
    out.sort(key=lambda r: (r["tenant"], r["contract"], r["period_start"], r["from"], r["to"], r["charge"], r["kind"],
                            -1 if r["row"] is None else r["row"], json.dumps(r["group"], sort_keys=True)))
    return out


def unrated(catalog, accepted):
    """Accepted usage of meters that no line covers, by tenant, meter and reason."""
    contracts = [v for versions in contract_versions(catalog).values() for v in versions]
    found = collections.defaultdict(list)
    for meter in catalog["meters"]:
        for e in accepted:
            if not measures(meter, e):
                continue
            why, rated = "no_contract", False
            for version in (v for v in contracts if covers(v, e)):
                plan = plan_in_force(catalog, version, e["time"])
                if plan is None:
                    why = "no_plan_version" if why == "no_contract" else why
                    continue
                priced = [c for c in plan["charges"] if c.get("meter") == meter["key"]]
                why = "no_charge" if priced or why == "no_charge" else "not_priced"
                rated = rated or any(price_row(c, e["dims"]) is not None for c in priced)
            if not rated:
                found[e["tenant"], meter["key"], why].append(e)
    return [dict(tenant=t, meter=m, reason=why, events=len(es), first=rfc3339(min(e["time"] for e in es)),
                 last=rfc3339(max(e["time"] for e in es))) for (t, m, why), es in sorted(found.items())]


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


def read_events(path):
    """The JSON objects of a file of JSON Lines (RFC 8259, LF ends a line, nesting to 64); other lines are no events."""
    def refuse(constant):
        raise ValueError(constant)
    with (sys.stdin.buffer if path == "-" else open(path, "rb")) as stream:
        for line in stream.read().split(b"\n"):
            try:
                event = json.loads(line.decode("utf-8"), parse_float=Number, parse_int=Number, parse_constant=refuse)
            except (ValueError, RecursionError):
                continue                    # never becomes an event, the sender reports the line
            if isinstance(event, dict) and depth(event) <= 64:
                yield event


def no_repeats(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog")
    parser.add_argument("events")
    parser.add_argument("--at", metavar="TIME", help="rate the billing period that holds TIME, usage or not")
    for part in ("windows", "lines", "unrated", "summary"):
        parser.add_argument(f"--{part}", action="store_true")
    args = parser.parse_args()
    with open(args.catalog, encoding="utf-8") as stream:
        try:
            catalog = json.load(stream, parse_float=Decimal, object_pairs_hook=no_repeats)
            check(catalog)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, Rejected) as why:
            raise SystemExit(f"catalog: {type(why).__name__}: {why}")
    accepted, counts, reasons = ingest(catalog, read_events(args.events))
    every = not (args.windows or args.lines or args.unrated or args.summary)
    result = {}
    if args.summary or every:
        result["summary"] = dict(sorted(counts.items()), exceptions_by_reason=dict(sorted(reasons.items())))
    if args.windows or every:
        result["windows"] = windows(catalog, accepted)
    if args.lines or every:
        result["lines"] = lines(catalog, accepted, parse_time(args.at) if args.at else None)
    if args.unrated or every:
        result["unrated"] = unrated(catalog, accepted)
    json.dump(result, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
