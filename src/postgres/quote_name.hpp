/// Identifiers in SQL.
#pragma once

#include <string>
#include <string_view>

namespace levee::postgres::detail {

/// `"name"`, with quotes in it doubled. Any characters but NUL, which no identifier has.
[[nodiscard]] inline std::string quote_name(std::string_view name) {
    std::string quoted = "\"";
    for (const char each : name) {
        quoted.append(each == '"' ? 2 : 1, each);
    }
    return quoted += '"';
}

}  // namespace levee::postgres::detail
