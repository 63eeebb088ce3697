"""Tables from the runs: one list for each class of promises, medians with least and most."""

import statistics

import rows


def rate_of(entry, run):
    """Events (ids) a second of one run, or None."""
    if run.get("wrong"):
        return None
    if run.get("phase") == "scan":
        return run["answer_distinct"] / run["seconds"]
    if "insert_seconds" in run:
        return run["inserted"] / run["insert_seconds"]
    return run["events"] / run["seconds"] if "seconds" in run else None


def plain(entry):
    """An entry as JSON takes it."""
    row = entry["row"]
    rates = [rate for rate in (rate_of(entry, run) for run in entry["runs"]) if rate]
    return {"section": row.section, "name": row.name, "ids": entry["kind"], "does": row.does,
            "durability": row.durability, "exactness": row.exactness, "page": row.page,
            "median_per_second": statistics.median(rates) if rates else None,
            "runs": entry["runs"]}


def _table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def _count(number):
    if number >= 1e6:
        return f"{number / 1e6:.2f} M"
    return f"{number / 1e3:.0f} k" if number >= 1e4 else f"{number:.0f}"


def _spread(values):
    return f"{_count(statistics.median(values))} ({_count(min(values))} to {_count(max(values))})"


def _loads(runs):
    busy = [run["load"]["busy_percent"] for run in runs]
    load = [run["load"]["load1"] for run in runs]
    return f"{min(load):.1f} to {max(load):.1f}; {min(busy)} to {max(busy)} %"


def _wrong(row):
    return next((run["wrong"] for run in row["runs"] if run["wrong"]), None)


def _classes(section, kinds):
    """Rows of a section by (ids, durability, exactness); the strongest class first."""
    order = (rows.FOR_EVER, rows.ORDERED, rows.SESSION, rows.WINDOW, rows.WINDOW_FRAMES,
             rows.AT_QUERY, rows.GIVEN, rows.NONE)
    for kind in kinds:
        for durability in (rows.SYNCED, rows.FILES):
            for exactness in order:
                promise = (kind, durability, exactness)
                part = [row for row in section
                        if (row["ids"], row["durability"], row["exactness"]) == promise]
                if part:
                    yield (*promise, sorted(part, key=lambda row: -(row["median_per_second"] or 0)))


def _ingest(section):
    out = []
    for kind, durability, exactness, part in _classes(section, ("sequence", "uuid7", "uuid")):
        lines = []
        for row in part:
            runs = row["runs"]
            if _wrong(row):
                lines.append([row["does"], f"WRONG: {_wrong(row)}", "", "", "", _loads(runs)])
                continue
            rates = [run["events"] / run["seconds"] for run in runs]
            cpu = [statistics.median(run.get(key, 0) * 1e6 / run["events"] for run in runs)
                   for key in ("server_cpu_seconds", "client_cpu_seconds")]
            lines.append([row["does"], f"{runs[0]['events']:,}", _spread(rates),
                          f"{cpu[0]:.2f}" if cpu[0] else "in process", f"{cpu[1]:.2f}",
                          _loads(runs)])
        out += [f"\n**Ids {kind}; {durability}; duplicates: {exactness}**\n"]
        out += _table(("what", "events", "events/s, median (least to most)",
                       "server CPU us an event", "client CPU us an event",
                       "load average; others' CPU before"), lines)
    return out


