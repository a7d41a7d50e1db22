/// hit_ratio: what would each policy's cache have hit on this trace?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <levee/core/error.hpp>
#include <string>
#include <vector>

#include "hit_ratio/golden.hpp"
#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/plot.hpp"
#include "hit_ratio/policies.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/shared_replay.hpp"
#include "hit_ratio/synthetic.hpp"
#include "hit_ratio/trace_reader.hpp"

namespace {

namespace lab = levee::lab;

constexpr int failed = 1;
constexpr int wrong_usage = 2;

struct arguments {
    std::string trace;
    std::vector<std::uint64_t> entries, bytes;
    std::vector<std::string> policies;
    std::string csv, plot, golden;
    bool fixed_sizes = false;
    unsigned shared = 0;  // replays of each pair; zero: not asked for
    std::uint64_t seed = 1;
    unsigned threads = 2;

    [[nodiscard]] bool by_size() const { return !bytes.empty(); }
};

void declare(CLI::App& app, arguments& to) {
    app.add_option("--trace", to.trace,
                   "Trace to replay: one key a line, optional ',size'; plain or gzip; '-' is standard input. "
                   "Without it a skewed, drifting workload is made up");
    auto* entries =
        app.add_option("--entries", to.entries, "Cache sizes in entries, as 512,1000")->delimiter(',');
    app.add_option("--bytes", to.bytes, "Cache sizes in bytes, as 64MiB,1GiB; the trace must have sizes")
        ->delimiter(',')
        ->transform(CLI::AsSizeValue(false))
        ->excludes(entries);
    app.add_flag("--fixed-sizes", to.fixed_sizes, "Each key keeps the size of its first request");
    app.add_option("--policies", to.policies,
                   "Policies to compare, of " + lab::policy_names() + "; default: all that the sizes allow")
        ->delimiter(',');
    app.add_option(
           "--golden", to.golden,
           "Folder of the README's traces: replay its 43 pairs of trace and size, and print their means")
        ->excludes("--trace")
        ->excludes("--entries")
        ->excludes("--bytes")
        ->excludes("--policies");
    app.add_option("--shared", to.shared,
                   "With --golden: instead, what shards and threads cost, as means of so many replays")
        ->needs("--golden")
        ->check(CLI::PositiveNumber);
    app.add_option("--csv", to.csv, "Write the figures to this file");
    app.add_option("--plot", to.plot, "Draw the miss-ratio curve into this SVG file");
    app.add_option("--seed", to.seed, "Seed of the made-up workload")->capture_default_str();
    app.add_option("--threads", to.threads, "Replays at the same time")->capture_default_str();
    app.footer("Exit status: 0 done, 1 something failed, 2 wrong usage.");
}

// Shares of the distinct keys that show a curve's shape.
std::vector<std::uint64_t> default_entries(const lab::trace& trace) {
    std::vector<std::uint64_t> sizes;
    for (const double share : {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4}) {
        sizes.push_back(std::max<std::uint64_t>(
            1, static_cast<std::uint64_t>(static_cast<double>(trace.distinct()) * share)));
    }
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
}

lab::curve_options curve_for(const arguments& from, const lab::trace& trace) {
    lab::curve_options options;
    options.by_size = from.by_size();
    options.threads = from.threads;
    options.capacities = from.by_size()         ? from.bytes
                         : from.entries.empty() ? default_entries(trace)
                                                : from.entries;
    std::sort(options.capacities.begin(), options.capacities.end());
    options.policies = from.policies;
    if (options.policies.empty()) {
        for (const auto& info : lab::known_policies()) {
            if (info.by_size || !options.by_size) {
                options.policies.emplace_back(info.name);
            }
        }
    }
    return options;
}

std::string title_of(const arguments& from) {
    if (from.trace.empty()) {
        return "made-up workload, seed " + std::to_string(from.seed);
    }
    return from.trace == "-" ? "standard input" : from.trace.substr(from.trace.find_last_of('/') + 1);
}

std::string drawn(const std::vector<lab::curve_point>& points, const std::string& title, bool by_size) {
    std::vector<lab::plot_series> series;
    for (const auto& point : points) {
        auto found =
            std::find_if(series.begin(), series.end(), [&](auto& one) { return one.name == point.policy; });
        if (found == series.end()) {
            found = series.insert(series.end(), {point.policy, {}, point.policy == "levee"});
        }
        found->points.push_back({static_cast<double>(point.capacity), 100 * (1 - point.hit_ratio())});
    }
    return lab::render_svg(series, {.title = title,
                                    .x_label = by_size ? "cache size in bytes" : "cache size in entries",
                                    .y_label = "miss ratio in %",
                                    .x_in_bytes = by_size});
}

template <class Write>
void write_file(const std::string& path, Write&& write) {
    std::ofstream file(path);
    if (file) {
        write(file);
        file.close();
    }
    if (!file) {
        throw levee::error(std::make_error_code(std::errc::io_error), "cannot write '" + path + "'");
    }
}

void run(const arguments& from) {
    lab::trace trace =
        from.trace.empty() ? lab::make_synthetic_trace({.seed = from.seed}) : lab::read_trace(from.trace);
    if (from.fixed_sizes) {
        lab::fix_sizes(trace);
    }
    const std::string title = title_of(from);
    std::cout << title << ": " << lab::with_separators(trace.requests()) << " requests, "
              << lab::with_separators(trace.distinct()) << " keys. Hit ratio in %:\n"
              << std::flush;
    const auto points = lab::miss_ratio_curve(trace, curve_for(from, trace));
    lab::print_curve(std::cout, points, from.by_size());
    if (!from.csv.empty()) {
        write_file(from.csv, [&](std::ostream& out) { lab::write_csv(out, title, points, from.by_size()); });
    }
    if (!from.plot.empty()) {
        write_file(from.plot, [&](std::ostream& out) { out << drawn(points, title, from.by_size()); });
    }
    if (!std::cout.flush()) {
        throw levee::error(std::make_error_code(std::errc::io_error), "cannot write the table");
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        CLI::App app("Replays an access trace through replacement policies and prints their hit ratios.");
        arguments from;
        declare(app, from);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& problem) {
            return app.exit(problem) == 0 ? 0 : wrong_usage;
        }
        if (from.golden.empty()) {
            run(from);
        } else if (from.shared != 0) {
            lab::print_shared(std::cout, from.golden, from.shared);
        } else {
            lab::print_golden(std::cout, from.golden, from.threads);
        }
        return 0;
    } catch (const std::invalid_argument& problem) {
        std::cerr << "hit_ratio: " << problem.what() << '\n';
        return wrong_usage;
    } catch (const std::exception& problem) {
        std::cerr << "hit_ratio: " << problem.what() << '\n';
        return failed;
    }
}
