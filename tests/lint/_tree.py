"""What the lints share: the files of the tree, C without comments, and one way to report."""

import os
import re
import subprocess
import sys
from pathlib import Path

# Copied or recorded as they are; not written by us, so our rules of style do not apply.
AS_RECORDED = ("tests/oracle/", "tests/data/", "tests/fuzz/corpus/")


def root_from_environment():
    return Path(os.environ.get("VENTURI_SRC") or Path(__file__).resolve().parents[2])


def files(root, *suffixes):
    """Tracked and new files as sorted paths relative to root; all of them without suffixes."""
    root = Path(root)
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "-co"]
    listed = None
    if (root / ".git").exists():
        try:
            listed = subprocess.run(
                command + ["--exclude-standard"], capture_output=True, check=True
            ).stdout.decode().split("\0")
        except (OSError, subprocess.CalledProcessError):
            listed = None
    if listed is None:
        listed = [
            str(path.relative_to(root)) for path in root.rglob("*")
            if path.is_file() and path.relative_to(root).parts[0] not in ("build", ".git")
        ]
    found = {
        name for name in listed
        if name and (not suffixes or name.endswith(suffixes)) and (root / name).is_file()
    }
    return sorted(found)


def read(root, name):
    return (Path(root) / name).read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(
    r"""//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)


def code_only(text, keep_strings=False):
    """C text with comments, and unless kept the insides of literals, blanked; lines stay."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] * 2
        return " " + "\n" * token.count("\n")

    return _TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def main(check):
    """Runs check(root), which gives a list of messages; prints them; exits 1 if there are any."""
    problems = check(root_from_environment())
    for problem in problems:
        print(problem)
    name = Path(sys.argv[0]).stem
    print(f"{name}: {len(problems)} problems" if problems else f"{name}: clean")
    sys.exit(1 if problems else 0)
