"""PostgreSQL 15 by libpq over a Unix socket: two connections, a transaction a batch,
synchronous_commit on. postgresql.org/docs/15: populate.html (COPY, max_wal_size),
runtime-config-resource.html (shared_buffers), sql-insert.html (ON CONFLICT DO NOTHING),
explicit-locking.html (keys in one order, so that transactions that repeat each other's ids do not
deadlock: a batch is sorted by id)."""

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import child
import machine
import server

CONNECTIONS = 2
FIELDS = ("tenant", "subject", "region", "type")
COLUMNS = "time_us bigint, quantity bigint, tenant text, subject text, region text, type text"


def _settings():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"shared_buffers": f"{min(memory // 4, 4 << 30) >> 20}MB", "max_wal_size": "8GB",
            "synchronous_commit": "on", "fsync": "on", "listen_addresses": "",
            "unix_socket_directories": "."}


def _environment(context):
    if not context.tools.get("postgres_libraries"):
        return dict(os.environ)
    return {**os.environ, "LD_LIBRARY_PATH": context.tools["postgres_libraries"]}


def _cluster(context):
    """A server on a new cluster, or on the one that is there."""
    bin_dir, who = pathlib.Path(context.tools["postgres"]), server.unprivileged()
    home, data = context.dir / "pg", context.dir / "pg" / "data"
    environment = _environment(context)
    if not home.exists():
        home.mkdir()
        if who:
            os.chown(home, who["user"], who["group"])
        done = subprocess.run([bin_dir / "initdb", "-D", data, "-A", "trust", "-U", "bench",
                               "--locale=C", "-E", "UTF8"], capture_output=True, text=True,
                              cwd=home, env=environment, **who)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-300:])
    options = [word for key, value in _settings().items() for word in ("-c", f"{key}={value}")]
    # SIGINT is the fast stop.
    return server.Server([bin_dir / "postgres", "-D", data, *options], context.dir,
                         stop=signal.SIGINT, cwd=data, env=environment, **who)


def _connect(context, seconds=30):
    import psycopg
    end = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(host=str(context.dir / "pg" / "data"), user="bench",
                                   dbname="postgres")
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _id_type(context):
    return "bigint" if context.events.kind == "sequence" else "uuid"


def _sorted_rows(context):
    """The rows, each batch of them in the order of its ids."""
    import numpy
    rows = context.events.array()
    ids = numpy.ascontiguousarray(rows["id"]).view("S16")
    if context.events.kind != "sequence":
        for first, last in context.slices():
            rows[first:last] = rows[first:last][numpy.argsort(ids[first:last], kind="stable")]
    return rows


def _copy_rows(context):
    """Each batch in COPY's binary format, made before the clock runs."""
    import numpy
    rows = _sorted_rows(context)
    wide = context.events.kind != "sequence"
    shape = [("fields", ">i2"), ("id_size", ">i4"), ("id", "V16" if wide else ">i8"),
             ("time_size", ">i4"), ("time_us", ">i8"), ("quantity_size", ">i4"),
             ("quantity", ">i8")]
    names = {field: context.events.named(field, rows[field]) for field in FIELDS}
    for field in FIELDS:
        shape += [(field + "_size", ">i4"), (field, names[field].dtype)]
    out = numpy.zeros(len(rows), dtype=shape)
    out["fields"] = 7
    out["id_size"] = 16 if wide else 8
    out["id"] = rows["id"] if wide else numpy.ascontiguousarray(rows["id"]).view("<i8")[::2]
    for field in ("time_us", "quantity"):
        out[field.removesuffix("_us") + "_size"] = 8
        out[field] = rows[field]
    for field in FIELDS:
        out[field + "_size"] = names[field].dtype.itemsize
        out[field] = names[field]
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    return [head + out[first:last].tobytes() + b"\xff\xff" for first, last in context.slices()]


def _array_rows(context):
    """Each batch as seven array literals, made before the clock runs."""
    import uuid
    rows = _sorted_rows(context)
    raw = rows["id"].tobytes()
    if context.events.kind == "sequence":
        ids = [str(int.from_bytes(raw[at:at + 8], "little")) for at in range(0, len(raw), 16)]
    else:
        ids = [str(uuid.UUID(bytes=raw[at:at + 16])) for at in range(0, len(raw), 16)]
    columns = [ids, *([str(value) for value in rows[field].tolist()]
                      for field in ("time_us", "quantity"))]
    for field in FIELDS:
        texts = context.events.names[field + "s"]
        columns.append([texts[code] for code in rows[field].tolist()])
    return [["{" + ",".join(column[first:last]) + "}" for column in columns]
            for first, last in context.slices()]


def _copy(target):
    def send(link, batch):
        with link.cursor() as cursor:
            with cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(batch)
            if target == "stage":
                cursor.execute("INSERT INTO events SELECT * FROM stage ON CONFLICT DO NOTHING",
                               prepare=True)
        link.commit()
    return send


