"""DuckDB in process: a transaction a batch, from Arrow (duckdb.org/docs: "Data Import", "Insert
Statements": INSERT ... SELECT or the appender, never row by row)."""

import child
import machine

COLUMNS = ("time_us BIGINT, quantity BIGINT, tenant VARCHAR, subject VARCHAR, region VARCHAR,"
           " type VARCHAR")


def _type(kind):
    # DuckDB keeps a UUID in 16 bytes of fixed width; a BLOB would be a string.
    return "BIGINT" if kind == "sequence" else "UUID"


def _ingest(context, key):
    import duckdb
    table = context.events.table()
    batches = [table.slice(first, last - first) for first, last in context.slices()]
    base = duckdb.connect(context.dir / "events.duckdb", config={"threads": context.threads})
    base.execute(f"CREATE TABLE events (id {_type(context.events.kind)}"
                 f"{' PRIMARY KEY' if key else ''}, {COLUMNS})")
    ignore = "OR IGNORE " if key else ""
    with child.Clock() as clock:
        for batch in batches:
            base.execute(f"INSERT {ignore}INTO events SELECT * FROM batch")
    once = "events" if key else "(SELECT DISTINCT ON (id) * FROM events)"
    distinct, = base.execute("SELECT count(DISTINCT id) FROM events").fetchone()
    sums = base.execute(f"SELECT tenant, sum(quantity) FROM {once} GROUP BY ALL").fetchall()
    return clock.result(distinct=distinct, sums=context.events.sums(dict(sums)))


def ingest_key(context):
    return _ingest(context, True)


def ingest_bare(context):
    return _ingest(context, False)


# Sums first, prices joined to the few sums: the price of a unit may be taken out of the sum.
QUERY = ("SELECT tenant, type, total, total * price FROM (SELECT tenant, type, sum(quantity) AS"
         " total FROM events GROUP BY ALL) JOIN prices USING (type)")


def store(context):
    """Loads distinct rows in the order of tenant, type and time; then the query, warm."""
    import duckdb
    path = context.dir / "events.duckdb"
    base = duckdb.connect(path, config={"threads": context.threads})
    names = context.events.names
    if context.phase == "load":
        clustered = context.events.table(context.events.clustered())
        base.execute(f"CREATE TABLE events (id {_type(context.events.kind)}, {COLUMNS})")
        base.execute("INSERT INTO events SELECT * FROM clustered")
        base.execute("CREATE TABLE prices (type VARCHAR, price DECIMAL(18, 4))")
        for name in names["types"]:
            base.execute("INSERT INTO prices VALUES (?, 0.0001)", [name])
        base.execute("CHECKPOINT")
        distinct, = base.execute("SELECT count(DISTINCT id) FROM events").fetchone()
        sums = base.execute("SELECT tenant, sum(quantity) FROM events GROUP BY ALL").fetchall()
        base.close()
        return {"bytes": machine.tree_bytes(context.dir), "bytes_rows": distinct,
                "distinct": distinct, "sums": context.events.sums(dict(sums))}
    runs = []
    for _ in range(4):
        with child.Clock() as clock:
            rows = base.execute(QUERY).fetchall()
        runs.append((clock.seconds, clock.client_cpu))
    cells = {(tenant, kind): int(total) for tenant, kind, total, _ in rows}
    distinct, = base.execute("SELECT count(*) FROM events").fetchone()
    return {**child.warm(runs), "distinct": distinct,
            "cells": [cells.get((tenant, kind), 0) for tenant in names["tenants"]
                      for kind in names["types"]]}


def version():
    import duckdb
    return duckdb.__version__
