#include "replay/report.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>

#include "hit_ratio/plot.hpp"
#include "hit_ratio/report.hpp"
#include "replay/text.hpp"

namespace replay {
namespace {

using namespace std::chrono_literals;

using row = std::vector<std::string>;

std::string heading(std::string_view text, bool colour) {
    return '\n' + (colour ? "\x1b[1m" + std::string(text) + "\x1b[0m" : std::string(text)) + '\n';
}

// The first column to the left, the others to the right, everything indented.
std::string table(std::vector<row> rows) {
    std::size_t width = 0;
    for (const row& one : rows) {
        width = std::max(width, one.front().size());
    }
    for (row& one : rows) {
        one.front() = "  " + padded(one.front(), width);
    }
    std::ostringstream text;
    levee::lab::print_table(text, rows);
    return text.str();
}

std::string size_of(const run_result& run, const results& measured) {
    if (run.capacity == 0) {
        return "no cache";
    }
    return measured.by_size ? as_capacity(run.capacity) : as_entries(run.capacity);
}

std::string mark_of(const run_result& run) {
    return run.is_complete() ? "" : " *";
}

std::string label_of(const run_result& run, const results& measured) {
    return size_of(run, measured) + mark_of(run);
}

std::string with_decimal(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", number);
    return text;
}

std::string workload_lines(const results& m) {
    const std::uint64_t repeats = m.requests - std::min(m.requests, m.distinct);
    std::string text = "  workload  " + m.name + ": " + counted(m.requests, "request") + ", " +
                       counted(m.distinct, "distinct key") + '\n';
    text += "            " + as_percent(repeats, m.requests) +
            " of requests ask for a key asked for before: no cache can hit more\n";
    if (m.by_size) {
        text += "            the values of all keys, by the trace's sizes: " + as_bytes(m.whole) + '\n';
    }
    text += "  database  SQLite in a temporary folder: " + counted(m.distinct, "row") + ", " +
            as_bytes(m.database_bytes) + " on disk\n";
    text += "  replay    " + counted(m.threads, "thread") +
            "; each asks again when it has its answer; nothing expires (no TTL)\n";
    return text;
}

std::string savings(const results& m) {
    std::vector<row> rows{{m.by_size ? "cache" : "entries", m.by_size ? "of bytes" : "of keys", "hit ratio",
                           "miss ratio", "loads", "saved", "", "held", "memory"}};
    for (const run_result& run : m.runs) {
        const std::uint64_t asked = run.cache.hits + run.cache.misses;
        const std::uint64_t saved = run.requests - std::min(run.requests, run.cache.loads);
        rows.push_back({(m.by_size ? as_capacity(run.capacity) : as_count(run.capacity)) + mark_of(run),
                        as_percent(run.capacity, m.whole), as_percent(run.cache.hits, asked),
                        as_percent(run.cache.misses, asked), as_count(run.cache.loads), as_count(saved),
                        as_percent(saved, run.requests), as_count(run.entries),
                        run.heap ? as_bytes(*run.heap) : "-"});
    }
    return table(std::move(rows));
}

std::string latencies(const results& m) {
    std::vector<row> rows{{"", "p50", "p95", "p99", "p99.9", "a hit", "a miss", "requests/s", "compared"}};
    const double before = m.baseline ? per_second(m.baseline->requests, m.baseline->elapsed) : 0;
    const auto add = [&](const run_result& run) {
        const double rate = per_second(run.requests, run.elapsed);
        rows.push_back({label_of(run, m), as_microseconds(run.all.p50), as_microseconds(run.all.p95),
                        as_microseconds(run.all.p99), as_microseconds(run.all.p999),
                        as_microseconds(run.hits.p50), as_microseconds(run.misses.p50),
                        as_count(static_cast<std::uint64_t>(rate)),
                        before > 0 ? with_decimal(rate / before) + " x" : "-"});
    };
    if (m.baseline) {
        add(*m.baseline);
    }
    std::for_each(m.runs.begin(), m.runs.end(), add);
    return table(std::move(rows));
}

// The mean time of a request if each miss took `more`.
levee::duration away(const run_result& run, levee::duration more) {
    const double misses = ratio(run.cache.misses, run.cache.hits + run.cache.misses);
    return run.all.mean.value_or(0ns) + std::chrono::duration_cast<levee::duration>(more * misses);
}

// The answer in a sentence, for the largest cache that was replayed to the end.
std::string conclusion(const results& m) {
    const auto best =
        std::find_if(m.runs.rbegin(), m.runs.rend(), [](const run_result& run) { return run.is_complete(); });
    if (best == m.runs.rend()) {
        return {};
    }
    const std::uint64_t saved = best->requests - std::min(best->requests, best->cache.loads);
    std::string text = "\nWith " + size_of(*best, m) + ", " +
                       with_decimal(100 * ratio(saved, best->requests)) +
                       " of 100 requests never reach the database";
    const double rate = per_second(best->requests, best->elapsed);
    const double before = m.baseline ? per_second(m.baseline->requests, m.baseline->elapsed) : 0;
    if (before > 0 && rate >= before) {
        text += ",\nand this machine answers " + with_decimal(rate / before) + " times as many a second";
    } else if (before > 0) {
        text += ".\nHere that does not pay: " + with_decimal(rate / before) +
                " times as many are answered a second, because this database is so near";
    }
    text += ".\nWere the database 1 ms away, a request would take " + as_microseconds(away(*best, 1ms)) +
            " µs on average";
    if (m.baseline && m.baseline->all.mean) {
        text += ", not " + as_microseconds(*m.baseline->all.mean + 1ms);
    }
    text += " (reckoned)";
    return text + ".\n";
}

std::string notes(const results& m) {
    std::string text;
    const auto note = [&text](const std::string& line) { text += "  - " + line + '\n'; };
    if (m.baseline && m.baseline->is_complete() && m.baseline->requests < m.requests) {
        note("no cache: the first " + as_count(m.baseline->requests) +
             " requests only (--baseline-requests).");
    }
    const auto is_partial = [](const run_result& run) { return !run.is_complete(); };
    if (m.is_interrupted &&
        (std::any_of(m.runs.begin(), m.runs.end(), is_partial) || (m.baseline && is_partial(*m.baseline)))) {
        const run_result& last = m.runs.empty() ? *m.baseline : m.runs.back();
        note("*: stopped after " + as_count(last.requests) + " of " + as_count(last.planned) + " requests.");
    }
    if (!m.runs.empty()) {
        note("held: entries at the end. memory: the heap they take, keys and rows of ~100 bytes included.");
        note("Each cache starts empty, and its first misses count. Concurrent misses of a key share a load.");
        note("a hit, a miss: medians. A wait for another's load is timed as a hit and counted as a miss.");
    }
    if (m.by_size) {
        note("Entries weigh what the trace says (a key keeps its first size); the rows here are short.");
    }
    note("The database is at its quickest here: embedded, and in this machine's memory.");
    return text;
}

}  // namespace

std::string report_of(const results& m, bool colour) {
    std::string text = heading("What would a cache do for this workload?", colour).substr(1) + '\n';
    if (m.is_interrupted) {
        text += "Interrupted: this covers what was measured until then.\n\n";
    }
    text += workload_lines(m);
    if (!m.runs.empty()) {
        text += heading("What the database is spared", colour) + savings(m);
    }
    if (m.baseline || !m.runs.empty()) {
        text += heading("How long a request takes, in µs", colour) + latencies(m) + conclusion(m);
        text += heading("Notes", colour) + notes(m);
    } else {
        text += "\nNothing was measured.\n";
    }
    if (m.is_made_up && !m.is_interrupted) {
        text +=
            "\nFor a workload of your own: --trace FILE --entries 1000,8192 --plot curve.svg (see --help)\n";
    }
    return text;
}

std::string plot_of(const results& measured) {
    levee::lab::plot_series curve{"levee", {}, true};
    for (const run_result& run : measured.runs) {
        if (run.is_complete()) {
            curve.points.push_back(
                {static_cast<double>(run.capacity), 100 * (1 - run.cache.hit_ratio().value_or(0))});
        }
    }
    if (curve.points.empty()) {
        return {};
    }
    return levee::lab::render_svg(
        {curve}, {.title = measured.name,
                  .x_label = measured.by_size ? "cache size in bytes" : "cache size in entries",
                  .y_label = "miss ratio in %",
                  .x_in_bytes = measured.by_size});
}

}  // namespace replay
