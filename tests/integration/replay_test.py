#!/usr/bin/env python3
"""The replay example as its users meet it: reports, messages, exit codes, signals. usage: replay_test.py PROGRAM"""

import gzip
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
QUICK = ["--requests", "20000", "--baseline-requests", "1000"]


class Replay(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="levee-replay-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.temporary = self.folder / "tmp"  # the program's own; it has to be left empty
        self.temporary.mkdir()
        self.environment = dict(os.environ, TMPDIR=str(self.temporary), TERM="xterm")

    def tearDown(self):
        self.assertEqual(os.listdir(self.temporary), [], "a temporary folder was left behind")

    def trace(self, text, name="small.txt"):
        path = self.folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    def run_with(self, *arguments, **more):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env=self.environment,
                              timeout=120, **more)

    def succeed(self, *arguments, **more):
        done = self.run_with(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refuse(self, code, words, *arguments):
        done = self.run_with(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn(words, done.stderr)
        self.assertTrue(done.stderr.splitlines()[0].startswith("replay: "), done.stderr)

    # Reports

    def test_counts_hits_and_loads_of_a_known_trace(self):
        report = self.succeed("--trace", self.trace("a\nb\na\nc\na\nb\n"), "--entries", "3", "--threads", "1")
        self.assertIn("6 requests, 3 distinct keys", report)
        self.assertRegex(report, r"(?m)^  3 +100\.00 % +50\.00 % +50\.00 % +3 +3 +50\.00 % +3 ")

    def test_replays_every_size_in_rising_order(self):
        keys = "".join(f"{i % 50}\n" for i in range(500))
        report = self.succeed("--trace", self.trace(keys, "loop.txt.gz"), "--entries", "60,10,10")
        self.assertRegex(report, r"(?s)spared.*\n  10 .*\n  60 .* 90\.00 %")
        self.assertEqual(len(re.findall(r"^  10 ", report, re.M)), 2, "once in each table")

    def test_weighs_entries_by_the_sizes_of_the_trace(self):
        trace = self.trace("a,600\nb,600\na,600\nc,10\nc,10\n")
        report = self.succeed("--trace", trace, "--bytes", "1000,2KiB", "--threads", "1")
        self.assertRegex(report, r"1,000 B +82\.64 % +20\.00 % ")
        self.assertRegex(report, r"2 KiB +169\.26 % +40\.00 % ")
        self.assertRegex(self.succeed("--trace", trace, "--threads", "1"), r"of bytes", "the default with sizes")
        self.assertRegex(self.succeed("--trace", trace, "--entries", "2"), r"of keys")

    def test_compares_with_other_policies_when_asked(self):
        keys = "".join(f"{i % 50}\n" for i in range(500))
        trace = self.trace(keys, "loop.txt")
        report = self.succeed("--trace", trace, "--entries", "60", "--compare")
        self.assertRegex(report, r"(?m)^entries .*lru.*2q +lirs.*levee +opt$")
        self.assertRegex(report, r"(?m)^ +60( +90\.00)+$")
        self.assertNotIn("2q", self.succeed("--trace", trace, "--entries", "60"))

    def test_reads_standard_input(self):
        self.assertIn("standard input: 3 requests, 2 distinct keys",
                      self.succeed("--trace", "-", "--entries", "2", input="x\ny\nx\n"))

    def test_makes_up_a_workload_when_there_is_no_trace(self):
        report = self.succeed("--entries", "100,1000", *QUICK)
        self.assertIn("made-up workload", report)
        self.assertRegex(report, r"no cache: the first 1,000 requests only")
        for line in report.splitlines():
            self.assertLessEqual(len(line), 100, line)

    def test_replays_without_a_baseline(self):
        report = self.succeed("--trace", self.trace("a\na\n"), "--entries", "1", "--baseline-requests", "0")
        self.assertNotIn("no cache  ", report)

    def test_draws_the_curve(self):
        plot = self.folder / "curve.svg"
        self.assertIn(str(plot), self.succeed("--trace", self.trace("a\nb\na\n"), "--entries", "1,2", "--plot", str(plot)))
        self.assertIn("<svg", plot.read_text())

    def test_keeps_the_latencies_in_a_file(self):
        metrics = self.folder / "replay.prom"
        metrics.write_text("of a former run\n")
        self.succeed("--entries", "100,1000", "--metrics-file", str(metrics), *QUICK)
        page = metrics.read_text()
        self.assertIn("# TYPE replay_operation_duration_seconds histogram\n", page)
        self.assertTrue(page.endswith("\n"))
        counts = {}
        for line in page.splitlines():
            if line.startswith("replay_operation_duration_seconds_count") and 'outcome="success"' in line:
                counts[re.search(r'operation="([^"]*)"', line)[1]] = int(float(line.split()[-1]))
        self.assertEqual(counts.get("no cache: miss"), 1000)
        for size in ("100 entries", "1,000 entries"):
            self.assertEqual(counts[size + ": hit"] + counts[size + ": miss"], 20000)
        self.assertEqual(sorted(os.listdir(self.folder)), ["replay.prom", "tmp"], "nothing else beside it")

    def test_helps(self):
        text = self.succeed("--help")
        for option in ("--trace", "--entries", "--bytes", "--threads", "--plot", "--metrics-file", "Exit status"):
            self.assertIn(option, text)

    # Errors

    def test_refuses_what_is_no_trace(self):
        self.refuse(1, "No such file", "--trace", str(self.folder / "absent.txt"))
        self.refuse(1, "small.txt", "--trace", self.trace(""))
        self.refuse(1, "line 1", "--trace", self.trace("\x00\x01\x02binary\n"))
        self.refuse(1, str(self.folder), "--trace", str(self.folder))

    def test_refuses_wrong_options(self):
        trace = self.trace("a\nb\n")
        self.refuse(2, "--entries: a cache of 0 entries", "--entries", "0")
        self.refuse(2, "--bytes: a cache of 0 bytes", "--bytes", "0")
        self.refuse(2, "small.txt has no sizes", "--trace", trace, "--bytes", "10")
        self.refuse(2, "--entries", "--entries", "-3")
        self.refuse(2, "--entries", "--entries", "many")
        self.refuse(2, "--bytes", "--bytes", "-3MiB")
        self.refuse(2, "--requests", "--requests", "0")
        self.refuse(2, "--entries", "--entries", "5", "--bytes", "5")
        self.refuse(2, "--threads", "--threads", "0")
        self.refuse(2, "--nonsense", "--nonsense")
        self.refuse(2, "there is no folder", "--plot", str(self.folder / "absent" / "x.svg"))
        self.refuse(2, "there is no folder", "--metrics-file", str(self.folder / "absent" / "x.prom"))
        self.refuse(2, "is a folder", "--metrics-file", str(self.folder))
        self.refuse(2, "is no plain file", "--metrics-file", "/dev/null")

    def test_says_when_the_metrics_cannot_be_written(self):
        name = "m" * 250  # a name that is not too long, but the one of the file beside it is
        self.refuse(1, "cannot write the metrics", "--trace", self.trace("a\n"), "--metrics-file",
                    str(self.folder / name))

    def test_says_when_there_is_no_place_for_the_database(self):
        self.environment["TMPDIR"] = str(self.folder / "absent")
        self.refuse(1, "TMPDIR", "--trace", self.trace("a\n"))

    def test_says_when_the_report_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "--trace", self.trace("a\n")], stdout=full, stderr=subprocess.PIPE,
                                  text=True, env=self.environment, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the report", done.stderr)

    def test_ends_quietly_when_nobody_reads(self):
        read, write = os.pipe()
        os.close(read)
        process = subprocess.Popen([PROGRAM, "--trace", self.trace("a\nb\n")], stdout=write,
                                   stderr=subprocess.PIPE, text=True, env=self.environment)
        os.close(write)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 141)
        self.assertNotIn("replay:", errors)

    # Signals. The program says on standard error which step has ended, so nothing here waits by time.

    def interrupt(self, sent, after, *arguments):
        sizes = ",".join(str(size) for size in range(1000, 9000))  # far more than it will come to
        process = subprocess.Popen([PROGRAM, "--entries", sizes, *QUICK, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment)
        for line in process.stderr:
            if after in line:
                process.send_signal(sent)
                break
        report, errors = process.communicate(timeout=60)
        self.assertNotIn("terminate", errors)
        return process.returncode, report

    def test_reports_what_was_measured_when_interrupted(self):
        code, report = self.interrupt(signal.SIGINT, "1,000 entries: 20,000 in")
        self.assertEqual(code, 130)
        self.assertIn("Interrupted", report)
        self.assertRegex(report, r"(?m)^  1,000 +\d+\.\d\d %")

    def test_writes_the_last_metrics_when_interrupted(self):
        metrics = self.folder / "replay.prom"
        code, _ = self.interrupt(signal.SIGINT, "1,000 entries: 20,000 in", "--metrics-file", str(metrics))
        self.assertEqual(code, 130)
        self.assertIn('operation="1,000 entries: hit"', metrics.read_text())

    def test_reports_also_when_it_is_terminated(self):
        code, report = self.interrupt(signal.SIGTERM, "filling the database")
        self.assertEqual(code, 143)
        self.assertIn("Interrupted", report)

    # Terminals

    def on_terminal(self, requests=20000, **environment):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([PROGRAM, "--entries", "1000", "--baseline-requests", "1000",
                                    "--requests", str(requests)], stdout=terminal, stderr=terminal,
                                   env=dict(self.environment, **environment))
        os.close(terminal)
        text = b""
        try:
            while chunk := os.read(controller, 65536):
                text += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(controller)
        self.assertEqual(process.wait(timeout=60), 0)
        return text.decode()

    def test_draws_a_bar_and_colours_on_a_terminal(self):
        text = self.on_terminal()
        self.assertRegex(text, r"1,000 entries  \[#*\.*\] +\d+ %")
        self.assertIn("\x1b[1m", text)

    def test_shows_latencies_below_the_bar_and_erases_them(self):
        text = self.on_terminal(requests=1_000_000)  # it is drawn each 100 ms: long enough for that
        table = text.index("µs, last 10 s")
        self.assertRegex(text[table:], r"  miss +[\d.,]+ +[\d.,]+ +[\d,]+\x1b\[K")
        self.assertIn("\r\x1b[J", text[table:], "erased")
        self.assertNotIn("last 10 s", text[text.rindex("\x1b[J"):])

    def test_respects_no_color_and_dumb_terminals(self):
        self.assertNotIn("\x1b[1m", self.on_terminal(NO_COLOR="1"))
        self.assertNotIn("\x1b", self.on_terminal(TERM="dumb"))

    def test_writes_plain_lines_elsewhere(self):
        done = self.run_with("--entries", "1000", *QUICK)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertNotIn("\r", done.stderr)
        self.assertRegex(done.stderr, r"3/3 1,000 entries: 20,000 in .* s, [\d,]+/s\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
