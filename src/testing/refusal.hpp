/// The sentence with which a wrong argument is refused.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

#include "levee/core/clock.hpp"

namespace levee::testing_detail {

[[nodiscard]] inline std::string text(double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", value);
    return digits;
}

[[nodiscard]] inline std::string text(duration value) {
    return std::to_string(value.count()) + " ns";
}

/// Throws std::invalid_argument: "<what> is <value>; it must be <range>".
[[noreturn]] inline void refuse(const std::string& what, const std::string& value, const char* range) {
    throw std::invalid_argument(what + " is " + value + "; it must be " + range);
}

}  // namespace levee::testing_detail
