"""The events of one run: rows that write_events made, their names, and the answer that every peer
has to give. Standard library only; numpy is asked for where a peer's own package brings it."""

import json
import pathlib
import struct
import subprocess

ROW = struct.Struct("<16sqqIIHHI")      # the table at the head of write_events.c
KINDS = ("sequence", "uuid7", "uuid")


class Events:
    """A file of rows. `count` may be less than the file has: a prefix."""

    def __init__(self, path, kind, count=None):
        self.path, self.kind = pathlib.Path(path), kind
        self.names = json.loads(self.path.with_suffix(".json").read_text())
        self.count = min(count or self.names["events"], self.names["events"])

    def spec(self):
        return {"path": str(self.path), "kind": self.kind, "count": self.count}

    def rows(self, first=0, last=None):
        """Tuples (id, time_us, quantity, tenant, subject, region, type, 0) of [first, last)."""
        last = self.count if last is None else min(last, self.count)
        with self.path.open("rb") as file:
            file.seek(first * ROW.size)
            while first < last:
                take = min(65536, last - first)
                yield from ROW.iter_unpack(file.read(take * ROW.size))
                first += take

    def array(self):
        """The rows as a numpy array with named fields."""
        import numpy
        shape = numpy.dtype([("id", "V16"), ("time_us", "<i8"), ("quantity", "<i8"),
                             ("tenant", "<u4"), ("subject", "<u4"), ("region", "<u2"),
                             ("type", "<u2"), ("zero", "<u4")])
        return numpy.fromfile(self.path, dtype=shape, count=self.count)

    def named(self, field, codes):
        """Names of a numpy array of codes, as bytes of one length."""
        import numpy
        names = [name.encode() for name in self.names[field + "s"]]
        if len({len(name) for name in names}) != 1:
            raise ValueError(f"names of {field} differ in length")
        return numpy.array(names)[codes]

    def table(self, order=None):
        """The rows as an Arrow table: dictionaries for the names, a UUID or an integer as id."""
        import numpy
        import pyarrow
        rows = self.array()
        if order is not None:
            rows = rows[order]
        if self.kind == "sequence":
            ids = pyarrow.array(numpy.ascontiguousarray(rows["id"]).view("<i8")[::2].copy())
        else:
            raw = pyarrow.py_buffer(numpy.ascontiguousarray(rows["id"]).tobytes())
            ids = pyarrow.ExtensionArray.from_storage(
                pyarrow.uuid(),
                pyarrow.Array.from_buffers(pyarrow.binary(16), len(rows), [None, raw]))
        columns = {"id": ids, "time_us": pyarrow.array(rows["time_us"].copy()),
                   "quantity": pyarrow.array(rows["quantity"].copy())}
        for field in ("tenant", "subject", "region", "type"):
            columns[field] = pyarrow.DictionaryArray.from_arrays(
                pyarrow.array(rows[field].astype("int32")), self.names[field + "s"])
        return pyarrow.table(columns)

    def clustered(self):
        """Row numbers of what is kept of each id, by tenant, type and time: the order that helps
        a columnar store most."""
        import numpy
        rows = self.array()
        _, first = numpy.unique(numpy.ascontiguousarray(rows["id"]).view("S16"), return_index=True)
        rows = rows[first]
        return first[numpy.lexsort((rows["time_us"], rows["type"], rows["tenant"]))]

    def sums(self, by_name):
        """A peer's {tenant: sum} as a list in the order of the codes."""
        return [int(by_name.get(name, 0)) for name in self.names["tenants"]]


def write(program, path, kind, count, start_us):
    """Has write_events make the rows."""
    path = pathlib.Path(path)
    done = subprocess.run(
        [str(program), "--events", str(count), "--ids", kind, "--start-us", str(start_us),
         "--out", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    path.with_suffix(".json").write_text(done.stdout)
    return Events(path, kind)


def reference(events):
    """What a store that counts each id once must hold: distinct ids, sums by tenant, sums by
    tenant and type. Naive on purpose."""
    seen = set()
    types = len(events.names["types"])
    sums = [0] * len(events.names["tenants"])
    cells = [0] * (len(sums) * types)
    for row_id, _, quantity, tenant, _, _, kind, _ in events.rows():
        if row_id in seen:
            continue
        seen.add(row_id)
        sums[tenant] += quantity
        cells[tenant * types + kind] += quantity
    return {"distinct": len(seen), "sums": sums, "cells": cells}
