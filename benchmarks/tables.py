#!/usr/bin/env python3
"""Prints measured figures as aligned tables.

usage: tables.py machine
       tables.py micro FILE.json
       tables.py compile_time INCLUDE_FOLDER HEADER...

Micro benchmarks are named group/row[/arguments][/threads:N]; each group is a table, and what has no group
stands in a last one. A row whose name begins with "reference" is what the others of its group, with the same
arguments and threads, are compared to. A group that reports it has a column with the processor time that this
process spent on an operation. With threads, a time is the wall's divided by all threads' operations.
Counters named pN_us are percentiles of single operations: they have a table of their own, of their medians.
"""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time


def print_table(title, heads, rows):
    """A table with its first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    print(f"\n{title}")
    for row in [heads, ["-" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def machine():
    model = platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        if match := re.search(r"^model name\s*:\s*(.*)$", cpuinfo.read_text(), re.MULTILINE):
            model = match.group(1)
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    print(f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; {compiler}; -O3 -DNDEBUG")


def in_nanoseconds(value, unit):
    return value * {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.2f} ns"


def parts_of(name):
    """(group, row, arguments and threads) of a benchmark's name; the group is empty when it has none."""
    name = re.sub(r"/(repeats:\d+|real_time|process_time|manual_time|min_time:[^/]*|iterations:\d+)", "", name)
    words = name.split("/")
    split = next((i for i, word in enumerate(words) if re.fullmatch(r"-?\d+|\w+:.*", word)), len(words))
    *group, row = words[:split]
    return "/".join(group), row, " ".join(words[split:])


def order_of(row):
    """Rows with the same arguments stand together, by size, their reference first."""
    name, rest = row
    numbers = tuple(int(number) for number in re.findall(r"\d+", rest))
    return numbers, rest, not name.startswith("reference"), name


def micro(file):
    data = json.loads(pathlib.Path(file).read_text())
    samples = {}  # (group, row, rest): times of the repetitions, in ns of real time
    percentiles = {}  # (group, row, rest): percentile: of the repetitions, in us
    processor = {}  # the same: this process's time an operation, in ns, where it is reported
    for entry in data["benchmarks"]:
        if entry.get("run_type") == "aggregate":
            continue
        if entry.get("error_occurred"):
            sys.exit(f"{entry['name']}: {entry.get('error_message')}")
        samples.setdefault(parts_of(entry["run_name"]), []).append(in_nanoseconds(entry["real_time"], entry["time_unit"]))
        if "client_cpu_us" in entry:
            processor.setdefault(parts_of(entry["run_name"]), []).append(entry["client_cpu_us"] * 1e3)

        for name, value in entry.items():
            if match := re.fullmatch(r"p([\d.]+)_us", name):
                percentiles.setdefault(parts_of(entry["run_name"]), {}).setdefault(float(match.group(1)), []).append(value)

    for group in sorted({key[0] for key in samples}, key=lambda name: (name == "", name)):
        rows = []
        for row, rest in sorted((key[1:] for key in samples if key[0] == group), key=order_of):
            times = samples[group, row, rest]
            median = statistics.median(times)
            references = [statistics.median(other) for (g, r, a), other in samples.items()
                          if group and g == group and a == rest and r.startswith("reference")]
            ratio = f"{median / references[0]:.2f}" if references else ""
            spent = processor.get((group, row, rest))
            rows.append([f"{row} {rest}".strip(), duration(median), duration(min(times)), duration(max(times)), ratio,
                          duration(statistics.median(spent)) if spent else ""])
        heads = ["", "median", "min", "max", "to reference", "client CPU an operation"]
        if not any(row[-1] for row in rows):
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        print_table(group or "others", heads, rows)
    for (group, row, rest), found in sorted(percentiles.items()):
        heads = [f"p{name:g}" if name < 100 else "max" for name in sorted(found)]
        figures = [duration(statistics.median(found[name]) * 1e3) for name in sorted(found)]
        print_table(group or "others", ["percentiles", *heads], [[f"{row} {rest}".strip(), *figures]])


def compile_time(include, *headers):
    """Median of five compilations each of an empty unit and of one that includes a header."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "unit.cpp")
        baseline = None
        for header in ["", *headers]:
            if header and not pathlib.Path(include, header).exists():
                continue
            source.write_text(f"#include <{header}>\n" if header else "")
            command = ["c++", "-std=c++20", "-O2", f"-I{include}", "-c", str(source), "-o", f"{folder}/unit.o"]
            times = []
            for _ in range(6):
                start = time.perf_counter()
                subprocess.run(command, check=True)
                times.append((time.perf_counter() - start) * 1e9)
            times = times[1:]  # the first one warmed the file cache
            median = statistics.median(times)
            baseline = baseline or median
            rows.append([f"#include <{header}>" if header else "an empty unit", duration(median), duration(min(times)),
                         duration(max(times)), duration(median - baseline) if header else ""])
    print_table("Compile time of one translation unit", ["", "median", "min", "max", "added"], rows)


COMMANDS = {"machine": machine, "micro": micro, "compile_time": compile_time}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
