#include <chrono>
#include <limits>
#include <optional>
#include <string>

#include "levee/postgres/detail/decode.hpp"
#include "postgres/binary_reader.hpp"
#include "postgres/decode_refusals.hpp"
#include "postgres/time_text.hpp"

namespace levee::postgres::detail {

std::int64_t read_timestamp(const field& from, type_oid wanted) {
    if (from.type() != wanted) {
        refuse_type(from, wanted == type_oid::timestamptz ? "a system time" : "a local time");
    }
    using limits = std::numeric_limits<std::int64_t>;
    if (from.is_binary()) {
        binary_reader in(from.raw());
        const std::int64_t value = in.int64();
        if (!in.is_at_end()) {
            refuse_bytes(from);
        }
        if (value == (limits::max)() || value == (limits::min)()) {
            return value;
        }
        if (value > (limits::max)() - epoch_shift) {
            refuse_range(from, std::to_string(value) + " microseconds since 2000", "64 bits since 1970");
        }
        return value + epoch_shift;
    }
    if (from.raw() == "infinity" || from.raw() == "-infinity") {
        return from.raw().front() == '-' ? (limits::min)() : (limits::max)();
    }
    const std::optional<std::int64_t> value = parse_timestamp(from.raw(), wanted == type_oid::timestamptz);
    if (!value) {
        from.refuse("\"" + std::string(from.raw()) + "\" is no ISO time that fits: DateStyle must be ISO");
    }
    return *value;
}

std::chrono::year_month_day read_date(const field& from) {
    if (from.type() != type_oid::date) {
        refuse_type(from, "a date");
    }
    std::optional<std::chrono::sys_days> day;
    constexpr std::chrono::sys_days epoch = std::chrono::year(2000) / 1 / 1;
    if (from.is_binary()) {
        binary_reader in(from.raw());
        const std::int32_t since = in.int32();
        if (!in.is_at_end()) {
            refuse_bytes(from);
        }
        if (since != (std::numeric_limits<std::int32_t>::max)() &&
            since != (std::numeric_limits<std::int32_t>::min)()) {
            day = epoch + std::chrono::days(since);
        }
    } else {
        day = parse_date(from.raw());
    }
    constexpr std::chrono::sys_days first = std::chrono::year(-32767) / 1 / 1;
    constexpr std::chrono::sys_days last = std::chrono::year(32767) / 12 / 31;
    if (!day || *day < first || *day > last) {
        from.refuse("a date that is infinite, after the year 32767 or not in ISO style");
    }
    return *day;
}

std::int64_t read_interval(const field& from) {
    if (from.type() != type_oid::interval) {
        refuse_type(from, "a duration");
    }
    interval_parts parts;
    if (from.is_binary()) {
        binary_reader in(from.raw());
        parts.microseconds = in.int64();
        parts.days = in.int32();
        parts.months = in.int32();
        if (!in.is_at_end()) {
            refuse_bytes(from);
        }
    } else if (const std::optional<interval_parts> parsed = parse_interval(from.raw())) {
        parts = *parsed;
    } else {
        from.refuse("\"" + std::string(from.raw()) +
                    "\" is no interval that fits: IntervalStyle must be postgres");
    }
    if (parts.months != 0) {
        from.refuse("an interval with months, which have no fixed length, is asked for as a duration");
    }
    constexpr std::int64_t day = 86'400'000'000;
    std::int64_t total = 0;
    if (__builtin_mul_overflow(parts.days, day, &total) ||
        __builtin_add_overflow(total, parts.microseconds, &total)) {
        refuse_range(from, "the interval", "64 bits of microseconds");
    }
    return total;
}

}  // namespace levee::postgres::detail