def _ids(section):
    out = []
    for _, durability, exactness, part in _classes(section, ("random",)):
        lines = []
        for row in part:
            runs = row["runs"]
            if _wrong(row):
                lines.append([row["does"], f"WRONG: {_wrong(row)}", "", "", "", "", "",
                              _loads(runs)])
                continue
            count = runs[0]["inserted"]
            spent = statistics.median(run["insert_cpu_seconds"] * 1e6 / count for run in runs)
            lines.append([
                row["does"], f"{count:,}",
                _spread([count / run["insert_seconds"] for run in runs]),
                f"{spent:.2f}",
                _spread([run["repeats"] / run["repeat_seconds"] for run in runs])
                if "repeats" in runs[0] else "not measured",
                f"{statistics.median(run['resident_bytes'] for run in runs) / count:.1f}",
                f"{statistics.median(run['disk_bytes'] for run in runs) / count:.1f}"
                if all(run["disk_bytes"] for run in runs) else "nothing sealed yet",
                _loads(runs)])
        out += [f"\n**Random 128-bit ids; {durability}; {exactness}**\n"]
        out += _table(("what", "ids", "new ids/s", "CPU us a new id", "repeated ids/s",
                       "resident bytes an id", "bytes on disk an id",
                       "load average; others' CPU before"), lines)
    return out


def _cpu_ns(runs):
    spent = statistics.median(run["cpu_seconds"] * 1e9 / run["distinct"] for run in runs)
    return f"; {spent:.1f} ns"


def _store(section):
    out = []
    kinds = [kind for kind in ("sequence", "uuid7", "uuid")
             if any(row["ids"] == kind for row in section)]
    by_name = {}
    for row in section:
        by_name.setdefault(row["name"], {})[row["ids"]] = row
    lines, scans = [], []
    for per_kind in by_name.values():
        one = next(iter(per_kind.values()))
        sizes, rates, runs = [], [], []
        for kind in kinds:
            load = per_kind[kind]["runs"][0] if kind in per_kind else {"wrong": "not run"}
            if load.get("wrong") or not load.get("bytes_rows"):
                sizes.append("WRONG" if load.get("wrong") else "nothing sealed yet")
            else:
                sizes.append(f"{load['bytes'] / load['bytes_rows']:.2f}" + (
                    f" (and {load['other_bytes'] / 1e6:.1f} MB of other files, and"
                    f" {load['fixed_bytes'] >> 20} MiB of lanes, whatever the size)"
                    if "fixed_bytes" in load else ""))
            done = [run for run in per_kind.get(kind, {"runs": ()})["runs"]
                    if run["phase"] == "scan"]
            runs += done
            found = next((run["wrong"] for run in done if run["wrong"]), None)
            rates.append(f"WRONG: {found}" if found else
                         _spread([rate_of(None, run) for run in done]) + _cpu_ns(done)
                         if done else "")
        lines.append([one["does"], one["exactness"], *sizes])
        if runs:
            scans.append([one["does"], *rates, _loads(runs)])
    count = max((run.get("events", 0) for row in section for run in row["runs"]), default=0)
    out += [f"\n**Bytes an event, {count:,} events** (duplicates: as named; not one ranking)\n"]
    out += _table(("what", "duplicates", *(f"ids {kind}" for kind in kinds)), lines)
    if scans:
        out += ["\n**Rows a second, sum by tenant and type with a price, warm; CPU a row**\n"]
        out += _table(("what", *(f"ids {kind}" for kind in kinds),
                       "load average; others' CPU before"), scans)
    return out


def text(result):
    here = result["machine"]
    disk = here["disk"]
    out = ["# Peers on the same events of W1", "",
           f"Machine: {here['cpu']}, {here['cores']} cores, {here['memory']}; {here['system']},"
           f" Linux {here['kernel']}; disk {disk.get('device')}, {disk.get('file_system')}, write"
           f" cache {disk.get('write_cache', 'unknown')}.",
           "Versions: " + ", ".join(f"{key} {value}" for key, value in
                                    sorted(result["versions"].items())) + "."]
    for name, reason in result["missing"].items():
        out.append(f"Not installed: {name}: {reason}")
    for title, key, made in (("Ingest", "ingest", _ingest), ("Remembered ids", "ids", _ids),
                             ("Size and scan", "store", _store)):
        section = [row for row in result["rows"] if row["section"] == key]
        if section:
            out += ["", f"## {title}"] + made(section)
    return "\n".join(out)
