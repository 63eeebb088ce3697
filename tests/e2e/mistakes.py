"""Goal:   every help begins with examples and names its exit statuses, each option that it says
        exists, and each mistake that people make ends with the right status and one line that says
        what is wrong and where.
Method: a table of command lines, each with its status and a pattern of what it must say; a daemon
        runs beside some of them. io_uring is switched off by a seccomp filter, as containers do.
"""

import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import _daemon
import _http

CHECKS = _http.Checks()
BUILD = str(_http.BUILD)
CATALOG = str(_http.DATA / "catalog.json")
COMMANDS = ("send", "windows", "lines", "unrated", "summary", "feed", "close", "catalog",
            "exceptions", "replay", "verify", "inspect", "bench", "bench ingest", "bench replay",
            "bench dedup")
EVENT = ('{"tenant":"contoso","type":"llm.call","id":"%s","time":"2023-11-16T18:00:00Z",'
         '"props":{"input_tokens":1,"output_tokens":2}}\n')


def run(words, token=None, before=None, user=None):
    environment = {k: v for k, v in os.environ.items() if k != "VENTURI_TOKEN"}
    if token is not None:
        environment["VENTURI_TOKEN"] = token
    try:
        done = subprocess.run([os.path.join(BUILD, words[0]), *words[1:]], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, env=environment,
                              preexec_fn=before, user=user, check=False)
    except subprocess.TimeoutExpired:
        return None, "", "it goes on"
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def mistake(words, status, pattern, **more):
    """One line on standard error, which has the pattern."""
    got, _, said = run(words, **more)
    shown = " ".join(words)
    CHECKS.equal(f"{shown}: {said!r}: status", got, status)
    CHECKS.true(f"{shown}: what it says", re.search(pattern, said), repr(said))
    CHECKS.true(f"{shown}: in one line", said.count("\n") == 1, repr(said))
    CHECKS.true(f"{shown}: its name in front", said.startswith(" ".join(words[:1])), repr(said))


def check_helps():
    for name in ("venturid", "venturi") + tuple(f"venturi {one}" for one in COMMANDS):
        words = name.split()
        status, text, said = run([*words, "--help"])
        CHECKS.equal(f"{name} --help", (status, said), (0, ""))
        lines = text.splitlines()
        CHECKS.true(f"{name}: its name and what it does", lines[0].startswith(name + " - "),
                    lines[0])
        CHECKS.true(f"{name}: examples first", lines[2].startswith("example: " + words[0]),
                    lines[2])
        CHECKS.true(f"{name}: usage", f"usage: {words[0]}" in text)
        CHECKS.true(f"{name}: exit statuses", re.search(r"^exit status: 0 done, 1 ", text, re.M))
        CHECKS.true(f"{name}: lines fit a terminal", max(map(len, lines)) <= 100)
        status, text_version, _ = run([*words, "--version"])
        CHECKS.equal(f"{name} --version", (status, text_version[:8]), (0, "venturi "))
        if name == "venturi":
            continue
        verb = {"catalog": ["show"], "exceptions": ["list"]}.get(words[-1], [])
        for option in sorted(set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))):
            if option in ("help", "version"):
                continue
            _, _, told = run([*words, *verb, f"--{option}=", "--no-such-option"])
            CHECKS.true(f"{name} --{option} exists", f"--{option}'" not in told
                        or "doesn't allow an argument" in told, told)


