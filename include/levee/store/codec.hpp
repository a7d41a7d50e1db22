/// Codecs: how values become bytes in a store, and what bytes are accepted back.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

#include "levee/core/bytes.hpp"

namespace levee {

/// How a T is stored. Specialise it for your type:
///
///     template <> struct levee::codec<product> {
///         static void encode(const product& from, levee::bytes& out);           // appends to out
///         static std::optional<product> decode(levee::bytes_view from);         // empty: not a product
///     };
///
/// `decode` meets bytes that something else wrote, an older version or half a value: it answers empty for
/// them, which a cache counts and treats as a miss. It must not throw for bad bytes, nor trust lengths.
template <class T>
struct codec;

/// Strings are stored as they are: every byte sequence is one.
template <>
struct codec<std::string> {
    static void encode(const std::string& from, bytes& out) {
        const bytes_view raw = as_bytes(from);
        out.insert(out.end(), raw.begin(), raw.end());
    }
    static std::optional<std::string> decode(bytes_view from) { return std::string(as_text(from)); }
};

/// Bytes are stored as they are.
template <>
struct codec<bytes> {
    static void encode(const bytes& from, bytes& out) { out.insert(out.end(), from.begin(), from.end()); }
    static std::optional<bytes> decode(bytes_view from) { return bytes(from.begin(), from.end()); }
};

/// Numbers, bools, characters and enumerations: little-endian, at their own width; another length is foreign.
/// Not long double: its padding would make equal values different bytes.
template <class T>
    requires((std::is_arithmetic_v<T> && !std::is_same_v<T, long double>) || std::is_enum_v<T>)
struct codec<T> {
    static_assert(std::endian::native == std::endian::little,
                  "levee stores numbers as little-endian machines do");

    static void encode(const T& from, bytes& out) {
        const auto* raw = reinterpret_cast<const std::byte*>(&from);
        out.insert(out.end(), raw, raw + sizeof(T));
    }
    static std::optional<T> decode(bytes_view from) {
        if (from.size() != sizeof(T)) {
            return std::nullopt;
        }
        if constexpr (std::is_same_v<T, bool>) {  // any other bit pattern in a bool is undefined behaviour
            const auto raw = std::to_integer<unsigned>(from[0]);
            return raw > 1 ? std::nullopt : std::optional<bool>(raw == 1);
        } else {
            T value;
            std::memcpy(&value, from.data(), sizeof(T));
            return value;
        }
    }
};

/// A type that has a codec.
template <class T>
concept encodable = requires(const T& value, bytes& out, bytes_view in) {
    codec<T>::encode(value, out);
    { codec<T>::decode(in) } -> std::same_as<std::optional<T>>;
};

}  // namespace levee
