"""A daemon in a directory of its own, and frames by hand: for the scripts of this folder."""

import json
import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

BUILD = os.environ["VENTURI_BUILD"]
SRC = os.environ["VENTURI_SRC"]

HELLO, WELCOME, COLUMNS, ROWS, ACK, ERROR, PING, PONG = range(1, 9)
HEADER = struct.Struct("<4sBBHIIQI")


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def error_codes():
    """Name -> number and back, from the one table of errors."""
    with open(os.path.join(SRC, "include/venturi/err.h"), encoding="utf-8") as stream:
        pairs = re.findall(r"X\((VT_\w+), (\d+),", stream.read())
    return {int(number): name for name, number in pairs}


CODES = error_codes()


def pack(value):
    """The little of msgpack that events need."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(
        pack(k) + pack(v) for k, v in value.items())


def frame(kind, payload=b"", sequence=0, events=0, **wrong):
    """A frame; `wrong` replaces fields of its header, whose checksum is right unless replaced."""
    fields = {"magic": b"VTF1", "version": 1, "type": kind, "flags": 0, "length": len(payload),
              "payload_crc": crc32c(payload), "sequence": sequence, "events": events}
    header_crc = wrong.pop("header_crc", None)
    fields.update(wrong)
    head = HEADER.pack(*fields.values())
    return head + struct.pack("<I", crc32c(head) if header_crc is None else header_crc) + payload


def hello(token, producer=b"", epoch=1, version=1, **sizes):
    head = struct.pack("<HBBIQ", version, sizes.get("token_size", len(token)),
                       sizes.get("producer_size", len(producer)), 0, epoch)
    return frame(HELLO, head + token + producer)


class Peer:
    """One connection, and the frames that come back on it."""

    def __init__(self, port, first=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.input = b""
        if first:
            self.send(first)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # what the daemon said before it closed is still to be read

    def next(self):
        """(type, sequence, payload) of the next frame, or None at the end."""
        while len(self.input) < 32 or len(self.input) < 32 + self._length():
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self.input += data
        length = self._length()
        head = self.input[:32]
        payload = self.input[32:32 + length]
        self.input = self.input[32 + length:]
        assert struct.unpack_from("<I", head, 28)[0] == crc32c(head[:28]), "header checksum"
        assert struct.unpack_from("<I", head, 12)[0] == crc32c(payload), "payload checksum"
        return head[5], struct.unpack_from("<Q", head, 16)[0], payload

    def _length(self):
        return struct.unpack_from("<I", self.input, 8)[0]

    def says(self):
        """The next frame as a word: "VT_BAD_CRC!" (fatal), "VT_BAD_TYPE", "ack 3/5", "end"."""
        got = self.next()
        if got is None:
            return "end"
        kind, _, payload = got
        if kind == ERROR:
            code, flags = struct.unpack_from("<HH", payload)
            return CODES.get(code, f"error {code}") + ("!" if flags & 1 else "")
        if kind == ACK:
            _, _, count, accepted, verdicts, _ = struct.unpack_from("<QQIIII", payload)
            assert len(payload) == 32 + 8 * verdicts
            return f"ack {accepted}/{count}"
        if kind == WELCOME:
            return f"welcome {struct.unpack_from('<Q', payload, 40)[0]}"
        return "pong" if kind == PONG else f"frame {kind}"

    def close(self):
        self.socket.close()


class Daemon:
    """venturid in a temporary directory; a with-statement stops and removes it."""

    def __init__(self, catalog, *options, descriptors=None):
        self.descriptors = descriptors
        self.dir = tempfile.mkdtemp(prefix="venturi_e2e_")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "stderr")
        self.options = options
        self.catalog = os.path.join(self.dir, "catalog.json")
        with open(self.catalog, "w", encoding="utf-8") as stream:
            json.dump(catalog, stream)
        self.process = None
        self.port = self.http = 0

    def start(self, port=0, http=0):
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "venturid"), "--data", self.data, "--catalog", self.catalog,
                 "--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}", *self.options],
                stderr=log, preexec_fn=self._limit if self.descriptors else None)
        for _ in range(6000):
            with open(self.log, encoding="utf-8", errors="replace") as log:
                log.seek(at)
                ready = re.search(r"frames on [^ ]*:(\d+), http on [^ ]*:(\d+)\n", log.read())
            if ready:
                self.port, self.http = int(ready[1]), int(ready[2])
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        self.fail("the daemon does not start")

    def _limit(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=60)
        if status != 0:
            self.fail(f"the daemon ended with {status}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def token(self):
        with open(os.path.join(self.data, "admin.token"), "rb") as stream:
            return stream.read().strip()

    def summary(self):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/v1/summary",
            headers={"Authorization": "Bearer " + self.token().decode()})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fail(self, why):
        print(why)
        self.print_log()
        sys.exit(1)

    def print_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            print(log.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.print_log()
        shutil.rmtree(self.dir)


CATALOG = {
    "event_types": [{"type": "call", "fields": [
        {"name": "region", "kind": "string"},
        {"name": "tokens", "kind": "decimal", "scale": 0}]}],
    "meters": [{"key": "tokens", "event_type": "call", "aggregation": "sum", "field": "tokens",
                "group_by": ["region"], "window": "1m", "unit": "token"}],
    "tenants": [{"key": "acme", "name": "Acme"}, {"key": "globex", "name": "Globex"}],
    "plans": [],
    "contracts": [],
}


def event(number, tenant="acme", **more):
    return pack({"tenant": tenant, "type": "call", "id": f"e{number}",
                 "time": 1700000000000000 + number, "props": {"region": "eu", "tokens": 7}, **more})


def rows(numbers, sequence=1, **wrong):
    numbers = list(numbers)
    wrong.setdefault("events", len(numbers))
    return frame(ROWS, b"".join(map(event, numbers)), sequence, **wrong)
