#include "replay/report.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <sstream>

namespace replay {
namespace {

using namespace std::chrono_literals;

run_result run_of(std::uint64_t capacity, std::uint64_t hits, std::uint64_t requests, levee::duration time) {
    run_result run;
    run.capacity = capacity;
    run.planned = run.requests = requests;
    run.elapsed = time;
    run.cache.hits = hits;
    run.cache.misses = run.cache.loads = requests - hits;
    run.entries = capacity;
    run.all.mean = 2us;
    run.all.p50 = 1500ns;
    return run;
}

results measured() {
    results m;
    m.name = "x.txt";
    m.requests = 1000;
    m.distinct = 200;
    m.whole = 200;
    m.threads = 2;
    m.baseline = run_of(0, 0, 1000, 1s);
    m.runs = {run_of(10, 250, 1000, 800ms), run_of(20, 600, 1000, 500ms)};
    return m;
}

void expect_in(const std::string& report, const std::string& words) {
    EXPECT_NE(report.find(words), std::string::npos) << words << "\nis not in\n" << report;
}

void expect_not_in(const std::string& report, const std::string& words) {
    EXPECT_EQ(report.find(words), std::string::npos) << words << "\nis in\n" << report;
}

// Whole lines, whatever the columns' widths.
std::string squeezed(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c != ' ' || result.empty() || result.back() != ' ') {
            result += c;
        }
    }
    return result;
}

TEST(report, tells_loads_and_how_many_were_saved) {
    const std::string report = squeezed(report_of(measured(), false));
    expect_in(report, "x.txt: 1,000 requests, 200 distinct keys");
    expect_in(report, "80.00 % of requests ask for a key asked for before");
    expect_in(report, "\n 10 5.00 % 25.00 % 75.00 % 750 250 25.00 % 10 -\n");
    expect_in(report, "\n 20 10.00 % 60.00 % 40.00 % 400 600 60.00 % 20 -\n");
}

TEST(report, compares_with_no_cache) {
    const std::string report = squeezed(report_of(measured(), false));
    expect_in(report, "\n no cache 1.50 - - - - - 1,000 1.0 x\n");
    expect_in(report, "\n 20 entries 1.50 - - - - - 2,000 2.0 x\n");
    expect_in(report, "With 20 entries, 60.0 of 100 requests never reach the database,\n");
    expect_in(report, "2.0 times as many");
    expect_in(report, "would take 402 µs on average, not 1,002 (reckoned).\n");  // 2 µs + 40 % of 1 ms
}

TEST(report, admits_when_the_cache_does_not_pay) {
    results m = measured();
    m.runs.back().elapsed = 5s;
    expect_in(report_of(m, false), "does not pay: 0.2 times as many");
}

TEST(report, does_without_a_baseline) {
    results m = measured();
    m.baseline.reset();
    const std::string report = squeezed(report_of(m, false));
    expect_not_in(report, "no cache 1");
    expect_in(report, "\n 20 entries 1.50 - - - - - 2,000 -\n");
    expect_not_in(report, "times as many");
}

TEST(report, says_what_part_of_the_trace_the_baseline_had) {
    results m = measured();
    expect_not_in(report_of(m, false), "--baseline-requests");
    m.requests = 5000;
    expect_in(report_of(m, false), "no cache: the first 1,000 requests only");
}

TEST(report, marks_what_an_interruption_cut_short) {
    results m = measured();
    m.is_interrupted = true;
    m.runs.back().requests = 123;
    const std::string report = report_of(m, false);
    expect_in(report, "Interrupted: ");
    expect_in(report, "  20 entries * ");
    expect_in(report, "*: stopped after 123 of 1,000 requests");
    expect_in(report, "With 10 entries, ");
}

TEST(report, says_so_when_nothing_was_measured) {
    results m = measured();
    m.is_interrupted = true;
    m.baseline.reset();
    m.runs.clear();
    expect_in(report_of(m, false), "Nothing was measured.");
    expect_not_in(report_of(m, false), "spared");
}

TEST(report, counts_in_bytes_when_entries_are_weighed) {
    results m = measured();
    m.by_size = true;
    m.whole = 4U << 20;
    m.runs.back().capacity = 1U << 20;
    const std::string report = squeezed(report_of(m, false));
    expect_in(report, "of bytes");
    expect_in(report, "\n 1 MiB 25.00 % 60.00 %");
}

TEST(report, fits_a_hundred_columns_with_large_numbers) {
    results m = measured();
    m.requests = 5'000'000;
    m.distinct = m.whole = 5'000'000;
    m.is_interrupted = true;
    m.runs = {run_of(1'000'000, 4'000'000, 5'000'000, 3s)};
    run_result& run = m.runs.front();
    run.planned = 5'000'001;
    run.heap = 1000U << 20;
    run.all = {1, 1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 9'999'999us, 9'999'999us};
    run.hits = run.misses = run.all;
    std::istringstream lines(report_of(m, false));
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 100U) << line;
    }
}

TEST(report, is_coloured_only_when_asked) {
    EXPECT_EQ(report_of(measured(), false).find('\x1b'), std::string::npos);
    expect_in(report_of(measured(), true), "\x1b[1mNotes\x1b[0m");
}

TEST(report, plots_complete_replays) {
    results m = measured();
    expect_in(plot_of(m), "<svg");
    for (run_result& run : m.runs) {
        run.requests = 1;
    }
    EXPECT_EQ(plot_of(m), "");
}

}  // namespace
}  // namespace replay
