"""Format: clang-format has nothing to change. With --write it is changed, and comments wrapped."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import _tree
import _wrap

BATCH = 16
_PLACE = re.compile(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def run(root, arguments, names):
    return subprocess.run(["clang-format", "--style=file", *arguments, *names], cwd=root,
                          capture_output=True, text=True)


def sources(root):
    return [n for n in _tree.files(root, ".c", ".h") if not n.startswith(_tree.AS_RECORDED)]


def write(root):
    for name in sources(root):
        text = _tree.read(root, name)
        wrapped = _wrap.wrap(text)
        if wrapped != text:
            (root / name).write_text(wrapped)
    return check(root, ("-i",))


def check(root, arguments=("--dry-run", "-Werror")):
    names = sources(root)
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
        sys.exit(_tree.main(write))
    sys.exit(_tree.main(check))
