"""Headers: each compiles alone, so that no file depends on what another one included before."""

import os
import posixpath
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import _tree
import floors

FLAGS = ["-std=c17", "-D_GNU_SOURCE", '-DVENTURI_VERSION="0"', "-fsyntax-only", "-Wall", "-Wextra",
         "-Wpedantic", "-Werror", "-x", "c"]
if os.uname().machine == "x86_64":
    FLAGS.insert(0, "-march=x86-64-v2")


def problem_of(root, name):
    folder = floors.floor_of(name) or posixpath.dirname(name)
    places = [folder, "."]
    if name.startswith(("tests/", "bench/")):
        places += ["tests/support", "storage", "engine", "net", "net/client", "tools/common"]
    paths = ["-I", "include"]
    for place in places:
        paths += ["-iquote", place]
    # Twice, which also shows that the guard is there.
    source = f'#include "{name}"\n#include "{name}"\nextern int not_empty;\n'
    result = subprocess.run(["gcc", *FLAGS, *paths, "-"], input=source, cwd=root,
                            capture_output=True, text=True)
    if result.returncode == 0:
        return None
    return f"{name}:1: does not compile alone\n{result.stderr.rstrip()}"


def check(root):
    names = _tree.files(root, ".h")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: problem_of(root, name), names)
        return [problem for problem in found if problem]


if __name__ == "__main__":
    sys.exit(_tree.main(check))
