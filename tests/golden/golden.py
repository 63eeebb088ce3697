#!/usr/bin/env python3
"""Golden stores: every later version must read what an earlier one wrote, and answer the same.

usage: golden.py              check every frozen store here, and the mechanism itself
       golden.py --freeze N   write vN.txt from this version: done once, when formats are frozen

A frozen store is one text file: path, size and SHA-256 of every file, the bytes of all of them
(LZMA, base64), then every answer in plain lines. See README.md.
"""

import argparse
import base64
import hashlib
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("VENTURI_BUILD", "build/release"))
PROBE = BUILD / "tests/golden/golden_probe"
WIDTH = 96
BYTES_MAX = 100_000  # of a frozen file


class Wrong(Exception):
    """What a golden store shows to be wrong."""


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=120)
    if done.returncode != 0:
        told = (done.stdout + done.stderr).decode(errors="replace")[-1500:]
        raise Wrong(f"{' '.join(map(str, command))}: exit {done.returncode}: {told}")
    return done.stdout.decode()


def files_of(folder):
    """path -> bytes, in order; the lock has none and is left out."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"}


def pack(files, answers):
    out = [f"file {name} {len(data)} {hashlib.sha256(data).hexdigest()}"
           for name, data in files.items()]
    out.append("bytes")
    text = base64.b64encode(lzma.compress(b"".join(files.values()), preset=9)).decode()
    out += [text[at:at + WIDTH] for at in range(0, len(text), WIDTH)]
    out.append("answers")
    return "\n".join(out) + "\n" + answers


def unpack(text):
    """(files, answers); every file has the digest that it had when it was frozen."""
    head, answers = text.split("\nanswers\n", 1)
    head, body = head.split("\nbytes\n", 1)
    try:
        data = lzma.decompress(base64.b64decode(body.replace("\n", "")))
    except lzma.LZMAError as why:
        raise Wrong(f"the bytes are not those that were frozen: {why}") from why
    files, at = {}, 0
    for line in head.split("\n"):
        _, name, size, digest = line.split(" ")
        files[name] = data[at:at + int(size)]
        at += int(size)
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise Wrong(f"{name}: the bytes are not those that were frozen")
    return files, answers


def difference(want, got):
    for number, (a, b) in enumerate(zip(want.split("\n"), got.split("\n")), 1):
        if a != b:
            return f"answer {number}: {b}\nwas frozen as: {a}"
    return f"{len(got)} bytes of answers, {len(want)} were frozen"


def check(text, name):
    """This version reads the store: whole, with its answers, and after writing to it, too."""
    files, want = unpack(text)
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / "store"
        for path, data in files.items():
            (store / path).parent.mkdir(parents=True, exist_ok=True)
            (store / path).write_bytes(data)
        (store / "lock").write_bytes(b"")
        for when in ("as it was frozen", "after a start and a stop of this version"):
            run(BUILD / "venturi", "verify", "--data", store)
            got = run(PROBE, "answers", store)
            if got != want:
                raise Wrong(f"{name}, {when}: {difference(want, got)}")
            run(PROBE, "reopen", store)
    return len(files)


def written():
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / "store"
        run(PROBE, "write", store)
        return pack(files_of(store), run(PROBE, "answers", store))


def check_mechanism():
    """What this version writes is a function of the script, is read back, and damage is seen."""
    text = written()
    if text != written():
        raise Wrong("the same script writes other bytes")
    if len(text) > BYTES_MAX:
        raise Wrong(f"a frozen store would have {len(text)} bytes, {BYTES_MAX} are the limit")
    check(text, "this version")
    lines = text.split("\n")
    at = lines.index("bytes") + 40
    flipped = "A" if lines[at][20] != "A" else "B"
    lines[at] = lines[at][:20] + flipped + lines[at][21:]
    try:
        check("\n".join(lines), "damaged")
    except Wrong:
        pass
    else:
        raise Wrong("a damaged golden store passes")
    other = text.replace('"received":', '"received":1', 1)
    try:
        check(other, "other answers")
    except Wrong:
        return len(text)
    raise Wrong("other answers pass")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--freeze", metavar="N", type=int)
    args = parser.parse_args()
    try:
        if args.freeze is not None:
            path = HERE / f"v{args.freeze}.txt"
            if path.exists():
                raise Wrong(f"{path} is frozen: it is never written again")
            path.write_text(written())
            print(f"{path}: {path.stat().st_size} bytes")
            return 0
        size = check_mechanism()
        frozen = sorted(HERE.glob("v*.txt"))
        for path in frozen:
            check(path.read_text(), path.name)
        print(f"{len(frozen)} frozen stores read; one of this version takes {size} bytes")
    except Wrong as why:
        print(why)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
