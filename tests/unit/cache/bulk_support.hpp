/// How tests of many keys at once write down what was got.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace levee::tests {

using strings = std::vector<std::string>;
using values = std::vector<std::optional<std::string>>;

/// What was got, as text: "a1 - b1", where - is nothing.
inline std::string text_of(const values& all) {
    std::string text;
    for (const auto& each : all) {
        text += (text.empty() ? "" : " ") + each.value_or("-");
    }
    return text;
}

inline std::string text_of(const strings& all) {
    std::string text;
    for (const auto& each : all) {
        text += (text.empty() ? "" : " ") + each;
    }
    return text;
}

}  // namespace levee::tests
