#include "replay/live_table.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "replay/text.hpp"

namespace replay {
namespace {

constexpr std::size_t name_width = 14, figure_width = 11;
constexpr std::string_view heading = "µs, last 10 s ";  // as wide as name_width: one letter has two bytes

std::string at_the_right(std::string_view text) {
    return std::string(figure_width - std::min(figure_width, text.size()), ' ').append(text);
}

std::string line_of(std::string_view name, std::string_view p50, std::string_view p99,
                    std::string_view rate) {
    return "  " + padded(name, name_width) + at_the_right(p50) + at_the_right(p99) + at_the_right(rate);
}

}  // namespace

std::vector<std::string> live_table(const std::vector<live_row>& rows, levee::duration elapsed) {
    std::vector<std::string> lines;
    for (const live_row& row : rows) {
        const std::uint64_t calls = row.calls.count + row.calls.failures;
        if (calls == 0) {
            continue;
        }
        if (lines.empty()) {
            lines.push_back(line_of(heading, "p50", "p99", "a second"));
        }
        const double rate = per_second(calls, std::min(row.calls.span, elapsed));
        lines.push_back(line_of(row.name, as_microseconds(row.calls.p50), as_microseconds(row.calls.p99),
                                as_count(static_cast<std::uint64_t>(std::llround(rate)))));
    }
    return lines;
}

}  // namespace replay
