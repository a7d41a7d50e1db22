#!/usr/bin/env python3
"""Checks that the source keeps to its floors and to a few rules that no compiler knows.

usage: floors.py [FOLDER]     the folder that has include/levee and src; exit code 1 when a rule is broken

A file includes only files of its own folder and of folders on lower floors. A header guards itself.
"""

import pathlib
import re
import sys

FLOORS = [
    ["core"],
    ["local", "monitor", "resilience", "journal", "async"],
    ["pool", "store", "balance"],
    ["cache", "route", "batch", "jobs"],
    ["redis", "postgres", "sqlite", "http"],
    ["testing", "levee.hpp"],
]
FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}
ARROWS = {("async", "monitor")}  # (from, to): same-floor includes that the design draws: async_measure

STANDARD_ONLY = {"core", "local", "monitor", "resilience", "journal", "balance"}
# A library's own header, and the one folder under src/ that may include it.
CLIENTS = {"hiredis": "redis", "zstd": "redis", "libpq": "postgres", "sqlite3": "sqlite"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
GUARD = re.compile(r"^#pragma once$", re.MULTILINE)
TIMER = re.compile(r"\b(steady_timer|system_timer|high_resolution_timer|deadline_timer|basic_waitable_timer)\b")
BANNED = [
    # `volatile void` is how a template erases any pointer; nothing is declared volatile by it.
    (re.compile(r"\bvolatile\b(?!\s+void\b)"), "volatile: atomics say what is meant"),
    (re.compile(r"(\.|->)\s*detach\s*\(\s*\)"), "a detached thread: every thread has an owner that joins it"),
    (re.compile(r"\bthis_thread\s*::\s*sleep_(for|until)\b|\b(usleep|nanosleep)\s*\("),
     "a sleeping thread: waiting goes through async::scheduler or a condition"),
]


def without_comments_and_literals(text):
    """The text with comments, strings and characters blanked, line breaks kept."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
        re.DOTALL,
    )
    # An include keeps its name in quotes.
    def blank(match):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if INCLUDE.match(text[line_start : match.end()]):
            return match.group(0)
        return re.sub(r"[^\n]", " ", match.group(0))

    return token.sub(blank, text)


def folder_of_include(path, base, name, quoted):
    """The levee folder that an include names, or None for a foreign header."""
    parts = name.split("/")
    if parts[0] == "levee":
        return parts[1] if len(parts) > 1 else None
    if quoted:
        if parts[0] in FLOOR_OF:  # src/ is on the include path of the library itself
            return parts[0]
        try:
            return (path.parent / name).resolve().relative_to(base.resolve()).parts[0]
        except ValueError:
            return None
    return None


def faults_of(path, base, public):
    relative = path.relative_to(base)
    folder = relative.parts[0]
    if folder not in FLOOR_OF:
        yield 1, f"{folder} has no floor: give it one in tests/checks/floors.py and in the design"
        return
    text = without_comments_and_literals(path.read_text(encoding="utf-8"))
    if path.suffix == ".hpp" and not GUARD.search(text):
        yield 1, "a header without #pragma once"
    for number, line in enumerate(text.split("\n"), 1):
        if match := INCLUDE.match(line):
            name = match.group(2)
            yield from ((number, fault) for fault in include_faults(path, base, public, folder, match.group(1), name))
            continue
        if folder != "async" and (timer := TIMER.search(line)):
            yield number, f"{timer.group(1)} outside async/: waiting goes through async::scheduler"
        for pattern, why in BANNED:
            if pattern.search(line):
                yield number, why


def include_faults(path, base, public, folder, quote, name):
    target = folder_of_include(path, base, name, quote == '"')
    if target is not None:
        if target not in FLOOR_OF:
            yield f"includes {name}, whose folder has no floor"
        elif target != folder and FLOOR_OF[target] >= FLOOR_OF[folder] and (folder, target) not in ARROWS:
            yield f"{folder} (F{FLOOR_OF[folder]}) includes {target} (F{FLOOR_OF[target]}): {name}"
        return
    if folder in STANDARD_ONLY and re.match(r"(boost/|asio)", name):
        yield f"{folder} needs the standard library only, and includes {name}"
    if TIMER.search(name) and folder != "async":
        yield f"includes {name} outside async/"
    for client, owner in CLIENTS.items():
        if re.match(rf"({client}(/|-|\.h)|postgresql/{client})", name):
            if public:
                yield f"a public header includes {name}"
            elif folder != owner:
                yield f"src/{folder} includes {name}; only src/{owner} may"


def check(root):
    """All faults under root, as "file:line: what"."""
    found = []
    for base, public in ((root / "include" / "levee", True), (root / "src", False)):
        for path in sorted(base.rglob("*")):
            if path.suffix in {".hpp", ".cpp", ".ipp", ".h"}:
                found += [f"{path.relative_to(root)}:{line}: {what}" for line, what in faults_of(path, base, public)]
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    if not (root / "include" / "levee").is_dir():
        sys.exit(f"{root} has no include/levee")
    found = check(root)
    print("\n".join(found) if found else "every file keeps to its floor")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
