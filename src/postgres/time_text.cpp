#include "postgres/time_text.hpp"

#include <charconv>
#include <cstdio>
#include <limits>
#include <system_error>

namespace levee::postgres::detail {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t day = 86'400 * second;
constexpr std::int64_t last_year = 294'276;  // the server's

/// What is left of a text that is read from its front; each function is false, or empty, if it is not there.
class scanner {
public:
    explicit scanner(std::string_view text) noexcept : left_(text) {}

    bool skip(std::string_view what) noexcept {
        if (!left_.starts_with(what)) {
            return false;
        }
        left_.remove_prefix(what.size());
        return true;
    }

    /// Digits only, `least` at least.
    std::optional<std::int64_t> digits(std::size_t least) noexcept {
        const std::size_t size = std::min(left_.find_first_not_of("0123456789"), left_.size());
        std::int64_t value = 0;
        if (size < least || std::from_chars(left_.data(), left_.data() + size, value).ec != std::errc()) {
            return std::nullopt;
        }
        left_.remove_prefix(size);
        return value;
    }

    /// The digits after a decimal point, as microseconds; none: 0.
    std::optional<std::int64_t> fraction() noexcept {
        if (!skip(".")) {
            return 0;
        }
        const std::size_t before = left_.size();
        std::optional<std::int64_t> value = digits(1);
        std::size_t size = before - left_.size();
        if (!value || size > 6) {
            return std::nullopt;
        }
        for (; size < 6; ++size) {
            *value *= 10;
        }
        return value;
    }

