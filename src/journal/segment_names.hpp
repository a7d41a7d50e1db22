/// The names of a journal's files: see levee/journal/journal_format.hpp.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace levee::journal_detail {

inline constexpr std::string_view segment_suffix = ".journal";
inline constexpr std::string_view repair_suffix = ".repair";
inline constexpr std::string_view corrupt_suffix = ".corrupt";

[[nodiscard]] inline std::string segment_name(std::uint64_t number,
                                              std::string_view suffix = segment_suffix) {
    std::string name(16, '0');
    for (std::size_t i = 16; number != 0; number >>= 4U) {
        name[--i] = "0123456789abcdef"[number & 15U];
    }
    return name.append(suffix);
}

struct parsed_name {
    std::uint64_t number = 0;  // 0: not one of ours
    std::string_view suffix{};
};

[[nodiscard]] inline parsed_name parse_segment_name(std::string_view name) noexcept {
    parsed_name parsed;
    if (name.size() > 16) {
        const char* const begin = &name.front();
        const auto end = std::from_chars(begin, begin + 16, parsed.number, 16).ptr;
        parsed.suffix = name.substr(16);
        if (end != begin + 16) {
            parsed.number = 0;
        }
    }
    return parsed;
}

}  // namespace levee::journal_detail
