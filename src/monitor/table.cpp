#include "levee/monitor/percentile_monitor.hpp"
#include "monitor/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

namespace levee {
namespace {

constexpr std::size_t columns = 9;
constexpr std::size_t widest_name = 26;

// Three digits and a unit, at most 7 characters: "129 ns", "4.12 ms", "3.02 s", and years for what is wrong.
std::string as_short(std::optional<duration> time) {
    if (!time) {
        return "-";
    }
    struct unit {
        const char* name;
        double of_the_one_before;
    };
    constexpr std::array<unit, 6> units{
        {{"ns", 1.0}, {"us", 1000.0}, {"ms", 1000.0}, {"s", 1000.0}, {"h", 3600.0}, {"y", 8766.0}}};
    auto value = static_cast<double>(time->count());
    std::size_t at = 0;
    while (value >= 999.5 && at + 1 < units.size()) {
        ++at;
        value /= units[at].of_the_one_before;
    }
    std::array<char, 32> text{};
    const int digits = at == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    std::snprintf(text.data(), text.size(), "%.*f %s", digits, value, units[at].name);
    return text.data();
}

// "812", "1.29 k", "4.1 M".
std::string as_short(double number) {
    constexpr std::array<const char*, 5> units{"", " k", " M", " G", " T"};
    std::size_t unit = 0;
    while (number >= 999.5 && unit + 1 < units.size()) {
        number /= 1000.0;
        ++unit;
    }
    std::array<char, 32> text{};
    const int digits =
        number >= 99.95 || (unit == 0 && number == static_cast<double>(static_cast<int>(number))) ? 0
        : number >= 9.995                                                                         ? 1
                                                                                                  : 2;
    std::snprintf(text.data(), text.size(), "%.*f%s", digits, number, units[unit]);
    return text.data();
}

std::string as_percent(std::optional<double> part) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2f %%", part.value_or(0.0) * 100.0);
    return text.data();
}

// One line, no control characters, no wider than the column; a name that is cut ends in "...".
std::string as_cell(std::string_view name) {
    std::string cell;
    std::size_t width = 0;
    std::size_t end_if_cut = 0;
    bool is_cut = false;
    monitor_detail::for_each_character(name, [&](std::string_view character) {
        if (is_cut || width == widest_name) {
            is_cut = true;
            return;
        }
        const auto byte = static_cast<unsigned char>(character.front());
        const bool is_c1 = byte == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
        cell += byte < 0x20 || byte == 0x7F || is_c1 ? "?" : character;
        if (++width == widest_name - 3) {
            end_if_cut = cell.size();
        }
    });
    return is_cut ? cell.substr(0, end_if_cut) + "..." : cell;
}

std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    monitor_detail::for_each_character(text, [&width](std::string_view) { ++width; });
    return width;
}

using row = std::array<std::string, columns>;

row row_of(std::string_view name, const call_stats& calls) {
    return {as_cell(name),
            as_short(static_cast<double>(calls.count + calls.failures)),
            as_short(calls.rate().value_or(0.0)),
            as_percent(calls.error_rate()),
            as_short(calls.p50),
            as_short(calls.p95),
            as_short(calls.p99),
            as_short(calls.p999),
            as_short(calls.max)};
}

}  // namespace

void percentile_monitor::table(std::ostream& to, window of) const {
    to.width(0);
    std::vector<row> rows{{"operation", "calls", "a second", "failed", "p50", "p95", "p99", "p99.9", "max"}};
    for (const auto& [name, stats] : all_stats()) {
        const call_stats& calls = of == window::last_10s      ? stats.last_10s
                                  : of == window::last_minute ? stats.last_minute
                                                              : stats;
        if (calls.count + calls.failures > 0) {
            rows.push_back(row_of(name, calls));
        }
    }
    std::array<std::size_t, columns> widths{};
    for (const row& cells : rows) {
        for (std::size_t i = 0; i < columns; ++i) {
            widths[i] = std::max(widths[i], width_of(cells[i]));
        }
    }
    for (const row& cells : rows) {
        to << cells[0] << std::string(widths[0] - width_of(cells[0]), ' ');
        for (std::size_t i = 1; i < columns; ++i) {
            to << "  " << std::string(widths[i] - width_of(cells[i]), ' ') << cells[i];
        }
        to << '\n';
    }
}

}  // namespace levee