    [[nodiscard]] bool is_at_end() const noexcept { return left_.empty(); }
    [[nodiscard]] std::string_view left() const noexcept { return left_; }

private:
    std::string_view left_;
};

struct calendar_date {
    std::int64_t year = 0;
    unsigned month = 0, day = 0;
};

std::optional<calendar_date> scan_date(scanner& in) {
    const auto year = in.digits(4);
    if (!year || *year > last_year || !in.skip("-")) {
        return std::nullopt;
    }
    const auto month = in.digits(2);
    if (!month || !in.skip("-")) {
        return std::nullopt;
    }
    const auto number = in.digits(2);
    if (!number || *month < 1 || *month > 12 || *number < 1 || *number > 31) {
        return std::nullopt;
    }
    return calendar_date{*year, static_cast<unsigned>(*month), static_cast<unsigned>(*number)};
}

/// Days since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms": std::chrono::year ends at
/// 32767).
std::int64_t days_of(const calendar_date& date) noexcept {
    const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t of_era = year - era * 400;
    const std::int64_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

calendar_date date_of(std::int64_t days) noexcept {
    days += 719'468;
    const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
    const std::int64_t of_era = days - era * 146'097;
    const std::int64_t years = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    const std::int64_t shifted = (5 * of_year + 2) / 153;
    const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
    const std::int64_t year = years + era * 400 + (month <= 2 ? 1 : 0);
    return {year, month, static_cast<unsigned>(of_year - (153 * shifted + 2) / 5 + 1)};
}

/// The end of a date or time: nothing, or " BC", which counts years downwards from 1.
std::optional<std::int64_t> finish_days(scanner& in, calendar_date date) {
    if (in.skip(" BC")) {
        date.year = 1 - date.year;
    }
    return in.is_at_end() ? std::optional<std::int64_t>(days_of(date)) : std::nullopt;
}

/// HH:MM:SS[.f]; hours may have more digits.
std::optional<std::int64_t> scan_time(scanner& in) {
    const auto hours = in.digits(2);
    if (!hours || *hours > (std::numeric_limits<std::int64_t>::max)() / (3'600 * second) || !in.skip(":")) {
        return std::nullopt;
    }
    const auto minutes = in.digits(2);
    if (!minutes || *minutes > 59 || !in.skip(":")) {
        return std::nullopt;
    }
    const auto seconds = in.digits(2);
    const auto fraction = in.fraction();
    if (!seconds || *seconds > 60 || !fraction) {
        return std::nullopt;
    }
    const std::int64_t below = (*minutes * 60 + *seconds) * second + *fraction;
    std::int64_t total = 0;
    return __builtin_add_overflow(*hours * 3'600 * second, below, &total) ? std::nullopt
                                                                          : std::optional(total);
}

/// +HH[:MM[:SS]]: what is to be taken off, in microseconds.
std::optional<std::int64_t> scan_zone(scanner& in) {
    const bool is_west = in.skip("-");
    if (!is_west && !in.skip("+")) {
        return std::nullopt;
    }
    std::int64_t total = 0;
    for (const std::int64_t unit : {std::int64_t{3600}, std::int64_t{60}, std::int64_t{1}}) {
        const auto part = in.digits(2);
        if (!part || *part > 99) {
            return std::nullopt;
        }
        total += *part * unit;
        if (!in.skip(":")) {
            break;
        }
    }
    return (is_west ? -total : total) * second;
}

std::string print(const calendar_date& date) {
    const bool is_before = date.year <= 0;
    char text[48];
    const int size =
        std::snprintf(text, sizeof text, "%04lld-%02u-%02u",
                      static_cast<long long>(is_before ? 1 - date.year : date.year), date.month, date.day);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace

std::optional<std::chrono::sys_days> parse_date(std::string_view text) {
    scanner in(text);
    const auto date = scan_date(in);
    const auto days = date ? finish_days(in, *date) : std::nullopt;
    return days ? std::optional(std::chrono::sys_days(std::chrono::days(*days))) : std::nullopt;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text, bool has_zone) {
    scanner in(text);
    const auto date = scan_date(in);
    if (!date || !in.skip(" ")) {
        return std::nullopt;
    }
    const auto time = scan_time(in);
    const auto zone = has_zone ? scan_zone(in) : std::optional<std::int64_t>(0);
    if (!time || !zone) {
        return std::nullopt;
    }
    const auto days = finish_days(in, *date);
    std::int64_t total = 0;
    if (!days || __builtin_mul_overflow(*days, day, &total) ||
        __builtin_add_overflow(total, *time - *zone, &total)) {
        return std::nullopt;
    }
    return total;
}

std::optional<interval_parts> parse_interval(std::string_view text) {
    interval_parts parts;
    scanner in(text);
    while (!in.is_at_end()) {
        const bool is_negative = in.skip("-");
        if (!is_negative) {
            in.skip("+");
        }
        const std::int64_t sign = is_negative ? -1 : 1;
        if (const std::size_t end = in.left().find_first_not_of("0123456789");
            end != std::string_view::npos && in.left()[end] == ':') {
            const auto time = scan_time(in);
            if (!time || !in.is_at_end()) {
                return std::nullopt;
            }
            parts.microseconds = sign * *time;
            return parts;
        }
        const auto count = in.digits(1);
        if (!count || *count > (std::numeric_limits<std::int32_t>::max)() || !in.skip(" ")) {
            return std::nullopt;
        }
        if (in.skip("years") || in.skip("year")) {
            parts.months += sign * *count * 12;
        } else if (in.skip("mons") || in.skip("mon")) {
            parts.months += sign * *count;
        } else if (in.skip("days") || in.skip("day")) {
            parts.days += sign * *count;
        } else {
            return std::nullopt;
        }
        if (!in.is_at_end() && !in.skip(" ")) {
            return std::nullopt;
        }
    }
    return text.empty() ? std::nullopt : std::optional(parts);
}

std::string print_date(std::chrono::sys_days date) {
    const calendar_date parts = date_of(date.time_since_epoch().count());
    return print(parts) + (parts.year <= 0 ? " BC" : "");
}

std::string print_timestamp(std::int64_t microseconds, bool has_zone) {
    using limits = std::numeric_limits<std::int64_t>;
    if (microseconds == (limits::max)() || microseconds == (limits::min)()) {
        return microseconds > 0 ? "infinity" : "-infinity";
    }
    const std::int64_t days = (microseconds >= 0 ? microseconds : microseconds - (day - 1)) / day;
    const std::int64_t rest = microseconds - days * day;
    const calendar_date parts = date_of(days);
    const auto number = [](std::int64_t value) { return static_cast<int>(value); };
    char text[48];
    int size = std::snprintf(text, sizeof text, " %02d:%02d:%02d", number(rest / (3600 * second)),
                             number(rest / (60 * second) % 60), number(rest / second % 60));
    std::string all = print(parts) + std::string(text, static_cast<std::size_t>(size));
    if (rest % second != 0) {
        size = std::snprintf(text, sizeof text, ".%06d", number(rest % second));
        all.append(text, static_cast<std::size_t>(size));
        all.erase(all.find_last_not_of('0') + 1);
    }
    return all + (has_zone ? "+00" : "") + (parts.year <= 0 ? " BC" : "");
}

}  // namespace levee::postgres::detail
