#!/usr/bin/env python3
"""What benchmarks/tables.py shows of a run of micro benchmarks, counters included."""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(name, time, **counters):
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 10, "repetition_index": 0, "threads": 1,
            "real_time": time, "cpu_time": time, "time_unit": "us", **counters}


def main():
    runs = [run("g/reference/8", 1.0), run("g/ours/8", 2.0, **{"ratio": 0.5, "p99.9_us": 7.0, "longest_us": 1500.0}),
            run("g/ours/8", 4.0, **{"ratio": 0.7, "p99.9_us": 9.0, "longest_us": 2500.0}),
            run("g/ours/8", 3.0, **{"ratio": 0.6, "p99.9_us": 8.0, "longest_us": 2000.0}),
            run("alone", 5.0, rows=12345.0, client_cpu_us=2.5)]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "micro.json")
        file.write_text(json.dumps({"benchmarks": runs}))
        shown = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py"), "micro", str(file)],
                               capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in shown.splitlines()]
    wanted = [["median", "min", "max", "to", "reference", "ratio", "longest_us"],
              ["ours", "8", "3.00", "us", "2.00", "us", "4.00", "us", "3.00", "0.6", "2.00", "ms"],
              ["reference", "8", "1.00", "us", "1.00", "us", "1.00", "us", "1.00"],
              ["median", "min", "max", "to", "reference", "rows", "client", "CPU", "an", "operation"],
              ["alone", "5.00", "us", "5.00", "us", "5.00", "us", "12,345", "2.50", "us"],
              ["percentiles", "p99.9"], ["ours", "8", "8.00", "us"]]
    missing = [line for line in wanted if line not in lines]
    sys.exit(f"not shown: {missing} in\n{shown}" if missing else 0)


if __name__ == "__main__":
    main()
