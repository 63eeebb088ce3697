"""The disk alone: the same 48 bytes an event, a batch a write, each synced; it counts nothing."""

import os

import child


def ingest(context):
    data = context.events.path.read_bytes()
    size = context.batch * 48
    file = os.open(context.dir / "log", os.O_CREAT | os.O_WRONLY, 0o600)
    os.posix_fallocate(file, 0, len(data))
    # Written once before: a write into space only reserved costs a journal commit each time.
    for at in range(0, len(data), 1 << 20):
        os.pwrite(file, bytes(min(1 << 20, len(data) - at)), at)
    os.fsync(file)
    with child.Clock() as clock:
        for at in range(0, context.events.count * 48, size):
            os.pwrite(file, data[at:at + size], at)
            os.fdatasync(file)
    os.close(file)
    return clock.result()
