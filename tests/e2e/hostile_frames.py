"""Goal:   each malformed frame and sequence gets the error that it deserves, and costs nobody else
        anything.
Method: a table of conversations with a real daemon: what is sent, and what must come back, to the
        end of the connection. Slow peers are opened first and looked at last. At the end the
        daemon's counts must be those of the well-formed frames, and it must stop cleanly.
"""

import hashlib
import socket
import struct
import sys
import time

import _daemon
from _daemon import ACK, COLUMNS, ERROR, HELLO, PING, PONG, ROWS, WELCOME
from _daemon import event, frame, hello, pack, rows

SECRET = "5a" * 32
ONLY_READ = f"vt_00000000000000b1_{SECRET}".encode()
ONLY_ACME = f"vt_00000000000000b2_{SECRET}".encode()

problems = []
accepted = 0  # events that the daemon must have in the end


def expect(name, got, want):
    if got != want:
        problems.append(f"{name}: want {want}, got {got}")


def all_said(peer):
    said = []
    while not said or said[-1] != "end":
        said.append(peer.says())
    return said


def before_hello(token):
    """Conversations whose first frame is refused: one fatal error, then the end."""
    good = hello(token)
    half = good[:len(good) - 10]
    return {
        "magic": (frame(HELLO, good[32:], magic=b"VTF2"), "VT_BAD_MAGIC"),
        "something else altogether": (b"GET / HTTP/1.1\r\nHost: here.example\r\n\r\n",
                                      "VT_BAD_MAGIC"),
        "header checksum": (frame(HELLO, good[32:], header_crc=1), "VT_BAD_CRC"),
        "version 0": (frame(HELLO, good[32:], version=0), "VT_BAD_VERSION"),
        "version 2": (frame(HELLO, good[32:], version=2), "VT_BAD_VERSION"),
        "type 0": (frame(0, good[32:]), "VT_BAD_TYPE"),
        "type 9": (frame(9, good[32:]), "VT_BAD_TYPE"),
        "flags": (frame(HELLO, good[32:], flags=1), "VT_BAD_RESERVED"),
        "events in a hello": (frame(HELLO, good[32:], events=1), "VT_BAD_RESERVED"),
        "513 bytes announced": (frame(HELLO, b"", length=513), "VT_TOO_LARGE"),
        "4 GiB announced": (frame(HELLO, b"", length=2**32 - 1), "VT_TOO_LARGE"),
        "payload checksum": (frame(HELLO, good[32:], payload_crc=1), "VT_BAD_CRC"),
        "rows first": (rows([1]), "VT_BAD_HELLO"),
        "ping first": (frame(PING, b"x"), "VT_BAD_HELLO"),
        "a hello of 15 bytes": (frame(HELLO, good[32:47]), "VT_BAD_HELLO"),
        "an empty hello": (frame(HELLO), "VT_BAD_HELLO"),
        "a hello cut short": (frame(HELLO, half[32:]), "VT_BAD_HELLO"),
        "a hello with more behind": (frame(HELLO, good[32:] + b"x"), "VT_BAD_HELLO"),
        "sizes beyond the payload": (hello(token, token_size=255), "VT_BAD_HELLO"),
        "version_max 0": (hello(token, version=0), "VT_BAD_VERSION"),
        "no token": (hello(b""), "VT_BAD_TOKEN"),
        "another secret": (hello(token[:-1] + (b"1" if token[-1:] != b"1" else b"2")),
                           "VT_BAD_TOKEN"),
        "half a token": (hello(token[:40]), "VT_BAD_TOKEN"),
        "a token of zeros": (hello(bytes(84)), "VT_BAD_TOKEN"),
        "a token that may only read": (hello(ONLY_READ), "VT_FORBIDDEN"),
        "a producer that is no UTF-8": (hello(token, b"a\xff"), "VT_BAD_HELLO"),
        "a producer with ~": (hello(token, b"~a"), "VT_BAD_HELLO"),
    }


def fatal_after_hello():
    return {
        "a second hello": (hello(b"x"), "VT_BAD_HELLO"),
        "over the frame limit": (frame(ROWS, b"", length=(1 << 20) + 1, events=1), "VT_TOO_LARGE"),
        "no events": (rows([1], events=0), "VT_BAD_LENGTH"),
        "65,537 events": (frame(ROWS, b"x", events=65537), "VT_BAD_LENGTH"),
        "payload checksum": (rows([1], payload_crc=7), "VT_BAD_CRC"),
        "header checksum": (rows([1], header_crc=7), "VT_BAD_CRC"),
        "flags": (rows([1], flags=0x8000), "VT_BAD_RESERVED"),
        "events in a ping": (frame(PING, b"", events=1), "VT_BAD_RESERVED"),
    }


