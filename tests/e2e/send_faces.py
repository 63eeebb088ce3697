"""Goal:   venturi send says the same of the same events as columns and as rows, and what the oracle
        says; it shows how far it is on a terminal, leaves that clean, and writes no control
        character anywhere else.
Method: the trace with retries and disorder, and a dirty stream of lines that cannot be columns
        between such that can, to a daemon each, as columns and as rows; summaries and answers are
        compared with each other and with the oracle's. Then a pseudo terminal as standard error, a
        tiny emulation of which shows what a reader sees.
"""

import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import _daemon
import _http

SEED = random.randrange(1 << 32) if len(sys.argv) < 2 else int(sys.argv[1])
CHECKS = _http.Checks()
COLUMNS = 60
PARTS = ("summary", "windows", "lines", "unrated")


def dirty(lines, chance):
    """Lines of the trace, and every few dozens one that is an exception, a conflict or no event."""
    out = []
    for number, line in enumerate(lines):
        row = json.loads(line)
        kind = chance.randrange(400)
        if kind == 0:
            row["time"] = "never"
        elif kind == 1:
            row["tenant"] = chance.choice(["nobody", 7, "", None])
        elif kind == 2:
            row["props"]["output_tokens"] = chance.choice([1.5, "x", True, 10**18, [1], "1e2"])
        elif kind == 3:
            row["props"] = chance.choice([None, [], {"model": ""}])
        elif kind == 4:
            row["more"] = {"deep": [[[[number]]]]}
        elif kind == 5:
            row["source"] = chance.choice(["~x", "s", "", None])
        elif kind == 6 and number:
            row["id"] = json.loads(lines[number - 1])["id"]
        elif kind == 7:
            row["type"] = "nothing"
        elif kind == 8:
            out.append(b"[1]\n")
        out.append(json.dumps(row).encode() + b"\n")
    return out


def send(daemon, path, *options):
    status, out, said = _http.venturi("send", "--to", f"127.0.0.1:{daemon.port}", *options, path,
                                      token=daemon.token().decode())
    return status, json.loads(out), said


def compare(name, lines, folder, refused, ways):
    path = os.path.join(folder, name)
    with open(path, "wb") as stream:
        stream.writelines(lines)
    events = os.path.join(folder, name + ".events")
    with open(events, "wb") as stream:
        stream.writelines(line for line in lines if line != b"[1]\n")
    want = _http.expected(_http.catalog(), events)
    answers = []
    for options in ways:
        with _daemon.Daemon(_http.catalog(), "--lane-bytes", "16M") as daemon:
            daemon.start()
            status, summary, said = send(daemon, path, *options)
            what = f"{name} {' '.join(options)}"
            CHECKS.equal(f"{what}: status", status, 3 if refused else 0)
            CHECKS.equal(f"{what}: lines named", len(said.splitlines()), refused)
            CHECKS.equal(f"{what}: refused", summary.pop("refused_lines", 0), refused)
            CHECKS.equal(f"{what}: summary", summary, want["summary"][0])
            client = _http.Client(daemon.http, daemon.token().decode())
            for part in PARTS:
                CHECKS.equal(f"{what}: {part}", client.get(f"/v1/{part}").lines(), want[part])
            frames = re.search(r"venturi_frames_total (\d+)",
                               client.get("/metrics").body.decode())[1]
            answers.append((int(frames), client.get("/v1/exceptions?limit=100000").lines()))
            daemon.stop()
    first = [{k: v for k, v in one.items() if k not in ("arrival", "event")}
             for one in answers[0][1]]
    for _, exceptions in answers[1:]:
        CHECKS.equal(f"{name}: exceptions",
                     [{k: v for k, v in one.items() if k not in ("arrival", "event")}
                      for one in exceptions], first)
    if refused:  # else nothing was tested
        CHECKS.true(f"{name}: columns and rows by turns", answers[1][0] > answers[0][0] + 20,
                    f"{answers[1][0]} frames, {answers[0][0]} of rows alone")


# ---- the line on a terminal

def screen(data):
    """What stands on the terminal in the end, line by line, and every line that ever stood."""
    lines, current, seen = [], "", []
    for part in re.split(r"(\r\n|\r|\x1b\[K|\n)", data.decode()):
        if part in ("\r\n", "\n"):
            lines.append(current)
            current = ""
        elif part == "\r":
            seen.append(current)
            CHECKS.true("a line does not wrap", len(current) < COLUMNS, current)
            kept, current = current, ""
        elif part == "\x1b[K":
            kept = ""
        elif part:
            CHECKS.true("no other control character", part.isprintable(), repr(part))
            current = part
    return lines + [current], seen


