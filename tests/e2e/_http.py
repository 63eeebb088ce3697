"""Requests to a daemon's HTTP face, the oracle's answers, and checks that say what differs."""

import hashlib
import http.client
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

SRC = pathlib.Path(os.environ["VENTURI_SRC"])
BUILD = pathlib.Path(os.environ["VENTURI_BUILD"])
DATA = SRC / "tests/data/azure-llm-2023"


def _load_oracle():
    spec = importlib.util.spec_from_file_location("oracle", SRC / "tests/oracle/oracle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracle = _load_oracle()


def catalog():
    with open(DATA / "catalog.json", encoding="utf-8") as stream:
        return json.load(stream)


def events(*options):
    """The trace as lines of bytes, LF included."""
    made = subprocess.run([sys.executable, DATA / "make_events.py", *options], check=True,
                          stdout=subprocess.PIPE)
    return made.stdout.splitlines(keepends=True)


def expected(a_catalog, path, at=None):
    """The oracle's four answers, for a catalog and a file of events."""
    a_catalog = json.loads(json.dumps(a_catalog), parse_float=oracle.Decimal)
    accepted, counts, reasons = oracle.ingest(a_catalog, oracle.read_events(path))
    return {
        "summary": [dict(sorted(counts.items()),
                         exceptions_by_reason=dict(sorted(reasons.items())))],
        "windows": oracle.windows(a_catalog, accepted),
        "lines": oracle.lines(a_catalog, accepted, oracle.parse_time(at) if at else None),
        "unrated": oracle.unrated(a_catalog, accepted),
    }


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]

    def json(self):
        return json.loads(self.body)


class Client:
    """One connection that is kept open; a request after the daemon closed it opens another."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = None

    def ask(self, method, path, body=None, token="", headers=None):
        """token "": the client's own; None: none."""
        headers = dict(headers or {})
        token = self.token if token == "" else token
        if token is not None:
            headers["Authorization"] = "Bearer " + token
        for last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.connection.request(method, path, body=body, headers=headers)
                got = self.connection.getresponse()
                return Answer(got.status, got.headers, got.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()
                self.connection = None
                if last:
                    raise

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer

    def post(self, path, body=b""):
        answer = self.ask("POST", path, body)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer


class Checks:
    """Counts what was compared, and goes on after a difference."""

    def __init__(self):
        self.done = self.failed = 0

    def equal(self, what, got, want):
        self.done += 1
        if got == want:
            return True
        self.failed += 1
        print(f"{what}: differs")
        if isinstance(got, list) and isinstance(want, list):
            print(f"  {len(got)} rows, {len(want)} wanted")
            for one, other in zip(got, want):
                if one != other:
                    got, want = one, other
                    break
        print(f"  got:    {str(got)[:600]}\n  wanted: {str(want)[:600]}")
        return False

    def true(self, what, holds, shown=""):
        return self.equal(what + f" ({shown})" if shown else what, bool(holds), True)

    def end(self):
        print(f"{self.done} checks, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def add_token(data, number, scopes, tenant="-"):
    """A line in DIR/tokens, for the next start; gives the token's text."""
    secret = hashlib.sha256(f"secret {number}".encode()).hexdigest()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    with open(os.path.join(data, "tokens"), "a", encoding="utf-8") as stream:
        stream.write(f"{number:016x} {digest} {scopes} {tenant}\n")
    return f"vt_{number:016x}_{secret}"


def venturi(*arguments, token=None):
    """Runs the tool: (exit status, standard output, standard error)."""
    environment = dict(os.environ)
    if token is not None:
        environment["VENTURI_TOKEN"] = token
    done = subprocess.run([BUILD / "venturi", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr.decode()