def refused_only():
    """Frames that are refused while the conversation goes on."""
    good = event(1)
    columns = [pack("call"), pack([["acme"], b""]), pack([0, [b"\x01\x00", b"x"]]), pack(None),
               pack(struct.pack("<q", 1)), pack({}), pack(None)]
    deep = b"\x81\xa1x" * 70 + b"\xc0"
    return {
        "a welcome": (frame(WELCOME, bytes(64)), "VT_BAD_TYPE"),
        "an ack": (frame(ACK, bytes(32)), "VT_BAD_TYPE"),
        "an error": (frame(ERROR, bytes(16)), "VT_BAD_TYPE"),
        "a pong": (frame(PONG), "VT_BAD_TYPE"),
        "a ping of 65 bytes": (frame(PING, bytes(65)), "VT_TOO_LARGE"),
        "fewer events than announced": (frame(ROWS, good, 1, 2), None),
        "more events than announced": (frame(ROWS, good + good, 1, 1), None),
        "half an event": (frame(ROWS, good[:-9], 1, 1), None),
        "no map": (frame(ROWS, b"\x01", 1, 1), None),
        "array of 2^28": (frame(ROWS, b"\xdd\x10\x00\x00\x00", 1, 1), None),
        "map of 2^32": (frame(ROWS, b"\xdf\xff\xff\xff\xff", 1, 1), None),
        "text of 4 GiB": (frame(ROWS, b"\x81\xdb\xff\xff\xff\xff", 1, 1), None),
        "70 deep": (frame(ROWS, deep, 1, 1), None),
        "a byte that msgpack never uses": (frame(ROWS, b"\xc1", 1, 1), None),
        "columns: no array": (frame(COLUMNS, b"\xa1x", 1, 1), None),
        "columns: five elements": (frame(COLUMNS, b"\x95" + b"".join(columns[:5]), 1, 1), None),
        "columns: times for two": (frame(COLUMNS, b"\x97" + b"".join(
            columns[:4] + [pack(bytes(16))] + columns[5:]), 1, 1), None),
        "columns: codes beyond the strings": (frame(COLUMNS, b"\x97" + b"".join(
            columns[:1] + [pack([["acme"], b"\x07"])] + columns[2:]), 1, 1), None),
    }


def check_first_frames(port, token):
    for name, (data, want) in before_hello(token).items():
        peer = _daemon.Peer(port, data)
        expect(name, all_said(peer), [want + "!", "end"])
        peer.close()


def check_after_hello(port, token):
    for name, (data, want) in fatal_after_hello().items():
        peer = _daemon.Peer(port, hello(token) + data)
        expect(name, all_said(peer), ["welcome 0", want + "!", "end"])
        peer.close()


def check_refused(port, token):
    """Each twice, with a ping behind it; a third one ends the connection."""
    for name, (data, want) in refused_only().items():
        peer = _daemon.Peer(port, hello(token) + data + data + frame(PING, b"still here") + data)
        said = all_said(peer)
        error = said[1] if want is None else want
        if not error.startswith("VT_") or error.endswith("!"):
            problems.append(f"{name}: an error was expected, got {said}")
        expect(name, said, ["welcome 0", error, error, "pong", error + "!", "end"])
        peer.close()


def check_sessions(port, token):
    global accepted
    session = hello(token, b"hostile", 5)
    peer = _daemon.Peer(port, session + rows([10, 11], 1))
    expect("session", [peer.says(), peer.says()], ["welcome 1", "ack 2/2"])
    accepted += 2
    for name, data, want in [
            ("the same frame again", rows([10, 11], 1), "ack 0/2"),
            ("sequence 0", rows([12], 0), "VT_BAD_SEQUENCE"),
            ("the last sequence", rows([12], 2**64 - 1), "VT_BAD_SEQUENCE"),
            ("half of it again", rows([11], 2), "VT_BAD_SEQUENCE"),
            ("other content", rows([10, 99], 1), "VT_BAD_SEQUENCE"),
            ("an overlap", rows([11, 12], 2), "VT_BAD_SEQUENCE")]:
        peer.send(data)
        expect(name, peer.says(), want)
    older = _daemon.Peer(port, hello(token, b"hostile", 4))
    expect("an epoch that has ended", all_said(older), ["VT_PRODUCER_TAKEN!", "end"])
    newer = _daemon.Peer(port, session)
    expect("a newer connection", newer.says(), "welcome 3")
    expect("ends the older one", all_said(peer), ["VT_PRODUCER_TAKEN!", "end"])
    newer.send(rows([12], 3))
    expect("and goes on", newer.says(), "ack 1/1")
    accepted += 1
    for each in (peer, older, newer):
        each.close()


