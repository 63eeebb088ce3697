"""The ids of ids/ids_made.h in Python, and the programs there as rows."""

import json
import subprocess

import machine

REPEATS_MAX = 1_000_000


def _mix(x):
    import numpy
    x = x + numpy.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return x ^ (x >> numpy.uint64(31))


def _made(numbers):
    import numpy
    out = numpy.empty((len(numbers), 2), dtype="<u8")
    out[:, 0] = _mix(numbers * numpy.uint64(2))
    out[:, 1] = _mix(numbers * numpy.uint64(2) + numpy.uint64(1))
    return out


def batches(count, batch):
    """Arrays of ids, one a batch."""
    import numpy
    for first in range(0, count, batch):
        yield _made(numpy.arange(first, min(first + batch, count), dtype="u8"))


def repeats(count, batch):
    """Batches of ids that are there, all over the set."""
    import numpy
    steps = numpy.arange(min(count, REPEATS_MAX), dtype="u8")
    numbers = _mix(steps ^ numpy.uint64(0x5BD1E995)) % numpy.uint64(count)
    return [_made(numbers[at:at + batch]) for at in range(0, len(numbers), batch)]


def copied(ids):
    """A batch in the binary format of PostgreSQL's COPY."""
    import numpy
    out = numpy.zeros(len(ids), dtype=[("fields", ">i2"), ("size", ">i4"), ("id", "V16")])
    out["fields"], out["size"], out["id"] = 1, 16, ids.view("V16")[:, 0]
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + out.tobytes() + b"\xff\xff"


def _program(context, name):
    folder = context.dir / name
    folder.mkdir()
    done = subprocess.run([context.tools[name], str(folder), str(context.count),
                           str(context.batch)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-300:])
    return {**json.loads(done.stdout), "disk_bytes": machine.tree_bytes(folder)}


def rocksdb(context):
    return _program(context, "ids_rocksdb")


def lmdb(context):
    return _program(context, "ids_lmdb")
