#include "levee/testing/balance_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

namespace levee::testing {
namespace {

template <class... Values>
void print(std::ostream& to, const char* format, Values... values) {
    std::array<char, 256> line{};
    const int length = std::snprintf(line.data(), line.size(), format, values...);
    to.write(line.data(), std::clamp(length, 0, static_cast<int>(line.size()) - 1));
}

double in_milliseconds(const histogram& latency, double percentile) {
    return static_cast<double>(latency.value_at_percentile(percentile).value_or(0)) * 1e-6;
}

// Three digits, whatever the size: 0.71, 4.82, 12.3, 82000.
std::string digits(double value) {
    std::array<char, 32> text{};
    const int places = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    std::snprintf(text.data(), text.size(), "%.*f", places, value);
    return text.data();
}

void print_percentiles(std::ostream& to, const histogram& latency) {
    for (const double percentile : {50.0, 99.0, 99.9, 100.0}) {
        print(to, " %8s", digits(in_milliseconds(latency, percentile)).c_str());
    }
}

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double balance_report::milliseconds_at(double percentile) const {
    return in_milliseconds(latency, percentile);
}

void print_table(std::ostream& to, std::span<const balance_row> rows) {
    std::size_t width = 8;
    for (const balance_row& row : rows) {
        width = std::max(width, row.name.size());
    }
    const auto column = static_cast<int>(width);
    print(to, "%-*s %8s %8s %8s %8s %9s %8s %8s\n", column, "", "p50 ms", "p99", "p99.9", "max", "failed %",
          "least %", "most %");
    for (const auto& [name, report] : rows) {
        print(to, "%-*s", column, name.c_str());
        print_percentiles(to, report->latency);
        double least = 1.0;
        double most = 0.0;
        for (const balance_report::server& each : report->servers) {
            least = std::min(least, each.share);
            most = std::max(most, each.share);
        }
        print(to, " %9.3f %8.2f %8.2f\n", percent(report->requests.failed(), report->requests.sent),
              100.0 * least, 100.0 * most);
    }
}

std::ostream& operator<<(std::ostream& to, const balance_report& report) {
    print(to, "%-8s %8s %8s %8s %8s %8s %10s %9s %7s %7s\n", "server", "share %", "p50 ms", "p99", "p99.9",
          "max", "requests", "failed", "busy %", "most");
    const auto rest = [&to](const request_counts& counts) {
        print(to, " %10llu %9llu", static_cast<unsigned long long>(counts.sent),
              static_cast<unsigned long long>(counts.failed()));
    };
    for (std::size_t i = 0; i < report.servers.size(); ++i) {
        const balance_report::server& each = report.servers[i];
        print(to, "%-8zu %8.2f", i, 100.0 * each.share);
        print_percentiles(to, each.latency);
        rest(each.requests);
        print(to, " %7.1f %7zu\n", 100.0 * each.busy, each.most);
    }
    print(to, "%-8s %8.2f", "all", 100.0);
    print_percentiles(to, report.latency);
    rest(report.requests);
    const request_counts& all = report.requests;
    print(to, "\nerrors %llu, overloaded %llu, timeouts %llu, refused %llu, unanswered %llu\n",
          static_cast<unsigned long long>(all.errors), static_cast<unsigned long long>(all.overloaded),
          static_cast<unsigned long long>(all.timeouts), static_cast<unsigned long long>(all.refused),
          static_cast<unsigned long long>(all.unanswered));
    return to;
}

}  // namespace levee::testing
