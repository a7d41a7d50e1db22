#!/usr/bin/env python3
"""Checks that README.md's code is what the tests compile, and that the files it links to are there.

usage: readme.py [FOLDER]

A code block that follows the comment `<!-- from FILE -->` must be the lines of FILE between `README begins`
and `README ends`, without the indentation they share; several such spans are separated by an empty line.
Every C++ block must have that comment.
"""

import pathlib
import re
import sys
import textwrap

BLOCK = re.compile(r"(?:^<!-- from (?P<file>\S+) -->\n)?^```cpp\n(?P<code>.*?)^```$", re.M | re.S)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def snippet_of(source):
    spans, span = [], None
    for line in source.splitlines():
        if "README begins" in line:
            span = []
        elif "README ends" in line and span is not None:
            spans.append(textwrap.dedent("\n".join(span)).strip("\n"))
            span = None
        elif span is not None:
            span.append(line)
    return "\n\n".join(spans) + "\n"


def faults_of(root):
    text = (root / "README.md").read_text()
    blocks = list(BLOCK.finditer(text))
    if not blocks:
        yield "README.md shows no C++"
    for block in blocks:
        line = text[: block.start("code")].count("\n")
        if block["file"] is None:
            yield f"README.md:{line}: this block does not say which tested file it is from"
        elif not (root / block["file"]).is_file():
            yield f"README.md:{line}: there is no {block['file']}"
        elif block["code"] != snippet_of((root / block["file"]).read_text()):
            yield f"README.md:{line}: this is not what {block['file']} has between its marks"
    for link in LINK.findall(FENCED.sub("", text)):
        if not (root / link).exists():
            yield f"README.md: there is no {link}"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    faults = list(faults_of(root))
    print("\n".join(faults) or "README.md is as tested")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
