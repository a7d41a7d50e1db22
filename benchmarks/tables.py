#!/usr/bin/env python3
"""Prints measured figures as aligned tables.

usage: tables.py machine
       tables.py micro FILE.json
       tables.py compile_time INCLUDE_FOLDER HEADER...

Micro benchmarks are named group/row[/arguments][/threads:N]; each group is a table, and what has no group
stands in a last one. A row whose name begins with "reference" is what the others of its group, with the same
arguments and threads, are compared to. The counter client_cpu_us is the processor time that this
process spent on an operation. With threads, a time is the wall's divided by all threads' operations.
Counters named pN_us are percentiles of single operations: they have a table of their own, of their medians.
Every other counter is a column of its group's table, its median again; in _us and _ns it is shown as a time.
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


# What google-benchmark itself says of a run; what else is a number, the benchmark has counted.
OWN_FIELDS = {"family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads", "iterations",
              "real_time", "cpu_time", "items_per_second", "bytes_per_second"}


HEADS = {"client_cpu_us": "client CPU an operation"}


def in_nanoseconds(value, unit):
    return value * {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.2f} ns"


def as_counted(name, value):
    """A counter's figure as a cell."""
    for suffix, size in (("_us", 1e3), ("_ns", 1.0)):
        if name.endswith(suffix):
            return duration(value * size)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


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
    counters = {}  # the same: name: of the repetitions, as they are
    for entry in data["benchmarks"]:
        if entry.get("run_type") == "aggregate":
            continue
        if entry.get("error_occurred"):
            sys.exit(f"{entry['name']}: {entry.get('error_message')}")
        key = parts_of(entry["run_name"])
        samples.setdefault(key, []).append(in_nanoseconds(entry["real_time"], entry["time_unit"]))
        for name, value in entry.items():
            if match := re.fullmatch(r"p([\d.]+)_us", name):
                percentiles.setdefault(key, {}).setdefault(float(match.group(1)), []).append(value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and name not in OWN_FIELDS:
                counters.setdefault(key, {}).setdefault(name, []).append(value)

    for group in sorted({key[0] for key in samples}, key=lambda name: (name == "", name)):
        keys = sorted((key for key in samples if key[0] == group), key=lambda key: order_of(key[1:]))
        counted = list(dict.fromkeys(name for key in keys for name in counters.get(key, {})))
        rows = []
        for key in keys:
            _, row, rest = key
            times = samples[key]
            median = statistics.median(times)
            references = [statistics.median(other) for (g, r, a), other in samples.items()
                          if group and g == group and a == rest and r.startswith("reference")]
            ratio = f"{median / references[0]:.2f}" if references else ""
            own = counters.get(key, {})
            rows.append([f"{row} {rest}".strip(), duration(median), duration(min(times)), duration(max(times)), ratio,
                          *(as_counted(name, statistics.median(own[name])) if name in own else "" for name in counted)])
        print_table(group or "others", ["", "median", "min", "max", "to reference", *(HEADS.get(n, n) for n in counted)],
                    rows)
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
