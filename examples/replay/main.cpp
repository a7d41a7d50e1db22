/// replay: what would a cache do for this workload?
#include <unistd.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <new>
#include <sstream>
#include <string>

#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/policies.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/synthetic.hpp"
#include "hit_ratio/trace_reader.hpp"
#include "levee/core/error.hpp"
#include "replay/database.hpp"
#include "replay/driver.hpp"
#include "replay/interrupts.hpp"
#include "replay/metrics_file.hpp"
#include "replay/options.hpp"
#include "replay/progress.hpp"
#include "replay/report.hpp"
#include "replay/terminal.hpp"

namespace {

using namespace replay;

enum exit_code { done = 0, failed = 1, used_wrongly = 2, ended_by_signal = 128, nobody_reads = 141 };

levee::lab::trace read(const options& from, progress& shown) {
    levee::lab::trace trace;
    if (from.trace.empty()) {
        trace = levee::lab::make_synthetic_trace(
            {.requests = from.requests, .with_sizes = !from.bytes.empty(), .seed = from.seed});
    } else {
        shown.begin("reading " + name_of(from), 0);
        trace = levee::lab::read_trace(from.trace);
        shown.clear();
    }
    if (trace.has_sizes()) {
        levee::lab::fix_sizes(trace);  // a row of the database has one size
    }
    return trace;
}

results describe(const options& from, const levee::lab::trace& trace, const plan& todo) {
    results measured;
    measured.name = name_of(from);
    measured.is_made_up = from.trace.empty();
    measured.requests = trace.requests();
    measured.distinct = trace.distinct();
    measured.by_size = todo.by_size;
    measured.whole = todo.whole;
    measured.threads = from.threads;
    return measured;
}

// Fills the database and replays, into `measured`. Nothing is left behind, whichever way it is left.
void replay_all(const options& from, const levee::lab::trace& trace, const plan& todo,
                levee::percentile_monitor& monitor, metrics_file& metrics, progress& shown,
                interrupts& signals, results& measured) {
    const scratch_folder folder;
    const auto rows = make_table(folder, from.threads);
    shown.set_steps(1 + (from.baseline_requests > 0 ? 1U : 0U) + todo.capacities.size());
    const bool is_filled = fill(*rows, trace, shown, signals);
    measured.database_bytes = folder.size();
    if (!is_filled) {
        return;
    }
    driver drive(trace, rows, from.threads, monitor, metrics, shown, signals);
    if (from.baseline_requests > 0) {
        measured.baseline = drive.without_cache(from.baseline_requests);
    }
    for (const std::uint64_t capacity : todo.capacities) {
        if (signals.caught()) {
            return;
        }
        measured.runs.push_back(drive.with_cache(capacity, todo.by_size));
    }
}

// The same, with the latencies in a file meanwhile and in the end.
void measure(const options& from, const levee::lab::trace& trace, const plan& todo, progress& shown,
             interrupts& signals, results& measured) {
    levee::percentile_monitor monitor;
    metrics_file metrics(from.metrics_file, monitor);
    metrics.write();  // if it cannot be written, better now than later
    replay_all(from, trace, todo, monitor, metrics, shown, signals, measured);
    metrics.write();
}

// The same requests through the laboratory's policies, in memory: no database, no latencies.
std::string comparison(const options& from, const levee::lab::trace& trace, const plan& todo,
                       progress& shown) {
    shown.begin("comparing with other policies", 0);
    levee::lab::curve_options wanted{
        .capacities = todo.capacities, .by_size = todo.by_size, .threads = from.threads};
    for (const auto& info : levee::lab::known_policies()) {
        if (info.by_size || !todo.by_size) {
            wanted.policies.emplace_back(info.name);
        }
    }
    const auto points = levee::lab::miss_ratio_curve(trace, wanted);
    shown.clear();
    std::ostringstream text;
    text << "\nHit ratio in % of each policy alone, one request after the other (opt knows the future):\n";
    levee::lab::print_curve(text, points, todo.by_size);
    return text.str();
}

void write_plot(const std::string& path, const std::string& svg) {
    std::ofstream file(path, std::ios::binary);
    file << svg;
    file.close();
    if (!file) {
        throw levee::error(std::make_error_code(std::errc::io_error), "cannot write the plot '" + path + "'");
    }
}

int run(const options& from) {
    progress shown(STDERR_FILENO, terminal::at(STDERR_FILENO));
    const levee::lab::trace trace = read(from, shown);
    const plan todo = plan_for(from, trace);
    results measured = describe(from, trace, todo);
    std::optional<int> signal;
    {
        interrupts signals;  // until here Ctrl-C just ends the program: there is nothing to tell or to remove
        measure(from, trace, todo, shown, signals, measured);
        signal = signals.caught();
        measured.is_interrupted = signal.has_value();
        shown.clear();
    }
    std::string text = report_of(measured, terminal::at(STDOUT_FILENO).has_colour);
    if (from.compare && !signal) {
        text += comparison(from, trace, todo, shown);
    }
    if (!from.plot.empty()) {
        const std::string svg = plot_of(measured);
        if (!svg.empty()) {
            write_plot(from.plot, svg);
            text += "\nThe miss-ratio curve: " + from.plot + '\n';
        }
    }
    write_all(STDOUT_FILENO, text);
    return signal ? ended_by_signal + *signal : done;
}

int complain(const std::string& what, int code) {
    std::cerr << "replay: " << what << '\n' << std::flush;
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    ignore_broken_pipes();
    try {
        std::ostringstream help;
        if (const auto from = parse_options(argc, argv, help)) {
            return run(*from);
        }
        write_all(STDOUT_FILENO, help.str());
        return done;
    } catch (const broken_pipe&) {
        return nobody_reads;
    } catch (const wrong_usage& problem) {
        return complain(std::string(problem.what()) + "\n(replay --help tells more)", used_wrongly);
    } catch (const std::bad_alloc&) {
        return complain("there is not enough memory", failed);
    } catch (const std::exception& problem) {
        return complain(problem.what(), failed);
    }
}
