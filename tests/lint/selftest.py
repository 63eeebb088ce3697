"""The lints themselves: each is shown a small tree with one planted fault and has to find it.

A lint that finds nothing proves nothing; this is the proof that it can.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _tree
import _wrap
import floors
import format as clang_format
import headers
import rules
import tidy

CLEAN = {
    "include/venturi/bytes.h": "#pragma once\n#include <stdint.h>\ntypedef uint8_t byte_t;\n",
    "storage/base/crc.h": '#pragma once\n#include "venturi/bytes.h"\nbyte_t crc(byte_t in);\n',
    "storage/storage.h": '#pragma once\n#include "venturi/bytes.h"\nbyte_t store(void);\n',
    "storage/block.h": "#pragma once\nint block_count(void);\n",
    "storage/block.c": '#include "block.h"\n#include "base/crc.h"\n',
    "engine/engine.h": '#pragma once\n#include "storage/storage.h"\nbyte_t meter(void);\n',
    "net/net.h": '#pragma once\n#include "engine/engine.h"\nbyte_t serve(void);\n',
    "net/client/client.c": '#include "venturi/bytes.h"\n#include "storage/base/crc.h"\n',
    "tools/venturid/venturid.c": '#include "net/net.h"\n#include "storage/storage.h"\n',
    "tests/unit/test_block.c": '#include "storage/block.h"\n#include "engine/engine.h"\n',
}

# Lint, planted file, its text, what the message has to say.
PLANTED = [
    (floors, "storage/up.c", '#include "engine/engine.h"\n', "storage may not include engine"),
    (floors, "engine/up.c", '#include "net/net.h"\n', "engine may not include net/net.h"),
    (floors, "include/venturi/up.h", '#include "storage/storage.h"\n', "may not include storage"),
    (floors, "storage/base/up.c", '#include "storage/storage.h"\n', "storage/base may not"),
    (floors, "engine/private.c", '#include "storage/block.h"\n', "may not include storage/block.h"),
    (floors, "net/client/up.c", '#include "engine/engine.h"\n', "net/client may not include"),
    (floors, "net/client/side.c", '#include "net/net.h"\n', "net/client may not include"),
    (floors, "net/dot.c", '#include "../storage/block.h"\n', "may not include storage/block.h"),
    (floors, "tools/venturi/side.c", '#include "tools/venturid/x.h"\n', "is not in the tree"),
    (floors, "storage/lost.c", '#include "lost.h"\n', '"lost.h" is not in the tree'),
    (floors, "storage/angle.c", "#include <venturi/bytes.h>\n", 'is written "..."'),
    (floors, "misc/lost.c", "int lost;\n", "stands on no floor"),
    (floors, "storage/block.h", '#pragma once\n#include "ring_a.h"\n', None),
    (headers, "engine/late.h", "#pragma once\nuint8_t late(void);\n", "does not compile alone"),
    (headers, "engine/twice.h", "struct twice { int a; };\n", "does not compile alone"),
    (rules, "net/copy.c", "void f(char *a) { strcpy(a, a); }\n", "strcpy() is banned"),
    (rules, "net/number.c", "int f(char *a) { return atoi(a); }\n", "atoi() is banned"),
    (rules, "net/lz.c", "int f(void) { return LZ4_decompress_fast(0, 0, 0); }\n", "_safe"),
    (rules, "net/check.c", "#include <assert.h>\n", "<assert.h> is banned"),
    (rules, "engine/money.c", "static double price;\n", "no binary floating point"),
    (rules, "engine/tick.c", "long f(void) { return time(0); }\n", "no clock here"),
    (rules, "engine/note.c", "/* FIX" + "ME later */\n", "do it, or open an issue"),
    (rules, "docs/place.md", "see /ho" + "me/somebody/notes\n", "is a place on one machine"),
    (rules, "engine/wide.c", "/* " + "w" * 100 + " */\n", "100 are the limit"),
    (rules, "engine/tall.c", "\n" * 1001, "1000 are the limit"),
    (rules, "net/block.h", "#pragma once\n", "the file name block.h is also at"),
    (rules, "net/magics.h", "#define A_MAGIC 0x31\nenum { B_MAGIC = 0x31 };\n", "the magic 0x31"),
    (clang_format, "net/shape.c", "int   f( void ) ;\n", "net/shape.c:1"),
    (tidy, "net/loop.c", "int f(int n);\nint f(int n) { return n ? f(n - 1) : 0; }\n", "recurs"),
]

# What looks like a fault and is none.
INNOCENT = {
    "engine/words.c": '/* a double of the disk; gets(x) */\nchar *s = "float rand()";\n'
                      "int x(struct io *io);\nint y = io->random(3);\n",
    "net/worker.c": "/* as in net/worker, a todo of life */\n",
    "storage/own_magic.h": "#pragma once\n#define C_MAGIC 0x32\n#define D_MAGIC 0x33\n",
}


def write(root, name, text):
    path = Path(root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def clean_tree(root, source_root):
    for name, text in CLEAN.items():
        write(root, name, text)
    for name in (".clang-format", ".clang-tidy"):
        write(root, name, (source_root / name).read_text())


def found_by(lint, root):
    """The lint's messages; tidy reads its sources from a compilation database."""
    if lint is tidy:
        build = Path(root) / "build"
        entry = {"directory": root, "file": "net/loop.c", "command": "cc -std=c17 -Iinclude"}
        build.mkdir(exist_ok=True)
        (build / "compile_commands.json").write_text(json.dumps([entry]))
        os.environ["VENTURI_BUILD"] = str(build)
    return lint.check(Path(root))


