"""Wraps comment lines that are too long, and only those, so that tables and drawings stay.

clang-format would reflow whole comments, which destroys the tables that specify our formats.
"""

import re

LINE_MAX = 100
_LINE = re.compile(r"(\s*)(/\*|\*)(\s*)(.*?)(\s*\*/)?$")
_LABEL = re.compile(r"[A-Z][a-z]+: +")
_STARTS_ANEW = re.compile(r"\d+ |[A-Z][a-z]+: |[-*] ")


def hanging(indent, text):
    """The indent of what continues a line: under a label's text or a table's last column."""
    label = _LABEL.match(text)
    if label:
        return indent + " " * label.end()
    if len(indent) > 1 or re.match(r"\d+ ", text):
        gaps = [gap.end() for gap in re.finditer(r"\s{2,}", text)]
        if gaps:
            return indent + " " * gaps[-1]
    return indent


def wrap_at(lines, i):
    """Cuts line i at its last space within the limit and puts the rest where it belongs."""
    before, mark, indent, text, end = _LINE.match(lines[i]).groups()
    whole = before + mark + indent + text
    cut = whole.rfind(" ", len(before + mark + indent) + 1, LINE_MAX + 1)
    if cut < 0:
        return
    lines[i], rest = whole[:cut].rstrip(), whole[cut:].strip()
    star = before + (" *" if mark == "/*" else "*")
    below = hanging(indent, text)
    following = _LINE.match(lines[i + 1]) if i + 1 < len(lines) and not end else None
    if following and len(following.group(3)) > len(below) and not text.endswith(":"):
        below = following.group(3)
    if (following and following.group(2) == "*" and following.group(3) == below
            and following.group(4) and not _STARTS_ANEW.match(following.group(4))):
        lines[i + 1] = f"{star}{below}{rest} {following.group(4)}{following.group(5) or ''}"
    else:
        lines.insert(i + 1, f"{star}{below}{rest}{' */' if end else ''}")


def wrap(text):
    lines = text.split("\n")
    inside = False
    i = 0
    while i < len(lines):
        line = lines[i].strip()
        starts = line.startswith("/*")
        if len(lines[i]) > LINE_MAX and (starts or inside and line.startswith("*")):
            wrap_at(lines, i)
            line = lines[i].strip()
        inside = "*/" not in line[line.rfind("/*") + 2 if "/*" in line else 0:] and (
            inside or "/*" in line)
        i += 1
    return "\n".join(lines)
