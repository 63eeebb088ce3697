"""Tidy: the clang-tidy gate over every source that is not a test.

A clean verdict is kept under the build directory by a hash of the file, all of ours that it
includes, its flags and the rules, so that an unchanged file costs nothing.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import _tree
import floors

CHECKED = ("storage/", "engine/", "net/", "tools/", "bench/")


def flags_of(command):
    """The flags that matter to a parser; gcc's warnings mean nothing to clang."""
    words = shlex.split(command)
    kept, i = ["-Wno-everything"], 0
    while i < len(words):
        word = words[i]
        if word in ("-iquote", "-isystem", "-include"):
            kept += [word, words[i + 1]]
            i += 1
        elif word.startswith(("-I", "-D", "-U", "-std", "-march", "-m")):
            kept.append(word)
        i += 1
    return kept


def jobs(root, build):
    """(name, flags) of each source to check, from the compilation database."""
    database = json.loads((build / "compile_commands.json").read_text())
    for entry in database:
        path = Path(entry["directory"], entry["file"]).resolve()
        if not path.is_relative_to(root.resolve()):
            continue
        name = str(path.relative_to(root.resolve()))
        if name.startswith(CHECKED):
            yield name, flags_of(entry["command"])


def key_of(root, name, flags, names):
    digest = hashlib.sha256()
    digest.update((root / ".clang-tidy").read_bytes())
    digest.update(" ".join(flags).replace(str(root), "").encode())
    for included in floors.closure(root, name, names):
        digest.update(included.encode() + b"\0" + (root / included).read_bytes())
    return digest.hexdigest()


def problems_of(root, name, flags, mark):
    """The errors in one file and the headers below it, each one line."""
    if mark.exists():
        return []
    result = subprocess.run(["clang-tidy", "--quiet", name, "--", *flags], cwd=root,
                            capture_output=True, text=True)
    if result.returncode == 0:
        mark.touch()
        return []
    here = str(root.resolve()) + "/"
    lines = [line.replace(here, "") for line in result.stdout.splitlines()]
    return [line for line in lines if ": error: " in line] or lines + [result.stderr]


def check(root):
    build = Path(os.environ.get("VENTURI_BUILD") or root / "build/dev")
    marks = build / "tidy"
    marks.mkdir(parents=True, exist_ok=True)
    names = _tree.files(root, ".c", ".h")
    work = [(name, flags, marks / key_of(root, name, flags, names))
            for name, flags in jobs(root, build)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda job: problems_of(root, *job), work))
    # A header's fault shows in every file that includes it and is told once.
    return sorted({problem for problems in found for problem in problems})


if __name__ == "__main__":
    sys.exit(_tree.main(check))
