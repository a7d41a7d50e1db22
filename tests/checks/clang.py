#!/usr/bin/env python3
"""Compiles everything with clang 19 (syntax only), or runs clang-tidy over the library.

usage: clang.py syntax|syntax_whole|tidy BUILD_FOLDER [NAME_PART...]

BUILD_FOLDER has the compile_commands.json that says which files there are, with which include paths and
definitions. They share clang's own precompiled form of what the tests share in the build; `syntax_whole` leaves
that out, so that a test that forgets an include is found (the build finds all others: it compiles them without).
The public headers are compiled without in two units with hostile macros before them (that each stands alone is
for the build to show).
NAME_PART: only files with that in their path.
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

CLANG = ["clang++-19", "-std=c++20"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow -Werror".split()
STANDARD_ONLY = ("core", "local", "monitor", "resilience", "journal", "balance")
# Asio costs clang-tidy most of a minute a file; what stands on it is left to the compilers.
TIDIED = tuple(str(ROOT / "src" / folder) + os.sep for folder in STANDARD_ONLY)


def kept_flags(command):
    """The include paths and definitions of a compile command."""
    arguments, kept = iter(command), []
    for argument in arguments:
        if argument in ("-I", "-isystem", "-D"):
            kept += [argument, next(arguments)]
        elif argument.startswith(("-I", "-isystem", "-D")):
            kept.append(argument)
    return kept


def shared_by(file, command):
    """Which precompiled header a file is compiled with."""
    for kind in ("standard", "asio"):
        if f"levee_test_precompiled_{kind}.dir" in " ".join(command):
            return kind
    return "standard" if str(file).startswith(TIDIED) else "asio"


def public_headers():
    """As they are included, those of the lower floors first."""
    include = ROOT / "include"
    names = [path.relative_to(include) for path in (include / "levee").rglob("*.hpp")]
    return sorted(names, key=lambda name: (name.parts[1] not in STANDARD_ONLY, name))


def compilations(build, made):
    """(file, flags, precompiled header or none) for each file of the tree once, and for the units of all headers."""
    seen, alone, alone_flags = {}, build / "tests" / "alone", []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["directory"], entry["file"])
        command = entry.get("arguments") or shlex.split(entry["command"])
        if file.is_relative_to(alone):
            alone_flags = kept_flags(command)
        elif file.is_relative_to(ROOT) and not file.is_relative_to(build):
            seen.setdefault(file, (kept_flags(command), shared_by(file, command)))
    for macros, is_standard in (("hostile_macros", True), ("hostile_macros_after_boost", False)):
        unit = made / f"{macros}.cpp"
        names = [name for name in public_headers() if (name.parts[1] in STANDARD_ONLY) == is_standard]
        unit.write_text("".join(f"#include <{name}>\n" for name in names))
        seen[unit] = (alone_flags + ["-include", str(ROOT / "tests" / "support" / f"{macros}.hpp")], None)
    return sorted((file, flags, shared) for file, (flags, shared) in seen.items())


def precompile(kind, work, made):
    """Writes what the tests of this kind share, as clang has it, with the definitions that they all have."""
    header = ROOT / "tests" / "support" / f"precompiled_{kind}.hpp"
    flags = [flags for file, flags, shared in work if shared == kind and file.is_relative_to(ROOT / "tests")] or [[]]
    defined = [flag for flag in flags[0] if flag.startswith("-D") and all(flag in other for other in flags)]
    subprocess.run([*CLANG, *defined, "-fpch-instantiate-templates", "-x", "c++-header", str(header),
                    "-o", str(made / f"{kind}.pch")], check=True)


def command_of(mode, file, flags, shared, made):
    if mode == "tidy":
        return ["clang-tidy-19", "--quiet", str(file), "--", "-std=c++20", *flags]
    shared_flags = ["-include-pch", str(made / f"{shared}.pch")] if mode == "syntax" and shared else []
    return [*CLANG, "-fsyntax-only", "-ferror-limit=5", *WARNINGS, *shared_flags, *flags, str(file)]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("syntax", "syntax_whole", "tidy"):
        sys.exit(__doc__)
    mode, build, parts = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(check(mode, build, pathlib.Path(folder), parts))


def check(mode, build, made, parts):
    work = [(file, flags, shared) for file, flags, shared in compilations(build, made)
            if (mode != "tidy" or str(file).startswith(TIDIED)) and (not parts or any(p in str(file) for p in parts))]
    if not work:
        sys.exit(f"no files to check in {build}/compile_commands.json")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        if mode == "syntax":
            list(pool.map(lambda kind: precompile(kind, work, made), {shared for _, _, shared in work if shared}))
        results = pool.map(run, (command_of(mode, *each, made) for each in work))
        for (file, _, _), (code, output) in zip(work, results):
            if code:
                failed += 1
                print(f"--- {file}\n{output}")
    print(f"{len(work)} files, {failed} with faults")
    return 1 if failed else 0


if __name__ == "__main__":
    main()
