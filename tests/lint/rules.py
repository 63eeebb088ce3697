"""Rules that a line of text can break: banned calls, floats where money is, lengths, names, magics.

Each message says what to do instead.
"""

import posixpath
import re
import sys

import _tree

LINE_MAX = 100
FILE_LINES_MAX = 1000

# A call and what to write in its place.
BANNED_CALLS = {
    "strcpy": "memcpy with a checked length",
    "stpcpy": "memcpy with a checked length",
    "strcat": "snprintf or memcpy with a checked length",
    "strncpy": "memcpy with a checked length",
    "strncat": "snprintf or memcpy with a checked length",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets or getline",
    "atoi": "the checked parsers of ours, or strtoll with errno and end",
    "atol": "the checked parsers of ours, or strtoll with errno and end",
    "atoll": "the checked parsers of ours, or strtoll with errno and end",
    "atof": "the decimal parser; quantities are exact",
    "sscanf": "a parser that reports overflow",
    "alloca": "an arena or a bounded array",
    "strtok": "a cursor over vt_str",
    "rand": "a seeded generator that the caller passes in",
    "srand": "a seeded generator that the caller passes in",
    "random": "a seeded generator that the caller passes in",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "system": "posix_spawn",
    "asctime": "the RFC 3339 printer of ours",
    "ctime": "the RFC 3339 printer of ours",
    "localtime": "zones come from the catalog",
    "gmtime": "gmtime_r, or vt_utc",
    "LZ4_decompress_fast": "LZ4_decompress_safe",
    "LZ4_uncompress": "LZ4_decompress_safe",
    "assert": "VT_ASSERT",
}
# Tests may use libc's generator and assert where they check a plain program.
BANNED_HEADERS = {"assert.h": "venturi/assert.h (static_assert is _Static_assert in C17)"}
_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
_FLOAT = re.compile(r"\b(float|double|_Float\d+|strto[df])\b")
# The engine is handed its time: a replay must find what the live run found.
_CLOCK = re.compile(r"(?<![\w.>])(clock_gettime|gettimeofday|time|clock)\s*\(")
CLOCK_FREE = ("engine/",)
FLOAT_FREE = ("include/", "storage/", "engine/")
_UNFINISHED = re.compile(r"\b(FIX" + r"ME|TO" + r"DO|XX" + r"X)\b")
# Places of one machine have no business in the tree.
_MACHINE = re.compile(
    r"(?<![\w.])/(?:wo" + r"rk|home/\w+|root)(?:/|\b)|\.\./sha" + r"red\b"
)
_MAGIC = re.compile(
    r"(?:^[ \t]*#[ \t]*define[ \t]+(\w*MAGIC\w*)[ \t]+|\b(\w*MAGIC\w*)[ \t]*=(?!=))([^\n;]+)",
    re.MULTILINE,
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|'.'|\b\d+\b|\"[^\"]*\"")


def check_lines(name, text):
    problems = []
    lines = text.split("\n")
    if name.endswith((".c", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt")):
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_MAX:
                problems.append(f"{name}:{number}: {len(line)} columns, {LINE_MAX} are the limit")
    if name.endswith((".c", ".h", ".py", ".sh")) and len(lines) - 1 > FILE_LINES_MAX:
        problems.append(f"{name}:1: {len(lines) - 1} lines, {FILE_LINES_MAX} are the limit")
    return problems


def check_words(name, text):
    return [f"{name}:{_tree.line_of(text, match.start())}: {match.group(0)}: "
            "do it, or open an issue" for match in _UNFINISHED.finditer(text)]


def check_places(name, text):
    problems = []
    for match in _MACHINE.finditer(text):
        problems.append(f"{name}:{_tree.line_of(text, match.start())}: {match.group(0)} "
                        "is a place on one machine")
    return problems


def check_code(name, text):
    problems = []
    code = _tree.code_only(text)
    for match in _CALL.finditer(code):
        call = match.group(1)
        problems.append(f"{name}:{_tree.line_of(code, match.start())}: {call}() is banned; "
                        f"use {BANNED_CALLS[call]}")
    for header, instead in BANNED_HEADERS.items():
        for match in re.finditer(r"#\s*include\s*<" + re.escape(header) + ">", code):
            problems.append(f"{name}:{_tree.line_of(code, match.start())}: <{header}> is banned; "
                            f"use {instead}")
    if name.startswith(CLOCK_FREE):
        for match in _CLOCK.finditer(code):
            problems.append(f"{name}:{_tree.line_of(code, match.start())}: {match.group(1)}(): "
                            "no clock here; time is handed in")
    if name.startswith(FLOAT_FREE):
        for match in _FLOAT.finditer(code):
            problems.append(f"{name}:{_tree.line_of(code, match.start())}: {match.group(0)}: "
                            "no binary floating point here; integers, decimals, rationals")
    return problems


def magics(name, text):
    """(value in one spelling, place) of each magic that a file defines."""
    code = _tree.code_only(text, keep_strings=True)
    for match in _MAGIC.finditer(code):
        value = _NUMBER.findall(match.group(3))
        if value:
            yield " ".join(value).lower(), f"{name}:{_tree.line_of(code, match.start(3))}"


def check_unique(places, what):
    return [f"{found[1]}: {what} {key} is also at {found[0]}"
            for key, found in sorted(places.items()) if len(found) > 1]


def check(root):
    problems = []
    by_file_name, by_magic = {}, {}
    for name in _tree.files(root):
        data = (root / name).read_bytes()
        if b"\0" in data[:4096]:
            continue
        text = data.decode("utf-8", errors="replace")
        problems += check_places(name, text)
        if name.startswith(_tree.AS_RECORDED):
            continue
        problems += check_lines(name, text) + check_words(name, text)
        if name.endswith((".c", ".h")):
            problems += check_code(name, text)
            by_file_name.setdefault(posixpath.basename(name), []).append(name + ":1")
            if not name.startswith("tests/"):
                for value, place in magics(name, text):
                    by_magic.setdefault(value, []).append(place)
    problems += check_unique(by_file_name, "the file name")
    problems += check_unique(by_magic, "the magic")
    return problems


if __name__ == "__main__":
    sys.exit(_tree.main(check))
