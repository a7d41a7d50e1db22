/// What the journals of a write-behind cache hold, as bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "levee/core/bytes.hpp"

namespace levee::cache_detail {

/// A record. The form, version 1, little-endian:
///
///     u8   version (1)
///     u8   kind
///     u16  0
///     write and letter:   u64 writer, u64 version of the value, u32 length of the key,
///                         u32 length of the value, key, value
///     letter, after that: u64 sequence, i64 code, u32 length of its category's name, the name,
///                         u32 length of the reason, the reason
///     about a letter:     u64 the letter's id
struct write_record {
    enum class kind : std::uint8_t {
        put = 0,
        erase = 1,
        letter_put = 2,
        letter_erase = 3,
        superseded = 4,
        gone = 5,       ///< It was not kept, and its write waits on.
        discarded = 6,  ///< And its write with it; or that was redriven as another.
    };

    kind what = kind::put;
    std::uint64_t writer = 0, version = 0;
    std::string key{};
    bytes value{};

    // Of a letter.
    std::uint64_t sequence = 0;
    std::int64_t code = 0;
    std::string category{}, reason{};

    // Of what is said about one.
    std::uint64_t id = 0;

    [[nodiscard]] bool is_about_letter() const noexcept {
        return what == kind::superseded || what == kind::gone || what == kind::discarded;
    }
    [[nodiscard]] bool is_letter() const noexcept {
        return what == kind::letter_put || what == kind::letter_erase;
    }
};

[[nodiscard]] bytes encode(const write_record& record);

/// Empty: not such a record.
[[nodiscard]] std::optional<write_record> decode_write_record(bytes_view from);

}  // namespace levee::cache_detail