def on_terminal(daemon, path, *options, term="xterm", stdin=None, interrupt_after=None):
    """(status, standard output, bytes written to the terminal)"""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = dict(os.environ, VENTURI_TOKEN=daemon.token().decode(), TERM=term)
    process = subprocess.Popen(
        [_http.BUILD / "venturi", "send", "--to", f"127.0.0.1:{daemon.port}", *options, path],
        stdin=stdin, stdout=subprocess.PIPE, stderr=slave, env=environment)
    os.close(slave)
    data = b""
    while True:
        try:
            got = os.read(master, 65536)
        except OSError:
            break  # the last one has closed it
        if not got:
            break
        data += got
        if interrupt_after is not None and interrupt_after in data:
            process.send_signal(signal.SIGINT)
            interrupt_after = None
    os.close(master)
    out = process.stdout.read()
    process.stdout.close()
    return process.wait(timeout=60), out, data


def check_terminal(folder, lines):
    path = os.path.join(folder, "trace.jsonl")
    with open(path, "wb") as stream:
        stream.writelines(lines[:3000] + [b"[1]\n"] + lines[3000:6000])
    with _daemon.Daemon(_http.catalog(), "--lane-bytes", "16M") as daemon:
        daemon.start()
        # Slow enough that a line is seen more than once, whatever the machine.
        status, out, data = on_terminal(daemon, path, "--rate", "6000", "--batch", "200")
        stands, seen = screen(data)
        CHECKS.equal("terminal: status", status, 3)
        CHECKS.equal("terminal: received", json.loads(out)["received"], 6000)
        CHECKS.equal("terminal: what stays", (len(stands), stands[-1]), (2, ""))
        CHECKS.true("terminal: the refused line stays", "line 3001" in stands[0], stands[0])
        form = re.compile(r"\[(#*)(\.*)\] +(\d+)%  (\d+) sent, (\d+) acked, (\d)( refus.*)?")
        shown = [form.match(line) for line in seen if line]
        CHECKS.true("terminal: several", len(shown) >= 3, f"{len(shown)}")
        CHECKS.true("terminal: all of one form", all(shown), str(seen[:3]))
        if all(shown):
            numbers = [tuple(map(int, one.group(3, 4, 5, 6))) for one in shown]
            for now, then in zip(numbers, numbers[1:]):
                CHECKS.true("terminal: it only grows", all(a <= b for a, b in zip(now, then)),
                            f"{now} {then}")
            CHECKS.true("terminal: bounds", all(p <= 100 and acked <= sent <= 6000
                                                for p, sent, acked, _ in numbers))
            CHECKS.true("terminal: half of it is seen", numbers[-1][0] > 50, str(numbers[-1]))
            CHECKS.equal("terminal: refused", numbers[-1][3], 1)
        # A pipe has no end that is known: no percent.
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            status, _, data = on_terminal(daemon, "-", "--rate", "20000", stdin=cat.stdout)
        CHECKS.true("a pipe: counts without percent", b" sent, " in data and b"%" not in data)
        status, _, data = on_terminal(daemon, path, term="dumb")
        CHECKS.true("a dumb terminal gets nothing but messages",
                    b"\x1b" not in data and data.count(b"\r") == data.count(b"\r\n") == 1, data)
        status, out, data = on_terminal(daemon, path, "--rate", "100", "--batch", "10",
                                        interrupt_after=b" acked")
        CHECKS.equal("interrupted: as by the signal", (status, out), (-signal.SIGINT, b""))
        CHECKS.equal("interrupted: nothing stays", screen(data)[0][-1], "")
        status, out, said = _http.venturi("send", "--to", f"127.0.0.1:{daemon.port}", path,
                                          token=daemon.token().decode())
        CHECKS.equal("no terminal: status", status, 3)
        CHECKS.true("no terminal: no control character", all(
            c == "\n" or c.isprintable() for c in said + out.decode()), repr(said))
        CHECKS.equal("no terminal: one line, the refused one", said.count("\n"), 1)
        daemon.stop()


def check_idle_pipe():
    """A pipe that rests for longer than the daemon waits: the connection comes back."""
    with _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M", "--idle-timeout", "1") as daemon:
        daemon.start()
        environment = dict(os.environ, VENTURI_TOKEN=daemon.token().decode())
        line = (b'{"tenant":"acme","type":"call","id":"%d","time":1700000000000000,'
                b'"props":{"tokens":1}}\n')
        with subprocess.Popen([_http.BUILD / "venturi", "send", "--to", f"127.0.0.1:{daemon.port}",
                               "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment) as process:
            for number in range(3):
                process.stdin.write(line % number)
                process.stdin.flush()
                time.sleep(1.5)
            out, _ = process.communicate(timeout=60)
        CHECKS.equal("a pipe that rests: status", process.returncode, 0)
        CHECKS.equal("a pipe that rests: accepted", json.loads(out)["accepted"], 3)
        daemon.stop()


def main():
    print(f"seed {SEED}")
    lines = _http.events("--retries", "3", "--shuffle", "30")
    with tempfile.TemporaryDirectory(prefix="venturi_faces_") as folder:
        compare("trace", lines, folder, 0, [("--columns",)])
        some = dirty(lines[:8000], random.Random(SEED))
        compare("dirty", some, folder, some.count(b"[1]\n"),
                [(), ("--columns",), ("--columns", "--batch", "100")])
        check_terminal(folder, lines)
    check_idle_pipe()
    CHECKS.end()


main()