def check_tenant(port):
    global accepted
    peer = _daemon.Peer(port, hello(ONLY_ACME) + frame(ROWS, event(20, "globex"), 1, 1) +
                        frame(ROWS, event(20), 2, 1))
    expect("another's tenant", [peer.says(), peer.says(), peer.says()],
           ["welcome 0", "VT_FORBIDDEN", "ack 1/1"])
    accepted += 1
    peer.close()


def check_credit(port, token):
    """300 frames at once are more than the credit; each is either acked or refused."""
    global accepted
    refused = 0
    for attempt in range(5):
        burst = b"".join(rows([1000 + attempt * 300 + i], i + 1) for i in range(300))
        peer = _daemon.Peer(port, hello(token) + burst)
        said = [peer.says() for _ in range(301)]
        peer.close()
        accepted += said.count("ack 1/1")
        refused += said.count("VT_OVER_CREDIT")
        expect("over the credit", len(said),
               1 + said.count("ack 1/1") + said.count("VT_OVER_CREDIT"))
        if refused > 0:
            break
    if refused == 0:
        problems.append("over the credit: nothing was refused")


def check_pieces(port, token):
    global accepted
    peer = _daemon.Peer(port)
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in hello(token) + rows([30]):
        peer.send(bytes([byte]))
    peer.socket.shutdown(socket.SHUT_WR)
    expect("byte by byte, then half closed", all_said(peer), ["welcome 0", "ack 1/1", "end"])
    accepted += 1
    peer.close()
    peer = _daemon.Peer(port, hello(token) + rows([31])[:-5])
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()  # a reset in the middle of a frame


def slow_peers(port, token):
    """They are looked at at the end: name -> (peer, when opened, seconds, what it is told)."""
    now = time.monotonic()
    hello_sent = hello(token)
    return {
        "no hello": (_daemon.Peer(port), now, 5, ["VT_DEADLINE!", "end"]),
        "half a hello": (_daemon.Peer(port, hello_sent[:40]), now, 5, ["VT_DEADLINE!", "end"]),
        "half a header": (_daemon.Peer(port, hello_sent + rows([40])[:20]), now, 10,
                          ["welcome 0", "VT_DEADLINE!", "end"]),
        "half a frame": (_daemon.Peer(port, hello_sent + rows([40])[:60]), now, 10,
                         ["welcome 0", "VT_DEADLINE!", "end"]),
    }


def check_slow(peers):
    for name, (peer, opened, seconds, want) in peers.items():
        expect(name, all_said(peer), want)
        took = time.monotonic() - opened
        if took < seconds:
            problems.append(f"{name}: closed after {took:.1f} s, {seconds} are allowed")
        peer.close()


def add_tokens(daemon):
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    with open(daemon.data + "/tokens", "a", encoding="utf-8") as stream:
        stream.write(f"00000000000000b1 {digest} read -\n00000000000000b2 {digest} ingest acme\n")


def main():
    with _daemon.Daemon(_daemon.CATALOG, "--partitions", "4", "--lane-bytes", "16M") as daemon:
        daemon.start()
        daemon.stop()
        add_tokens(daemon)
        daemon.start()
        port, token = daemon.port, daemon.token()
        slow = slow_peers(port, token)
        check_first_frames(port, token)
        check_after_hello(port, token)
        check_refused(port, token)
        check_sessions(port, token)
        check_tenant(port)
        check_credit(port, token)
        check_pieces(port, token)
        check_slow(slow)
        expect("accepted in the end", daemon.summary()["accepted"], accepted)
        daemon.stop()
    for problem in problems:
        print(problem)
    print(f"hostile_frames: {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