def check_daemon(folder):
    """Starts that must fail."""
    new = os.path.join(folder, "new")
    broken = os.path.join(folder, "broken.json")
    a_file = os.path.join(folder, "file")
    for path, text in ((broken, "{\n"), (a_file, "x")):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    any_port = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    start = ["venturid", "--data", new, *any_port]
    for words, status, pattern in (
            (["venturid"], 2, "--data is missing; see venturid --help"),
            ([*start, "more"], 2, "more: no operand"),
            ([*start, "--workers", "0"], 2, "--workers 0: not from 1 to 64"),
            ([*start, "--lane-bytes", "1X"], 2, "--lane-bytes 1X: not a number"),
            ([*start, "--idle-timeout", "0"], 2, "--idle-timeout 0: not from 1"),
            ([*start, "--listen", "127.0.0.1"], 2, "127.0.0.1: not HOST:PORT"),
            ([*start, "--listen", "127.0.0.1:65536"], 2, "127.0.0.1:65536: not HOST:PORT"),
            ([*start, "--http", "127.0.0.1:x"], 2, "127.0.0.1:x: not HOST:PORT"),
            ([*start, "--http", "127.0.0.1:-1"], 2, "127.0.0.1:-1: not HOST:PORT"),
            (start, 1, "a new store needs a catalog"),
            ([*start, "--catalog", "missing.json"], 1, "missing.json: No such file"),
            ([*start, "--catalog", folder], 1, f"{folder}: Is a directory"),
            ([*start, "--catalog", broken], 1, r"broken.json: \$: "),
            ([*start, "--catalog", CATALOG, "--listen", "nowhere.invalid:1"], 1,
             "nowhere.invalid:1: "),
            ([*start, "--catalog", CATALOG, "--listen", "192.0.2.1:0"], 1,
             "192.0.2.1:0: Cannot assign requested address"),
            (["venturid", "--data", a_file, *any_port, "--catalog", CATALOG], 1,
             "/file: Not a directory"),
            (["venturid", "--data", folder + "/a/b", *any_port, "--catalog", CATALOG], 1,
             "/a/b: No such file or directory")):
        mistake(words, status, pattern)
    mistake([*start, "--catalog", CATALOG], 1, "io_uring.*(off|not allowed|refused|disabled)",
            before=refuse_io_uring)


def refuse_io_uring():
    """seccomp: io_uring_setup gives EPERM, all else works."""
    number = 425  # on every architecture
    code = b"".join(struct.pack("=HBBI", *one) for one in (
        (0x20, 0, 0, 0),               # load the number of the call
        (0x15, 0, 1, number),          # is it?
        (0x06, 0, 0, 0x00050000 | 1),  # an error: EPERM
        (0x06, 0, 0, 0x7FFF0000)))     # else allowed
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=HxxxxxxQ", 4, ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, program, 0, 0) != 0:
        os._exit(99)


