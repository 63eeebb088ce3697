"""SQLite in process, by Python's own module: WAL, synchronous FULL, one transaction a batch. A page
cache and a log that suit random keys (sqlite.org/pragma.html: cache_size, wal_autocheckpoint):
with the defaults of 2 MB and 4 MB it spends its time moving pages."""

import contextlib
import sqlite3

import child


def _open(context):
    base = sqlite3.connect(context.dir / "events.db", isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("PRAGMA cache_size=-1048576")
    base.execute("PRAGMA wal_autocheckpoint=16384")
    # A UUID as key of the table itself saves the second tree: sqlite.org/withoutrowid.html.
    key, tail = (("INTEGER PRIMARY KEY", "") if context.events.kind == "sequence"
                 else ("BLOB PRIMARY KEY NOT NULL", " WITHOUT ROWID"))
    base.execute(f"CREATE TABLE events (id {key}, time_us INTEGER, quantity INTEGER, tenant TEXT,"
                 f" subject TEXT, region TEXT, type TEXT){tail}")
    return contextlib.closing(base)


def _rows(context):
    """Batches of tuples ready to bind: made before the clock runs."""
    names = context.events.names
    fields = [names[field + "s"] for field in ("tenant", "subject", "region", "type")]
    counted = context.events.kind == "sequence"
    batches, batch = [], []
    for row_id, time_us, quantity, *codes, _ in context.events.rows():
        batch.append((int.from_bytes(row_id[:8], "little") if counted else row_id, time_us,
                      quantity, *(texts[code] for texts, code in zip(fields, codes))))
        if len(batch) == context.batch:
            batches.append(batch)
            batch = []
    return batches + ([batch] if batch else [])


def ingest(context):
    batches = _rows(context)
    with _open(context) as base:
        with child.Clock() as clock:
            for batch in batches:
                base.execute("BEGIN IMMEDIATE")
                base.executemany("INSERT OR IGNORE INTO events VALUES (?,?,?,?,?,?,?)", batch)
                base.execute("COMMIT")
        distinct = base.execute("SELECT count(*) FROM events").fetchone()[0]
        sums = dict(base.execute("SELECT tenant, sum(quantity) FROM events GROUP BY tenant"))
    return clock.result(distinct=distinct, sums=context.events.sums(sums))


def version():
    return sqlite3.sqlite_version
