/// Times as the server prints them, in the styles ISO and postgres.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace levee::postgres::detail {

/// "2024-02-29", "0044-03-15 BC", "12345-01-01". Empty: anything else.
[[nodiscard]] std::optional<std::chrono::sys_days> parse_date(std::string_view text);

/// "2024-02-29 12:34:56.789+05:30", with a zone exactly if `has_zone`; microseconds since 1970, in UTC then.
[[nodiscard]] std::optional<std::int64_t> parse_timestamp(std::string_view text, bool has_zone);

struct interval_parts {
    std::int64_t microseconds = 0;
    std::int64_t days = 0;
    std::int64_t months = 0;
};

/// "1 year 2 mons -3 days +04:05:06.789".
[[nodiscard]] std::optional<interval_parts> parse_interval(std::string_view text);

/// The reverse; a zone is +00.
[[nodiscard]] std::string print_date(std::chrono::sys_days date);
[[nodiscard]] std::string print_timestamp(std::int64_t microseconds, bool has_zone);

}  // namespace levee::postgres::detail
