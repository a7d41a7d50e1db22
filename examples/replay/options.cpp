#include "replay/options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <ostream>

namespace replay {
namespace {

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 60;
constexpr std::uint64_t most_requests = 100'000'000;

constexpr const char* about =
    "What would a cache do for this workload?\n\n"
    "Replays an access trace against a SQLite database in a temporary folder: first without a cache,\n"
    "then through levee's read-through cache, once for each size. Without --trace it makes up a small\n"
    "skewed workload whose favourites drift.";

constexpr const char* footer =
    "A trace has one key a line, and optionally ',size' in bytes; plain or gzip. Without sizes of\n"
    "the cache: 1, 2, 5, 10 and 20 % of the keys, or of their bytes when the trace has sizes.\n\n"
    "The report goes to standard output, progress to standard error. NO_COLOR is respected.\n"
    "--metrics-file is replaced each second and at the end, always by a whole page; a name that ends in\n"
    "'.prom' suits the text-file collector of Prometheus' node exporter.\n"
    "Exit status: 0 done; 1 something failed; 2 wrong usage; 130 interrupted (the report covers what\n"
    "was measured until then), or 128 + another signal; 141 nobody reads the output any more.";

// CLI11 turns "-3" into a very large number.
const CLI::Validator no_negative(
    [](std::string& text) { return text.find('-') == std::string::npos ? "" : text + " is negative"; }, "");

void rising(std::vector<std::uint64_t>& sizes) {
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
}

// Found now rather than after minutes of replaying.
void check_output(const std::string& option, const std::string& path, const std::string& what) {
    const std::filesystem::path file(path);
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored)) {
        throw wrong_usage(option + ": '" + path + "' is a folder; give the name of " + what);
    }
    if (!std::filesystem::is_directory(folder, ignored)) {
        throw wrong_usage(option + ": there is no folder '" + folder.string() + "'");
    }
    if (::access((std::filesystem::exists(file, ignored) ? file : folder).c_str(), W_OK) != 0) {
        throw wrong_usage(option + ": '" + path + "' cannot be written");
    }
}

// The file is replaced by others that are written beside it.
void check_metrics(const std::string& path) {
    const std::string option = "--metrics-file";
    check_output(option, path, "a file");
    const std::filesystem::path file(path);
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    std::error_code ignored;
    if (const auto kind = std::filesystem::symlink_status(file, ignored).type();
        kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular) {
        throw wrong_usage(option + ": '" + path + "' is no plain file, and would be replaced by one");
    }
    if (::access(folder.c_str(), W_OK) != 0) {
        throw wrong_usage(option + ": nothing can be written into the folder '" + folder.string() + "'");
    }
}

void check(options& given) {
    rising(given.entries);
    rising(given.bytes);
    if (!given.entries.empty() && given.entries.front() == 0) {
        throw wrong_usage("--entries: a cache of 0 entries holds nothing; the smallest is 1");
    }
    if (!given.bytes.empty() && given.bytes.front() == 0) {
        throw wrong_usage("--bytes: a cache of 0 bytes holds nothing; the smallest is 1");
    }
    if (!given.bytes.empty() && given.bytes.back() > most_bytes) {
        throw wrong_usage("--bytes: more than 1 EiB is not a size that can be meant");
    }
    if (!given.plot.empty()) {
        check_output("--plot", given.plot, "an SVG file");
    }
    if (!given.metrics_file.empty()) {
        check_metrics(given.metrics_file);
    }
}

// The largest number of the form 1, 1.5, 2, 2.5 ... 9.5 × 10^n that is not above `number`: round sizes read
// better.
std::uint64_t rounded(double number) {
    if (number < 10) {
        return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(number));
    }
    const double step = std::pow(10.0, std::floor(std::log10(number))) / 2;
    return static_cast<std::uint64_t>(std::floor(number / step) * step);
}

// The same for bytes: a power of two, or one and a half of it.
std::uint64_t rounded_bytes(double number) {
    const double power = std::exp2(std::floor(std::log2(std::max(number, 1.0))));
    return static_cast<std::uint64_t>(number >= 1.5 * power && power > 1 ? 1.5 * power : power);
}

std::uint64_t bytes_of_all_keys(const levee::lab::trace& trace) {
    std::vector<bool> seen(trace.distinct());
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < trace.requests(); ++i) {
        if (!seen[trace.keys[i]]) {
            seen[trace.keys[i]] = true;
            total += std::max<std::uint64_t>(1, trace.sizes[i]);
        }
    }
    return total;
}

}  // namespace

std::optional<options> parse_options(int argc, const char* const* argv, std::ostream& out) {
    options given;
    CLI::App app(about, "replay");
    app.footer(footer);
    app.add_option("--trace", given.trace, "The trace; '-' is standard input")->type_name("FILE");
    auto* entries = app.add_option("--entries", given.entries, "Cache sizes in entries, as 1000,8192")
                        ->delimiter(',')
                        ->check(no_negative)
                        ->type_name("N,...");
    app.add_option("--bytes", given.bytes,
                   "Cache sizes in bytes, as 64MiB,1GiB; entries weigh what the trace says")
        ->delimiter(',')
        ->check(no_negative)
        ->transform(CLI::AsSizeValue(false).description(""))
        ->type_name("SIZE,...")
        ->excludes(entries);
    app.add_option("--threads", given.threads, "Threads that send requests")
        ->check(CLI::Range(1U, 256U).description(""))
        ->check(no_negative)
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--baseline-requests", given.baseline_requests,
                   "Requests replayed without a cache, at most; 0: none")
        ->check(no_negative)
        ->type_name("N")
        ->capture_default_str();
    app.add_flag("--compare", given.compare, "Also tell what other policies would hit, and an optimal one");
    app.add_option("--plot", given.plot, "Draw the miss-ratio curve into this SVG file")->type_name("FILE");
    app.add_option("--metrics-file", given.metrics_file, "Keep the latencies in this file, for Prometheus")
        ->type_name("FILE");
    app.add_option("--requests", given.requests, "Length of the made-up workload")
        ->check(no_negative)
        ->check(CLI::Range(std::uint64_t{1}, most_requests).description(""))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--seed", given.seed, "Seed of the made-up workload")
        ->check(no_negative)
        ->type_name("N")
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        out << app.help();
        return std::nullopt;
    } catch (const CLI::ParseError& problem) {
        throw wrong_usage(problem.what());
    }
    check(given);
    return given;
}

plan plan_for(const options& from, const levee::lab::trace& trace) {
    if (!from.bytes.empty() && !trace.has_sizes()) {
        throw wrong_usage("--bytes: " + name_of(from) +
                          " has no sizes (a second column, ',size'); use --entries");
    }
    plan result;
    result.by_size = !from.bytes.empty() || (from.entries.empty() && trace.has_sizes());
    result.whole = result.by_size ? bytes_of_all_keys(trace) : trace.distinct();
    result.capacities = result.by_size ? from.bytes : from.entries;
    if (result.capacities.empty()) {
        for (const double share : {0.01, 0.02, 0.05, 0.1, 0.2}) {
            const double size = static_cast<double>(result.whole) * share;
            result.capacities.push_back(result.by_size ? rounded_bytes(size) : rounded(size));
        }
        rising(result.capacities);
    }
    return result;
}

std::string name_of(const options& from) {
    if (from.trace.empty()) {
        return "made-up workload, seed " + std::to_string(from.seed);
    }
    return from.trace == "-" ? "standard input" : std::filesystem::path(from.trace).filename().string();
}

}  // namespace replay
