"""The rows of the comparison: who, what it promises when it answers, and where its makers say to
do it so."""

import dataclasses

SYNCED = "synced before the ack"
FILES = "files, not a service"
FOR_EVER = "exact, for as long as it is kept"
ORDERED = "exact for one sender in ascending order"
SESSION = "exact for the retries of one producer's session, nothing else"
WINDOW = "exact within a window of 1 h, an event"
WINDOW_FRAMES = "exact within a window of 1 h, a whole batch"
NONE = "none: a repeat is counted twice"
AT_QUERY = "none at ingest: distinct at query time"
GIVEN = "rows were made distinct before loading"


@dataclasses.dataclass(frozen=True)
class Row:
    section: str            # ingest, ids, store
    name: str
    call: str               # module:function
    does: str               # what stands in the table
    exactness: str
    kinds: tuple = ("sequence", "uuid")
    durability: str = SYNCED
    needs: tuple = ()       # of compare.py's installers
    events_max: int = 0     # 0: all
    scans: bool = False     # section store: has a scan as well
    same_answer: bool = True
    page: str = ""


ROWS = (
    Row("ingest", "disk", "peer_disk:ingest", "the disk alone: 48 bytes an event, a synced write a"
        " batch", NONE, same_answer=False),
    Row("ingest", "venturi", "peer_venturi:ingest", "Venturi: columns over loopback; log, ids,"
        " hourly sums by subject", FOR_EVER),
    Row("ingest", "postgres-copy", "peer_postgres:ingest_copy", "PostgreSQL: COPY, unique key"
        " (random ids: COPY to a stage, INSERT ... ON CONFLICT DO NOTHING)", FOR_EVER,
        needs=("python", "postgres"), page="postgresql.org/docs/15/populate.html"),
    Row("ingest", "postgres-insert", "peer_postgres:ingest_insert", "PostgreSQL: INSERT ... ON"
        " CONFLICT DO NOTHING of 1,000 rows", FOR_EVER, needs=("python", "postgres"),
        page="postgresql.org/docs/15/sql-insert.html"),
    Row("ingest", "postgres-bare", "peer_postgres:ingest_bare", "PostgreSQL: COPY, no key",
        AT_QUERY, kinds=("uuid",), needs=("python", "postgres"),
        page="postgresql.org/docs/15/populate.html"),
    Row("ingest", "sqlite", "peer_sqlite:ingest", "SQLite in process: WAL, FULL, INSERT OR IGNORE",
        FOR_EVER, page="sqlite.org/withoutrowid.html, sqlite.org/wal.html"),
    Row("ingest", "duckdb-key", "peer_duckdb:ingest_key", "DuckDB in process: primary key, INSERT"
        " OR IGNORE from Arrow", FOR_EVER, needs=("python",),
        page="duckdb.org/docs/stable/data/insert"),
    Row("ingest", "duckdb-bare", "peer_duckdb:ingest_bare", "DuckDB in process: no key, INSERT from"
        " Arrow", AT_QUERY, needs=("python",), page="duckdb.org/docs/stable/data/insert"),
    Row("ingest", "redis", "peer_redis:ingest", "Redis: stream and set of ids in one script a"
        " batch, appendfsync always", FOR_EVER, kinds=("uuid",), needs=("redis",),
        page="redis.io/docs: Redis persistence, Scripting with Lua"),
    Row("ingest", "redis-ordered", "peer_redis:ingest", "Redis: stream under explicit entry ids,"
        " one script a batch, appendfsync always", ORDERED, kinds=("sequence",), needs=("redis",),
        page="redis.io/docs: Redis Streams, Redis pipelining"),
    Row("ingest", "nats-events", "peer_nats:ingest_events", "NATS JetStream: a message an event,"
        " Nats-Msg-Id, sync_interval always", WINDOW, kinds=("uuid",), needs=("nats",),
        events_max=5_000, page="docs.nats.io: JetStream, Model Deep Dive: message deduplication"),
    Row("ingest", "nats-frames", "peer_nats:ingest_frames", "NATS JetStream: a message of 1,000"
        " events, Nats-Msg-Id, sync_interval always", WINDOW_FRAMES, kinds=("sequence",),
        needs=("nats",), page="docs.nats.io: JetStream, Model Deep Dive"),
    Row("ingest", "kafka", "peer_kafka:ingest", "Kafka: a record an event, acks=all, idempotent"
        " producer, flush.messages=1", SESSION, kinds=("sequence",), needs=("kafka",),
        page="kafka.apache.org/documentation: Topic Configs, Producer Configs"),
    Row("ids", "venturi-ids", "peer_venturi:ids", "Venturi: whole events of W1 (1 % repeats)"
        " through the daemon; files are all but the lanes", FOR_EVER,
        kinds=("random",)),
    Row("ids", "rocksdb", "ids_made:rocksdb", "RocksDB: MultiGet, then a synced write batch",
        FOR_EVER, kinds=("random",), needs=("rocksdb",), page="RocksDB wiki: Setup Options and"
        " Basic Tuning"),
    Row("ids", "lmdb", "ids_made:lmdb", "LMDB: a synced transaction a batch, MDB_NOOVERWRITE",
        FOR_EVER, kinds=("random",), needs=("lmdb",), page="lmdb.h"),
    Row("ids", "postgres-ids", "peer_postgres:ids", "PostgreSQL: COPY to a stage, INSERT ... ON"
        " CONFLICT DO NOTHING, primary key uuid", FOR_EVER, kinds=("random",),
        needs=("python", "postgres"), page="postgresql.org/docs/15/sql-insert.html"),
    Row("store", "venturi-store", "peer_venturi:store", "Venturi: segments (ids, hourly sums,"
        " checksums and digests included)", FOR_EVER, kinds=("sequence", "uuid7", "uuid"),
        scans=True),
    Row("store", "duckdb", "peer_duckdb:store", "DuckDB file, rows clustered, no key", GIVEN,
        kinds=("sequence", "uuid7", "uuid"), durability=FILES, needs=("python",), scans=True,
        page="duckdb.org/docs/stable/guides/performance"),
    Row("store", "clickhouse", "peer_clickhouse:store", "ClickHouse (chdb) MergeTree, ZSTD and"
        " codecs, ordered", GIVEN, kinds=("sequence", "uuid7", "uuid"), durability=FILES,
        needs=("python",), scans=True, page="clickhouse.com/docs: Compression in ClickHouse"),
    Row("store", "parquet", "peer_clickhouse:parquet", "Parquet, zstd, rows clustered", GIVEN,
        kinds=("sequence", "uuid7", "uuid"), durability=FILES, needs=("python",),
        page="parquet.apache.org/docs/file-format/data-pages/encodings"),
    Row("store", "postgres-table", "peer_postgres:store", "PostgreSQL table and unique index",
        FOR_EVER, kinds=("sequence", "uuid7", "uuid"), needs=("python", "postgres"),
        page="postgresql.org/docs/15/storage-page-layout.html"),
)
SECTIONS = ("ingest", "ids", "store")
