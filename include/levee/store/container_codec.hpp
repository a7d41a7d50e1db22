/// Codecs for optionals, pairs, vectors and maps of what has a codec.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/store/codec.hpp"

namespace levee {
namespace store_detail {

/// A part's length, in LEB128 (DWARF 5, 7.6), which takes a byte for what is below 128.
void append_length(std::size_t length, bytes& out);

/// The next part, taken off the front of `rest`. Empty: it is cut short, or no length is there.
[[nodiscard]] std::optional<bytes_view> take_part(bytes_view& rest) noexcept;

template <class T>
void append_part(const T& from, bytes& out) {
    bytes part;
    codec<T>::encode(from, part);
    append_length(part.size(), out);
    out.insert(out.end(), part.begin(), part.end());
}

template <class T>
std::optional<T> decode_part(bytes_view& rest) {
    const auto part = take_part(rest);
    return part ? codec<T>::decode(*part) : std::nullopt;
}

/// Types that always take as many bytes, so that a vector needs no lengths.
template <class T>
concept of_fixed_length = (std::is_arithmetic_v<T> && !std::is_same_v<T, long double>) || std::is_enum_v<T>;

}  // namespace store_detail

/// A byte that says whether there is a value, and the value.
template <encodable T>
struct codec<std::optional<T>> {
    static void encode(const std::optional<T>& from, bytes& out) {
        out.push_back(std::byte{from.has_value()});
        if (from) {
            codec<T>::encode(*from, out);
        }
    }
    static std::optional<std::optional<T>> decode(bytes_view from) {
        std::optional<std::optional<T>> decoded;
        if (from.size() == 1 && from.front() == std::byte{0}) {
            decoded.emplace();
        } else if (!from.empty() && from.front() == std::byte{1}) {
            if (auto value = codec<T>::decode(from.subspan(1))) {
                decoded.emplace(std::move(value));
            }
        }
        return decoded;
    }
};

/// The first with its length, then the second.
template <encodable A, encodable B>
struct codec<std::pair<A, B>> {
    static void encode(const std::pair<A, B>& from, bytes& out) {
        store_detail::append_part(from.first, out);
        codec<B>::encode(from.second, out);
    }
    static std::optional<std::pair<A, B>> decode(bytes_view from) {
        auto first = store_detail::decode_part<A>(from);
        if (!first) {
            return std::nullopt;
        }
        auto second = codec<B>::decode(from);
        return second ? std::optional<std::pair<A, B>>(std::in_place, std::move(*first), std::move(*second))
                      : std::nullopt;
    }
};

/// Numbers and enumerations one behind the other; other elements with their lengths.
template <encodable T>
struct codec<std::vector<T>> {
    static void encode(const std::vector<T>& from, bytes& out) {
        for (const T& each : from) {
            if constexpr (store_detail::of_fixed_length<T>) {
                codec<T>::encode(each, out);
            } else {
                store_detail::append_part(each, out);
            }
        }
    }
    static std::optional<std::vector<T>> decode(bytes_view from) {
        std::vector<T> decoded;
        if constexpr (store_detail::of_fixed_length<T>) {
            if (from.size() % sizeof(T) != 0) {
                return std::nullopt;
            }
            decoded.reserve(from.size() / sizeof(T));
        }
        while (!from.empty()) {
            std::optional<T> each;
            if constexpr (store_detail::of_fixed_length<T>) {
                each = codec<T>::decode(from.first(sizeof(T)));
                from = from.subspan(sizeof(T));
            } else {
                each = store_detail::decode_part<T>(from);
            }
            if (!each) {
                return std::nullopt;
            }
            decoded.push_back(std::move(*each));
        }
        return decoded;
    }
};

/// Keys and values in the order of the keys, each with its length. Keys in another order are foreign.
template <encodable K, encodable V, class Less, class Allocator>
struct codec<std::map<K, V, Less, Allocator>> {
    using map = std::map<K, V, Less, Allocator>;

    static void encode(const map& from, bytes& out) {
        for (const auto& [key, value] : from) {
            store_detail::append_part(key, out);
            store_detail::append_part(value, out);
        }
    }
    static std::optional<map> decode(bytes_view from) {
        map decoded;
        while (!from.empty()) {
            auto key = store_detail::decode_part<K>(from);
            if (!key) {
                return std::nullopt;
            }
            auto value = store_detail::decode_part<V>(from);
            if (!value || (!decoded.empty() && !decoded.key_comp()(decoded.rbegin()->first, *key))) {
                return std::nullopt;
            }
            decoded.emplace_hint(decoded.end(), std::move(*key), std::move(*value));
        }
        return decoded;
    }
};

}  // namespace levee
