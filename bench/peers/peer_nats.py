"""NATS JetStream with a file store and sync_interval always, over loopback. docs.nats.io:
"JetStream / Configuration" (sync_interval), "Streams" (duplicate_window, Nats-Msg-Id)."""

import collections
import json
import re
import subprocess

import child
import server

WINDOW = 4000                   # messages in flight
DEDUP_WINDOW_S = 3600
_ACK = re.compile(rb'MSG _INBOX\.acks \d+ \d+\r\n(\{[^\r]*\})\r\n')


class Link:
    def __init__(self, port):
        self.socket = server.connect(port)
        self.data = b""
        self.until(b"\r\n")
        self.send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nPING\r\n')
        self.until(b"PONG\r\n")

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        got = self.socket.recv(1 << 20)
        if not got:
            raise RuntimeError("the server closed the connection")
        self.data += got

    def until(self, mark):
        while mark not in self.data:
            self.more()
        self.data = self.data[self.data.index(mark) + len(mark):]

    def ask(self, subject, body):
        """A request of the JetStream API."""
        text = json.dumps(body).encode()
        self.send(b"SUB _INBOX.api 9\r\nPUB %s _INBOX.api %d\r\n%s\r\nUNSUB 9 1\r\n"
                  % (subject.encode(), len(text), text))
        while True:
            found = re.search(rb"MSG _INBOX\.api 9 (\d+)\r\n", self.data)
            if found and len(self.data) >= found.end() + int(found.group(1)) + 2:
                end = found.end() + int(found.group(1))
                answer = json.loads(self.data[found.end():end])
                self.data = self.data[end + 2:]
                if "error" in answer:
                    raise RuntimeError(answer["error"]["description"])
                return answer
            self.more()


def lines(context):
    """Each event as a line of text with its id first."""
    names = context.events.names
    fields = [[name.encode() for name in names[field + "s"]]
              for field in ("tenant", "subject", "region", "type")]
    counted = context.events.kind == "sequence"
    for row_id, time_us, quantity, *codes, _ in context.events.rows():
        name = b"%d" % int.from_bytes(row_id[:8], "little") if counted else row_id.hex().encode()
        yield name, b"%s,%d,%d,%s" % (
            name, time_us, quantity, b",".join(texts[code] for texts, code in zip(fields, codes)))


def _message(name, body):
    head = b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n" % name
    return b"HPUB usage.w1 _INBOX.acks %d %d\r\n%s%s\r\n" % (
        len(head), len(head) + len(body), head, body)


def _messages(context, frames):
    if not frames:
        return [_message(name, line) for name, line in lines(context)]
    batches, batch = [], []
    for _, line in lines(context):
        batch.append(line)
        if len(batch) == context.batch:
            batches.append(b"\n".join(batch))
            batch = []
    if batch:
        batches.append(b"\n".join(batch))
    return [_message(b"frame-%d" % number, body) for number, body in enumerate(batches)]


def _read_back(link, count, context):
    """Counts what the stream holds by a consumer without acks."""
    link.ask("$JS.API.CONSUMER.CREATE.usage", {"stream_name": "usage", "config": {
        "deliver_subject": "_INBOX.all", "deliver_policy": "all", "ack_policy": "none"}})
    seen, sums, messages = 0, collections.Counter(), 0
    data = link.data
    while messages < count:
        at = 0
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            words = data[at:end].split(b" ")
            if words[0] not in (b"HMSG", b"MSG"):
                at = end + 2
                continue
            total = int(words[-1])
            if len(data) < end + 2 + total + 2:
                break
            skip = int(words[-2]) if words[0] == b"HMSG" else 0
            for line in data[end + 2 + skip:end + 2 + total].split(b"\n"):
                parts = line.split(b",")
                sums[parts[3].decode()] += int(parts[2])
                seen += 1
            messages += 1
            at = end + 2 + total + 2
        data = data[at:]
        if messages < count:
            got = link.socket.recv(1 << 20)
            if not got:
                raise RuntimeError("the server closed the connection")
            data += got
    return seen, sums


def _ingest(context, frames):
    port = server.free_port()
    config = context.dir / "nats.conf"
    config.write_text(f'host: 127.0.0.1\nport: {port}\nmax_payload: 8MB\nmax_pending: 256MB\n'
                      f'jetstream {{ store_dir: "{context.dir}/js", sync_interval: always }}\n')
    messages = _messages(context, frames)
    with server.Server([context.tools["nats"], "-c", config], context.dir) as running:
        link = Link(port)
        made = link.ask("$JS.API.STREAM.CREATE.usage", {
            "name": "usage", "subjects": ["usage.>"], "storage": "file", "retention": "limits",
            "duplicate_window": DEDUP_WINDOW_S * 1_000_000_000, "num_replicas": 1})
        if made["config"]["duplicate_window"] != DEDUP_WINDOW_S * 1_000_000_000:
            raise RuntimeError("the dedup window was not taken")
        link.send(b"SUB _INBOX.acks 1\r\n")
        before = running.usage()
        sent = acked = repeats = 0
        burst = 200 if not frames else 4
        with child.Clock() as clock:
            while acked < len(messages):
                while sent < len(messages) and sent - acked < (WINDOW if not frames else 16):
                    link.send(b"".join(messages[sent:sent + burst]))
                    sent = min(sent + burst, len(messages))
                link.more()
                cut = 0
                for found in _ACK.finditer(link.data):
                    if b'"error"' in found.group(1):
                        raise RuntimeError(found.group(1).decode())
                    acked += 1
                    repeats += b'"duplicate":true' in found.group(1).replace(b" ", b"")
                    cut = found.end()
                link.data = link.data[cut:]
        reader = Link(port)
        reader.send(b"SUB _INBOX.all 3\r\n")
        seen, sums = _read_back(reader, len(messages) - repeats, context)
        size = sum(path.stat().st_size for path in (context.dir / "js").rglob("*.blk"))
        return server.measured(running, clock, before, distinct=seen, bytes=size,
                               sums=context.events.sums(sums))


def ingest_events(context):
    return _ingest(context, False)


def ingest_frames(context):
    return _ingest(context, True)


def version(tools):
    return subprocess.run([tools["nats"], "-v"], capture_output=True,
                          text=True).stdout.split("v")[-1].strip()
