"""Format: clang-format has nothing to change. With --write it changes it."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import _tree

BATCH = 16
_PLACE = re.compile(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def run(root, arguments, names):
    return subprocess.run(["clang-format", "--style=file", *arguments, *names], cwd=root,
                          capture_output=True, text=True)


def check(root, arguments=("--dry-run", "-Werror")):
    names = [n for n in _tree.files(root, ".c", ".h") if not n.startswith(_tree.AS_RECORDED)]
    batches = [names[i:i + BATCH] for i in range(0, len(names), BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda batch: run(root, arguments, batch), batches))
    problems = []
    for result in results:
        if result.returncode != 0:
            places = _PLACE.findall(result.stderr)
            first = {name: line for name, line in reversed(places)}
            problems += [f"{name}:{line}: the first of {sum(p[0] == name for p in places)} places"
                         for name, line in sorted(first.items())] or [result.stderr.rstrip()]
    if problems:
        problems.append("cmake --build --preset dev --target format  repairs this")
    return problems


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        sys.exit(_tree.main(lambda root: check(root, ("-i",))))
    sys.exit(_tree.main(check))
