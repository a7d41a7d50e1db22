#include "replay/text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "hit_ratio/report.hpp"

namespace replay {
namespace {

constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};

std::string with_decimals(double number, int decimals) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
    return text.data();
}

// The limits are those at which rounding would add a digit.
std::string three_digits(double number) {
    if (number < 9.995) {
        return with_decimals(number, 2);
    }
    if (number < 99.95) {
        return with_decimals(number, 1);
    }
    return as_count(static_cast<std::uint64_t>(std::llround(number)));
}

}  // namespace

std::string as_count(std::uint64_t number) {
    return levee::lab::with_separators(number);
}

std::string as_bytes(std::uint64_t bytes) {
    if (bytes < 1024) {
        return std::to_string(bytes) + " B";
    }
    auto number = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (number >= 1023.5 && unit + 1 < units.size()) {
        number /= 1024;
        ++unit;
    }
    return three_digits(number) + ' ' + units.at(unit);
}

std::string as_capacity(std::uint64_t bytes) {
    std::size_t unit = 0;
    std::uint64_t number = bytes;
    while (number != 0 && number % 1024 == 0 && unit + 1 < units.size()) {
        number /= 1024;
        ++unit;
    }
    return number < 1024 * 10 ? as_count(number) + ' ' + units.at(unit) : as_bytes(bytes);
}

std::string as_percent(std::uint64_t part, std::uint64_t whole) {
    return levee::lab::as_percent(part, whole) + " %";
}

std::string as_microseconds(std::optional<levee::duration> time) {
    return time ? three_digits(std::chrono::duration<double, std::micro>(*time).count()) : "-";
}

std::string as_span(levee::duration time) {
    const double seconds = std::max(0.0, std::chrono::duration<double>(time).count());
    if (seconds < 9.95) {
        return with_decimals(seconds, 1) + " s";
    }
    const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
    if (whole < 60) {
        return std::to_string(whole) + " s";
    }
    if (whole < 3600) {
        return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
    }
    return as_count(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

double per_second(std::uint64_t count, levee::duration time) {
    const double seconds = std::chrono::duration<double>(time).count();
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

double ratio(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string padded(std::string_view text, std::size_t width) {
    std::string result(text);
    result.resize(std::max(width, text.size()), ' ');
    return result;
}

std::string as_entries(std::uint64_t number) {
    return number == 1 ? "1 entry" : as_count(number) + " entries";
}

std::string counted(std::uint64_t number, std::string_view noun) {
    return as_count(number) + ' ' + std::string(noun) + (number == 1 ? "" : "s");
}

}  // namespace replay
