/// Comments in SQL.
#pragma once

#include <cstddef>
#include <string_view>

namespace levee::postgres::detail {

/// Where the comment that begins at `at` ends; `at` if none begins there. Those between /* and */ nest in
/// SQL; one behind -- ends with its line, and both ends of a line count.
[[nodiscard]] inline std::size_t end_of_comment(std::string_view sql, std::size_t at) noexcept {
    if (sql.substr(at, 2) == "--") {
        const std::size_t line = sql.find_first_of("\n\r", at);
        return line == std::string_view::npos ? sql.size() : line + 1;
    }
    if (sql.substr(at, 2) != "/*") {
        return at;
    }
    for (std::size_t depth = 0; at < sql.size();) {
        const std::string_view two = sql.substr(at, 2);
        if (two == "/*") {
            ++depth;
            at += 2;
        } else if (two == "*/") {
            at += 2;
            if (--depth == 0) {
                return at;
            }
        } else {
            ++at;
        }
    }
    return sql.size();
}

}  // namespace levee::postgres::detail
