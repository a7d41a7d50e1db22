/// Numbers as programs read them: with a point, whatever the locale.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <string>

namespace levee::monitor_detail {

/// The shortest text that reads as the same number.
template <class Number>
    requires std::integral<Number> || std::floating_point<Number>
[[nodiscard]] std::string as_text(Number number) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    return {text.data(), end};
}

/// As `as_text`, without an exponent, as Prometheus writes the bounds of buckets.
[[nodiscard]] inline std::string as_fixed_text(double number) {
    std::array<char, 512> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed).ptr;
    return {text.data(), end};
}

}  // namespace levee::monitor_detail
