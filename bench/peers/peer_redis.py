"""Redis Streams with appendfsync always, over loopback. redis.io/docs: "Redis persistence" (AOF),
"Redis pipelining", "Scripting with Lua" (a script is atomic: an event and its id are kept
together, or not at all), "Redis Streams" (explicit entry ids)."""

import collections
import pathlib
import subprocess

import child
import server

WINDOW = 16             # batches in flight
# KEYS: stream, set of ids. ARGV: seven a event, the id first. Gives how many were new.
KEEP_NEW = """
local new = 0
for i = 1, #ARGV, 7 do
    if redis.call('SADD', KEYS[2], ARGV[i]) == 1 then
        redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'time', ARGV[i + 1], 'quantity',
                   ARGV[i + 2], 'tenant', ARGV[i + 3], 'subject', ARGV[i + 4], 'region',
                   ARGV[i + 5], 'type', ARGV[i + 6])
        new = new + 1
    end
end
return new
"""
# KEYS: stream. ARGV: as above, with a sequence as id, which becomes the entry's: Redis takes
# entries in ascending order only, so a batch that is sent again is refused.
KEEP_ORDERED = """
for i = 1, #ARGV, 7 do
    redis.call('XADD', KEYS[1], ARGV[i] .. '-1', 'time', ARGV[i + 1], 'quantity', ARGV[i + 2],
               'tenant', ARGV[i + 3], 'subject', ARGV[i + 4], 'region', ARGV[i + 5], 'type',
               ARGV[i + 6])
end
return #ARGV / 7
"""
# KEYS: stream. ARGV: first entry, how many. Gives the last entry, then tenants and their sums.
SUM_SOME = """
local page = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local sums, out, last = {}, {}, ''
for _, entry in ipairs(page) do
    local fields, tenant, quantity = entry[2], nil, nil
    for i = 1, #fields, 2 do
        if fields[i] == 'tenant' then tenant = fields[i + 1] end
        if fields[i] == 'quantity' then quantity = tonumber(fields[i + 1]) end
    end
    sums[tenant] = (sums[tenant] or 0) + quantity
    last = entry[1]
end
table.insert(out, last)
for tenant, sum in pairs(sums) do
    table.insert(out, tenant)
    table.insert(out, string.format('%.0f', sum))
end
return out
"""


def _command(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Link:
    """As much of RESP as is needed here."""

    def __init__(self, port):
        self.socket = server.connect(port)
        self.data = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\r\n" not in self.data:
            self._more()
        line, self.data = self.data.split(b"\r\n", 1)
        return line

    def _more(self):
        got = self.socket.recv(1 << 20)
        if not got:
            raise RuntimeError("the server closed the connection")
        self.data += got

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"$":
            size = int(rest)
            while len(self.data) < size + 2:
                self._more()
            text, self.data = self.data[:size], self.data[size + 2:]
            return text
        return rest

    def ask(self, *words):
        self.send(_command(*words))
        return self.reply()


def _texts(context):
    """The seven words of each event."""
    names = context.events.names
    fields = [[name.encode() for name in names[field + "s"]]
              for field in ("tenant", "subject", "region", "type")]
    counted = context.events.kind == "sequence"
    for row_id, time_us, quantity, *codes, _ in context.events.rows():
        yield (b"%d" % int.from_bytes(row_id[:8], "little") if counted else row_id,
               b"%d" % time_us, b"%d" % quantity,
               *(texts[code] for texts, code in zip(fields, codes)))


def _batches(context, script):
    """Each batch as one call of the script, made before the clock runs: one call is one write to
    the log, however many reads its bytes take."""
    done, batch = [], []

    def close():
        done.append(_command(b"EVALSHA", script, b"2", b"events", b"ids", *batch))
        batch.clear()

    for words in _texts(context):
        batch += words
        if len(batch) == context.batch * 7:
            close()
    if batch:
        close()
    return done


def _sums(link):
    script = link.ask("SCRIPT", "LOAD", SUM_SOME)
    sums, first = collections.Counter(), b"-"
    while True:
        answer = link.ask("EVALSHA", script, 1, "events", first, 20000)
        if not answer[0]:
            return sums
        first = b"(" + answer[0]
        for tenant, total in zip(answer[1::2], answer[2::2]):
            sums[tenant.decode()] += int(total)


def ingest(context):
    port = server.free_port()
    program = context.tools["redis"]
    with server.Server([program, "--port", port, "--bind", "127.0.0.1", "--dir", context.dir,
                        "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                        "--auto-aof-rewrite-percentage", "0"], context.dir,
                       env={"LD_LIBRARY_PATH": context.tools["redis_libraries"]}) as running:
        link = Link(port)
        ordered = context.events.kind == "sequence"
        script = link.ask("SCRIPT", "LOAD", KEEP_ORDERED if ordered else KEEP_NEW)
        batches = _batches(context, script)
        before = running.usage()
        kept = answered = 0
        with child.Clock() as clock:
            for number, batch in enumerate(batches):
                link.send(batch)
                if number - answered >= WINDOW:
                    kept += link.reply()
                    answered += 1
            for _ in range(len(batches) - answered):
                kept += link.reply()
        distinct = link.ask("XLEN", "events")
        if kept != distinct or not ordered and link.ask("SCARD", "ids") != distinct:
            raise RuntimeError("answers, the set of ids and the stream differ")
        size = sum(path.stat().st_size for path in context.dir.rglob("*.aof"))
        return server.measured(running, clock, before, distinct=distinct, bytes=size,
                               sums=context.events.sums(_sums(link)))


def version(tools):
    text = subprocess.run([pathlib.Path(tools["redis"]), "--version"], capture_output=True,
                          text=True, env={"LD_LIBRARY_PATH": tools["redis_libraries"]}).stdout
    return text.split("v=")[1].split()[0]
