/// A codec for plain structs: their bytes as they lie in memory, behind a version.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/core/bytes.hpp"

namespace levee {

/// The base of a codec for a trivially copyable type:
///
///     struct position { double x, y; };
///     template <> struct levee::codec<position> : levee::raw_codec<position, 1> {};
///
/// Raise `Version`, a byte, whenever the members or their meaning change: bytes with another version or of
/// another size are foreign. For members that every bit pattern suits, such as numbers: not for pointers
/// and what contains them, which the compiler lets pass. Padding is stored as it is, so equal values may
/// become different bytes; where that matters, name it as members and set it to zero.
template <class T, std::uint8_t Version>
struct raw_codec {
    static_assert(std::is_trivially_copyable_v<T>, "levee: raw_codec copies bytes; T must allow that");
    static_assert(std::is_default_constructible_v<T>, "levee: raw_codec decodes into a default T");
    static_assert(!std::is_pointer_v<T>, "levee: an address means nothing to another process");
    static_assert(std::endian::native == std::endian::little,
                  "levee stores numbers as little-endian machines do");

    static void encode(const T& from, bytes& out) {
        const auto* const raw = reinterpret_cast<const std::byte*>(&from);
        out.reserve(out.size() + 1 + sizeof(T));
        out.push_back(std::byte{Version});
        out.insert(out.end(), raw, raw + sizeof(T));
    }
    static std::optional<T> decode(bytes_view from) {
        if (from.size() != 1 + sizeof(T) || from.front() != std::byte{Version}) {
            return std::nullopt;
        }
        std::optional<T> value(std::in_place);
        std::memcpy(static_cast<void*>(&*value), from.data() + 1, sizeof(T));
        return value;
    }
};

}  // namespace levee
