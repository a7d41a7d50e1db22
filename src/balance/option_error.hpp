/// The sentence with which a wrong option is refused.
#pragma once

#include "levee/core/clock.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>

namespace levee::balance_detail {

[[nodiscard]] inline std::string option_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

[[nodiscard]] inline std::string option_text(duration value) {
    return std::to_string(value.count()) + " ns";
}

[[noreturn]] inline void refuse_option(const std::string& field, const std::string& value,
                                       const char* range) {
    throw std::invalid_argument(field + " is " + value + "; it must be " + range);
}

}  // namespace levee::balance_detail
