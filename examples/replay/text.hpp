/// Numbers as people read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "levee/core/clock.hpp"

namespace replay {

/// "1,234,567".
[[nodiscard]] std::string as_count(std::uint64_t number);

/// Three digits or so, in the unit that fits: "812 B", "1.46 KiB", "24.1 MiB".
[[nodiscard]] std::string as_bytes(std::uint64_t bytes);

/// Whole units where the number is a multiple of one, as people give sizes: "128 MiB"; else `as_bytes`.
[[nodiscard]] std::string as_capacity(std::uint64_t bytes);

/// A part of a whole with two decimals: "58.86 %"; "0.00 %" of nothing.
[[nodiscard]] std::string as_percent(std::uint64_t part, std::uint64_t whole);

/// Microseconds with three digits or so, without the unit: "0.41", "31.2", "1,023"; "-" for no value.
[[nodiscard]] std::string as_microseconds(std::optional<levee::duration> time);

/// For people who wait: "0.4 s", "12 s", "3 min 20 s", "1 h 5 min". Negative is 0.
[[nodiscard]] std::string as_span(levee::duration time);

/// `count` per second, or 0 when no time has passed.
[[nodiscard]] double per_second(std::uint64_t count, levee::duration time);

/// `part` of `whole`, in [0, 1] when it is a part; 0 of nothing is 0.
[[nodiscard]] double ratio(std::uint64_t part, std::uint64_t whole);

/// The text in `width` places, at the left; a longer one is left as it is.
[[nodiscard]] std::string padded(std::string_view text, std::size_t width);

/// "1 entry", "1,000 entries".
[[nodiscard]] std::string as_entries(std::uint64_t number);

/// "1 key", "2 keys", "1,000 keys".
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view noun);

}  // namespace replay
