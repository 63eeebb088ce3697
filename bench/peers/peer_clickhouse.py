"""A current ClickHouse engine in process (chdb): size and scan only, because a MergeTree part is
not synced before the insert is answered (fsync_after_insert is off by default) and an id is not
unique in it. clickhouse.com/docs: "LowCardinality", "Compression in ClickHouse" (codecs), "Choosing
a primary key"."""

import json

import child
import machine

TABLE = ("tenant LowCardinality(String), type LowCardinality(String),"
         " time_us Int64 CODEC(DoubleDelta, ZSTD), quantity Int64 CODEC(T64, ZSTD),"
         " subject LowCardinality(String) CODEC(ZSTD), region LowCardinality(String) CODEC(ZSTD)")
# Sums first, prices joined to the few sums: the price of a unit may be taken out of the sum.
QUERY = ("SELECT tenant, type, total, total * price AS amount FROM (SELECT tenant, type,"
         " sum(quantity) AS total FROM events GROUP BY tenant, type) AS sums"
         " JOIN prices USING (type)")


def _ask(session, query):
    return [json.loads(line) for line in
            session.query(query, "JSONEachRow").bytes().decode().splitlines()]


def store(context):
    import chdb.session
    session = chdb.session.Session(str(context.dir / "chdb"))
    session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    session.query("USE bench")
    names = context.events.names
    if context.phase == "load":
        import pyarrow.parquet
        counted = context.events.kind == "sequence"
        kind = "Int64 CODEC(Delta, ZSTD)" if counted else "FixedString(16)"
        file = context.dir / "rows.parquet"
        table = context.events.table(context.events.clustered())
        if not counted:
            raw = table["id"].combine_chunks().storage
            table = table.set_column(0, "id", raw)
        pyarrow.parquet.write_table(table, file)
        session.query(f"CREATE TABLE events (id {kind}, {TABLE}) ENGINE = MergeTree"
                      " ORDER BY (tenant, type, time_us)")
        session.query("INSERT INTO events SELECT id, tenant, type, time_us, quantity, subject,"
                      f" region FROM file('{file}', Parquet)")
        session.query("OPTIMIZE TABLE events FINAL")
        session.query("CREATE TABLE prices (type String, price Decimal64(4)) ENGINE = MergeTree"
                      " ORDER BY type")
        for name in names["types"]:
            session.query(f"INSERT INTO prices VALUES ('{name}', 0.0001)")
        file.unlink()
        size = _ask(session, "SELECT sum(bytes_on_disk) AS n FROM system.parts WHERE active"
                             " AND database = 'bench' AND table = 'events'")[0]["n"]
        distinct = _ask(session, "SELECT uniqExact(id) AS n FROM events")[0]["n"]
        sums = {row["tenant"]: int(row["n"]) for row in
                _ask(session, "SELECT tenant, sum(quantity) AS n FROM events GROUP BY tenant")}
        return {"bytes": int(size), "bytes_rows": int(distinct), "distinct": int(distinct),
                "sums": context.events.sums(sums)}
    query = QUERY + f" SETTINGS max_threads = {context.threads}"
    runs = []
    for _ in range(4):
        with child.Clock() as clock:
            rows = _ask(session, query)
        runs.append((clock.seconds, clock.client_cpu))
    cells = {(row["tenant"], row["type"]): int(row["total"]) for row in rows}
    distinct = int(_ask(session, "SELECT count() AS n FROM events")[0]["n"])
    return {**child.warm(runs), "distinct": distinct,
            "cells": [cells.get((tenant, kind), 0) for tenant in names["tenants"]
                      for kind in names["types"]]}


def parquet(context):
    """A Parquet file with zstd, clustered as the others."""
    import pyarrow.compute
    import pyarrow.parquet
    file = context.dir / "rows.parquet"
    table = context.events.table(context.events.clustered())
    dictionaries = ["tenant", "type", "subject", "region"]
    encodings = {"time_us": "DELTA_BINARY_PACKED"}
    if context.events.kind == "sequence":
        encodings["id"] = "DELTA_BINARY_PACKED"
    pyarrow.parquet.write_table(table, file, compression="zstd", use_dictionary=dictionaries,
                                column_encoding=encodings)
    back = pyarrow.parquet.read_table(file)
    sums = back.group_by("tenant").aggregate([("quantity", "sum")]).to_pydict()
    return {"bytes": machine.tree_bytes(context.dir), "bytes_rows": len(back),
            "distinct": len(back), "sums": context.events.sums(
                dict(zip(sums["tenant"], sums["quantity_sum"])))}


def version():
    import chdb
    return f"chdb {chdb.__version__}, engine {chdb.engine_version}"