def _insert(context):
    kinds = (_id_type(context), "bigint", "bigint", "text", "text", "text", "text")
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    statement = f"INSERT INTO events SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"

    def send(link, batch):
        link.execute(statement, batch, prepare=True)
        link.commit()
    return send


def _drive(context, batches, send, stage):
    """Two connections take turns; gives the clock and the server's use."""
    with _cluster(context) as running:
        with contextlib.closing(_connect(context)) as link:
            link.execute(f"CREATE TABLE events (id {_id_type(context)}, {COLUMNS})")
            if stage is not None:
                link.execute("ALTER TABLE events ADD PRIMARY KEY (id)")
            link.commit()
        links = [_connect(context) for _ in range(CONNECTIONS)]
        for link in links:
            if stage:
                link.execute("CREATE TEMP TABLE stage (LIKE events) ON COMMIT DELETE ROWS")
                link.commit()
        faults = []

        def work(number):
            try:
                for batch in batches[number::CONNECTIONS]:
                    send(links[number], batch)
            except Exception as error:
                faults.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(CONNECTIONS)]
        before = running.usage()
        with child.Clock() as clock:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if faults:
            raise faults[0]
        link = links[0]
        once = "events" if stage is not None else "(SELECT DISTINCT * FROM events) once"
        distinct = link.execute(f"SELECT count(*) FROM {once}").fetchone()[0]
        sums = dict(link.execute(f"SELECT tenant, sum(quantity)::bigint FROM {once}"
                                 " GROUP BY tenant").fetchall())
        size = link.execute("SELECT pg_total_relation_size('events')").fetchone()[0]
        result = server.measured(running, clock, before, distinct=distinct, bytes=size,
                                 sums=context.events.sums(sums))
        for link in links:
            link.close()
    return result


def ingest_copy(context):
    # A sequence without repeats needs no second table to copy into.
    staged = context.events.kind != "sequence"
    return _drive(context, _copy_rows(context), _copy("stage" if staged else "events"), staged)


def ingest_insert(context):
    return _drive(context, _array_rows(context), _insert(context), False)


def ingest_bare(context):
    return _drive(context, _copy_rows(context), _copy("events"), None)


def store(context):
    """Size only: loaded in one COPY, then keyed and vacuumed."""
    context.batch = context.events.count
    with _cluster(context), contextlib.closing(_connect(context)) as link:
        link.execute(f"CREATE TABLE stage (id {_id_type(context)}, {COLUMNS})")
        with link.cursor() as cursor:
            with cursor.copy("COPY stage FROM STDIN (FORMAT BINARY)") as copy:
                for batch in _copy_rows(context):
                    copy.write(batch)
        link.execute("CREATE TABLE events AS SELECT DISTINCT * FROM stage")
        link.execute("ALTER TABLE events ADD PRIMARY KEY (id)")
        link.commit()
        distinct = link.execute("SELECT count(*) FROM events").fetchone()[0]
        sums = dict(link.execute("SELECT tenant, sum(quantity)::bigint FROM events"
                                 " GROUP BY tenant").fetchall())
        size = link.execute("SELECT pg_total_relation_size('events')").fetchone()[0]
    return {"bytes": size, "bytes_rows": distinct, "distinct": distinct,
            "sums": context.events.sums(sums)}


def ids(context):
    """A table of ids alone: insert where absent, then the same question for ids that are there."""
    import ids_made
    batches = ids_made.batches(context.count, context.batch)
    with _cluster(context) as running:
        with contextlib.closing(_connect(context)) as link:
            link.execute("CREATE TABLE ids (id uuid PRIMARY KEY)")
            link.execute("CREATE TEMP TABLE stage (id uuid) ON COMMIT DELETE ROWS")
            link.commit()

            def send(batch):
                with link.cursor() as cursor:
                    with cursor.copy("COPY stage FROM STDIN (FORMAT BINARY)") as copy:
                        copy.write(batch)
                    cursor.execute("INSERT INTO ids SELECT * FROM stage ON CONFLICT DO NOTHING",
                                   prepare=True)
                    taken = cursor.rowcount
                link.commit()
                return taken

            before = running.usage()["cpu_seconds"]
            with child.Clock() as clock:
                taken = sum(send(ids_made.copied(batch)) for batch in batches)
            spent = running.usage()["cpu_seconds"] - before + clock.client_cpu
            # A repeat costs what it costs at ingest: the same statement.
            repeats = ids_made.repeats(context.count, context.batch)
            with child.Clock() as again:
                found = sum(len(batch) for batch in repeats)
                found -= sum(send(ids_made.copied(batch)) for batch in repeats)
            size = link.execute("SELECT pg_total_relation_size('ids')").fetchone()[0]
        return {"insert_seconds": clock.seconds, "insert_cpu_seconds": spent,
                "repeat_seconds": again.seconds, "inserted": taken, "found": found,
                "repeats": sum(map(len, repeats)), "disk_bytes": size,
                "resident_bytes": machine.shared_out_bytes(running.process.pid)}


def version(tools):
    return subprocess.run([pathlib.Path(tools["postgres"], "postgres"), "--version"],
                          capture_output=True, text=True).stdout.split()[2]
