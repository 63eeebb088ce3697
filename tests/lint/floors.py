"""Floors: a folder includes its own headers and the public headers of lower floors.

Never up, never sideways, no cycles. Change the table only together with the design.
"""

import posixpath
import re
import sys

import _tree

# Folder: what its files may include besides their own folder. An entry that ends in / stands for
# all headers in that folder, but not below it.
CONTRACTS = ["include/venturi/"]
STORAGE = ["storage/storage.h", "storage/backup.h", "storage/io.h", "storage/log.h",
           "storage/segment.h", "storage/base/"]
ENGINE = ["engine/engine.h"]
CLIENT = ["net/client/"]
NET = ["net/net.h", "net/zones.h"]
ALLOWED = {
    "include/venturi": [],
    "storage/base": CONTRACTS,
    "storage": CONTRACTS + ["storage/base/"],
    "engine": CONTRACTS + STORAGE,
    "net": CONTRACTS + STORAGE + ENGINE + CLIENT,
    "net/client": CONTRACTS + ["storage/base/"],
    "tools/common": CONTRACTS + STORAGE + ENGINE + NET + CLIENT,
    "tools/venturid": CONTRACTS + STORAGE + ENGINE + NET + CLIENT + ["tools/common/"],
    "tools/venturi": CONTRACTS + STORAGE + ENGINE + NET + CLIENT + ["tools/common/"],
    "bench": None,  # None: anything that is not a test
    "tests": None,
}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]+)[">]', re.MULTILINE)


def floor_of(name):
    """The longest folder of the table that holds the file, or None."""
    folder = posixpath.dirname(name)
    while folder:
        if folder in ALLOWED:
            return folder
        folder = posixpath.dirname(folder)
    return None


def resolve(includer, text, quoted, known):
    """The tree's file that an include line names, or None for a system header."""
    candidates = ["include/" + text]
    if quoted:
        folder = posixpath.dirname(includer)
        candidates = [posixpath.join(folder, text), posixpath.join(floor_of(includer) or "", text),
                      text] + candidates
        if includer.startswith(("tests/", "bench/")):
            candidates += [posixpath.join(place, text) for place in
                           ("tests/support", "storage", "engine", "net", "net/client",
                            "tools/common")]
    for candidate in candidates:
        candidate = posixpath.normpath(candidate)
        if candidate in known:
            return candidate
    return None


def may_include(includer, target):
    floor = floor_of(includer)
    allowed = ALLOWED[floor]
    if floor_of(target) == floor:
        return True
    if allowed is None:
        return floor == "tests" or not target.startswith("tests/")
    return target in allowed or posixpath.dirname(target) + "/" in allowed


def find_cycle(graph):
    """One cycle of includes as a list of names, or None. Depth first, with its own stack."""
    done = set()
    for start in sorted(graph):
        stack = [(start, iter(sorted(graph[start])))]
        path = [start]
        while stack:
            name, targets = stack[-1]
            step = next((t for t in targets if t not in done), None)
            if step is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif step in path:
                return path[path.index(step):] + [step]
            else:
                stack.append((step, iter(sorted(graph.get(step, ())))))
                path.append(step)
    return None


def check(root):
    problems = []
    names = _tree.files(root, ".c", ".h")
    known = set(names)
    graph = {name: set() for name in names}
    for name in names:
        if floor_of(name) is None:
            problems.append(f"{name}:1: stands on no floor; see ALLOWED in tests/lint/floors.py")
            continue
        text = _tree.code_only(_tree.read(root, name), keep_strings=True)
        for match in _INCLUDE.finditer(text):
            where = f"{name}:{_tree.line_of(text, match.start(1))}"
            quoted = match.group(1) == '"'
            target = resolve(name, match.group(2), quoted, known)
            if target is None:
                if quoted:
                    problems.append(f'{where}: "{match.group(2)}" is not in the tree; '
                                    "a system header is written <...>")
                continue
            if not quoted:
                problems.append(f'{where}: our own {match.group(2)} is written "..."')
            graph[name].add(target)
            if not may_include(name, target):
                problems.append(f"{where}: {floor_of(name)} may not include {target}")
    cycle = find_cycle(graph)
    if cycle:
        problems.append("cycle of includes: " + " -> ".join(cycle))
    return problems


def closure(root, name, names=None):
    """The file and all of the tree's files that it includes, directly or not."""
    known = set(names or _tree.files(root, ".c", ".h"))
    seen, todo = set(), [name]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        text = _tree.code_only(_tree.read(root, current), keep_strings=True)
        for match in _INCLUDE.finditer(text):
            target = resolve(current, match.group(2), match.group(1) == '"', known)
            if target:
                todo.append(target)
    return sorted(seen)


if __name__ == "__main__":
    sys.exit(_tree.main(check))