def check(source_root):
    problems = []
    with tempfile.TemporaryDirectory() as root:
        clean_tree(root, source_root)
        for name, text in INNOCENT.items():
            write(root, name, text)
        for lint in (floors, rules):
            for message in found_by(lint, root):
                problems.append(f"{lint.__name__} objects to a clean tree: {message}")
    for lint, name, text, want in PLANTED:
        with tempfile.TemporaryDirectory() as root:
            clean_tree(root, source_root)
            write(root, name, text)
            if want is None:
                write(root, "storage/ring_a.h", '#pragma once\n#include "block.h"\n')
                want = "cycle of includes: "
            messages = found_by(lint, root)
            if not any(want in message for message in messages):
                problems.append(f"{lint.__name__} misses the fault in {name}: wanted {want!r}, "
                                f"got {messages}")
    problems += check_git_listing(source_root)
    problems += check_wrapping()
    return problems


def check_wrapping():
    """Prose, labels and table rows are cut where they should be, and nothing else is touched."""
    full = "x" * 90  # with its mark it fits, with one word more it does not
    row = " *   8    4 length       " + "y" * 70
    cases = [
        ("prose", f"/*\n * {full} this is\n * more.\n */", f"/*\n * {full} this\n * is more.\n */"),
        ("closing", f"/* {full} this is */", f"/* {full} this\n * is */"),
        ("label", f"/*\n * Life: {full} is\n */", f"/*\n * Life: {full}\n *       is\n */"),
        ("table", f"/*\n{row} a bee\n *  12    4 crc\n */",
         f"/*\n{row} a\n{' *'.ljust(25)}bee\n *  12    4 crc\n */"),
        ("code", f'char *s = "/* {full} {full}";', f'char *s = "/* {full} {full}";'),
    ]
    return [f"_wrap: {name}: wanted\n{want}\ngot\n{_wrap.wrap(text)}"
            for name, text, want in cases if _wrap.wrap(text) != want]


def check_git_listing(source_root):
    """New files count before they are added; ignored ones never do."""
    with tempfile.TemporaryDirectory() as root:
        clean_tree(root, source_root)
        write(root, ".gitignore", "/build/\n")
        write(root, "build/generated.c", "\n")
        subprocess.run(["git", "init", "-q", root], check=True)
        listed = _tree.files(root, ".c")
        if "storage/block.c" not in listed or "build/generated.c" in listed:
            return [f"the listing of a git tree is wrong: {listed}"]
    return []


if __name__ == "__main__":
    sys.exit(_tree.main(check))
