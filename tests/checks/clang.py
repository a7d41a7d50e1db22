#!/usr/bin/env python3
"""Compiles everything with clang 19 (syntax only), or runs clang-tidy over the library.

usage: clang.py syntax|tidy BUILD_FOLDER [NAME_PART...]

BUILD_FOLDER has the compile_commands.json that says which files there are, with which include paths and
definitions; precompiled headers are left out, so a file that forgets an include is found. The public
headers, each compiled alone, get hostile macros before them. NAME_PART: only files with that in their path.
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

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


def compilations(build):
    """(file, flags) for each file of the tree once, and for each header compiled alone."""
    seen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["directory"], entry["file"])
        command = entry.get("arguments") or shlex.split(entry["command"])
        alone = build / "tests" / "alone" / "levee"
        if file.is_relative_to(alone):
            folder = file.relative_to(alone).parts[0]
            macros = "hostile_macros" if folder in STANDARD_ONLY else "hostile_macros_after_boost"
            seen[file] = kept_flags(command) + ["-include", str(ROOT / "tests" / "support" / f"{macros}.hpp")]
        elif file.is_relative_to(ROOT) and not file.is_relative_to(build):
            seen.setdefault(file, kept_flags(command))
    return sorted(seen.items())


def command_of(mode, file, flags):
    if mode == "syntax":
        return ["clang++-19", "-std=c++20", "-fsyntax-only", "-ferror-limit=5", *WARNINGS, *flags, str(file)]
    return ["clang-tidy-19", "--quiet", str(file), "--", "-std=c++20", *flags]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("syntax", "tidy"):
        sys.exit(__doc__)
    mode, build, parts = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    work = [(file, flags) for file, flags in compilations(build)
            if (mode == "syntax" or str(file).startswith(TIDIED)) and (not parts or any(p in str(file) for p in parts))]
    if not work:
        sys.exit(f"no files to check in {build}/compile_commands.json")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        results = pool.map(run, (command_of(mode, file, flags) for file, flags in work))
        for (file, _), (code, output) in zip(work, results):
            if code:
                failed += 1
                print(f"--- {file}\n{output}")
    print(f"{len(work)} files, {failed} with faults")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