def check_beside(daemon, folder):
    """Mistakes while a daemon runs."""
    token = daemon.token().decode()
    to, url = f"127.0.0.1:{daemon.port}", f"http://127.0.0.1:{daemon.http}"
    events = os.path.join(folder, "events.jsonl")
    broken = os.path.join(folder, "broken.json")
    with open(events, "w", encoding="utf-8") as stream:
        stream.write(EVENT % "m1" + '{"tenant":"contoso"\n' + EVENT % "m2")
    token_file = os.path.join(daemon.data, "admin.token")
    other = ["venturid", "--data", os.path.join(folder, "other"), "--catalog", CATALOG]
    for words, status, pattern in (
            (["venturi", "nothing"], 2, "nothing: there is no such command"),
            (["venturid", "--data", daemon.data, "--listen", "127.0.0.1:0", "--http",
              "127.0.0.1:0"], 1, "/lock is held by another process"),
            ([*other, "--listen", to, "--http", "127.0.0.1:0"], 1, f"{to}: Address already in use"),
            ([*other, "--listen", "127.0.0.1:0", "--http", f"127.0.0.1:{daemon.http}"], 1,
             f"{daemon.http}: Address already in use"),
            (["venturi", "send", "--to", to, events], 1, "no token: give --token-file"),
            (["venturi", "send", "--to", to, "--token-file", folder, events], 1,
             f"{folder}: Is a directory"),
            (["venturi", "send", "--to", to, "--token-file", events, events], 1,
             "events.jsonl: there is no token in it"),
            (["venturi", "send", "--to", to, "--token-file", "nix", events], 1,
             "nix: No such file or directory"),
            (["venturi", "windows", "--from", url], 1, "no token: give --token-file")):
        mistake(words, status, pattern)
    for words, status, pattern in (
            (["send", events], 2, "--to is missing"),
            (["send", "--to", to], 2, "one file is expected"),
            (["send", "--to", "127.0.0.1", events], 2, "127.0.0.1: not HOST:PORT"),
            (["send", "--to", "127.0.0.1:65536", events], 2, "127.0.0.1:65536: not HOST:PORT"),
            (["send", "--to", to, "missing.jsonl"], 1, "missing.jsonl: No such file"),
            (["send", "--to", to, folder], 1, f"{folder}: Is a directory"),
            (["send", "--to", "127.0.0.1:1", "--timeout", "0", events], 1, "Connection refused"),
            (["send", "--to", to, events], 3, "events.jsonl: line 2: column .*; left out"),
            (["windows"], 2, "--from URL is needed"),
            (["windows", "--from", ""], 2, "--from: not a URL"),
            (["windows", "--from", url, "more"], 2, "more: not expected"),
            (["windows", "--from", url, "--start", "today"], 2, "--start today: not an RFC 3339"),
            (["windows", "--from", url, "--meter", "nix"], 1, "no meter nix"),
            (["windows", "--from", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1: "),
            (["windows", "--from", f"http://{to}"], 1, "is this the frame port"),
            (["lines", "--from", url, "--at", "x"], 2, "--at x: not an RFC 3339"),
            (["lines", "--from", url, "--tenant", "nix"], 1, "no tenant nix"),
            (["feed", "--from", url, "--cursor", "nix"], 1, "the cursor"),
            (["feed", "--from", url, "--limit", "0"], 2, "--limit 0: not from 1 to 100000"),
            (["close", "--from", url], 2, "--before TIME is needed"),
            (["close", "--from", url, "--before", "2999-01-01T00:00:00Z"], 1, "in the future"),
            (["catalog", "--from", url], 2, "apply, diff or show must follow"),
            (["catalog", "diff", "--from", url], 2, "an operand is missing"),
            (["catalog", "diff", "--from", url, "nix.json"], 1, "nix.json: No such file"),
            (["catalog", "apply", "--from", url, broken], 1, r"broken.json: .*\$: "),
            (["exceptions", "--from", url], 2, "list, retry or discard must follow"),
            (["exceptions", "list", "--from", url, "--reason", "nix"], 1, "nix: not a reason"),
            (["exceptions", "list", "--from", url, "--position", "1"], 2, "--position goes with"),
            (["exceptions", "retry", "--from", url, "--position", "x"], 2,
             "--position x: not a number"),
            (["verify", "--data", folder + "/nix"], 1, "no store in .*nix"),
            (["inspect"], 2, "--data is needed"),
            (["replay", "--data", daemon.data], 2, "--data and --catalog are needed"),
            (["replay", "--data", daemon.data, "--catalog", broken], 1, r"broken.json: \$: "),
            (["replay", "--data", daemon.data, "--catalog", CATALOG, "--tenant", "nix"], 1,
             "it has no tenant nix"),
            (["replay", "--data", daemon.data, "--catalog", CATALOG, "--end", "x"], 2,
             "--end x: not an RFC 3339"),
            (["bench"], 2, "ingest, replay or dedup")):
        mistake(["venturi", *words], status, pattern, token=token)
    for words in (["send", "--to", to, events], ["summary", "--from", url]):
        mistake(["venturi", *words], 1, "the token is not accepted.*VT_BAD_TOKEN",
                token="vt_0000000000000000_" + 64 * "0")
    if os.getuid() == 0:  # else there is nobody else to be
        os.chmod(folder, 0o755)
        os.chmod(daemon.dir, 0o755)
        mistake(["venturi", "send", "--to", to, "--token-file", token_file, events], 1,
                "admin.token: Permission denied", user=65534)
        mistake(["venturi", "verify", "--data", daemon.data], 1, "Permission denied", user=65534)


def check_stopped(daemon):
    """A data directory of somebody else, or that cannot be written to."""
    if os.getuid() == 0:
        mistake(["venturid", "--data", daemon.data, "--listen", "127.0.0.1:0", "--http",
                 "127.0.0.1:0"], 1, "/lock: Permission denied", user=65534)
    tokens = os.path.join(daemon.data, "tokens")
    with open(tokens, "a", encoding="utf-8") as stream:
        stream.write("garbage\n")
    mistake(["venturid", "--data", daemon.data, "--listen", "127.0.0.1:0", "--http",
             "127.0.0.1:0"], 1, "tokens: line 2: ")


def main():
    folder = tempfile.mkdtemp(prefix="venturi_mistakes_")
    try:
        check_helps()
        check_daemon(folder)
        with _daemon.Daemon(_http.catalog(), "--lane-bytes", "8M") as daemon:
            daemon.start()
            check_beside(daemon, folder)
            daemon.stop()
            check_stopped(daemon)
    finally:
        shutil.rmtree(folder)
    CHECKS.end()


if __name__ == "__main__":
    sys.exit(main())
