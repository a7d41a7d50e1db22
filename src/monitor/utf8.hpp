/// Names as text that any reader takes: operations may be called anything.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace levee::monitor_detail {

/// How many bytes the UTF-8 character at the beginning of `text` has; 0: there is none (RFC 3629: no
/// surrogates, nothing beyond U+10FFFF, no longer form than needed). `text` must not be empty.
[[nodiscard]] std::size_t character_at(std::string_view text) noexcept;

/// Calls `f(character)` for each character. In place of a byte that belongs to none: U+FFFD and its two
/// hexadecimal digits, so that different names stay different.
template <class F>
void for_each_character(std::string_view text, F&& f) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    while (!text.empty()) {
        const std::size_t size = character_at(text);
        if (size == 0) {
            const auto byte = static_cast<unsigned char>(text.front());
            f(std::string_view("\xEF\xBF\xBD"));
            f(digits.substr(byte >> 4U, 1));
            f(digits.substr(byte & 15U, 1));
        } else {
            f(text.substr(0, size));
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
}

}  // namespace levee::monitor_detail
