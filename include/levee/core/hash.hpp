/// Hashing: a finalised 64-bit hash for every key type, since tables here use high and low bits alike.
///
/// `std::hash` of an integer is the integer in libstdc++; sequential keys then crowd one shard, one ring
/// arc, one probe sequence. Everything in levee that hashes a key goes through `finalised_hash`.
///
/// Values are for use inside one process: they may change between versions and with the byte order.
/// They are not seeded by default: an enemy who chooses the keys can make them collide.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace levee {

/// A bijection of 64 bits in which every input bit moves every output bit: the finaliser of SplitMix64
/// (Steele, Lea, Flood 2014; constants: Stafford's variant 13). Zero is mapped to zero.
[[nodiscard]] constexpr std::uint64_t hash_mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/// Hashes `size` bytes at `data`, which may be null when `size` is 0. Finalised; different seeds give
/// unrelated hashes. Multiply-and-fold over 16-byte steps after wyhash (Wang Yi 2019).
///
/// Cost: about 3 ns for 24 bytes, 20 bytes a nanosecond for long ones.
[[nodiscard]] std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed = 0) noexcept;

/// Whether `Hash` says that its 64 bits need no finishing: Boost's marker `is_avalanching`, which is
/// `void` or a type with `::value`.
template <class Hash>
inline constexpr bool is_avalanching = [] {
    if constexpr (requires { requires std::is_void_v<typename Hash::is_avalanching>; }) {
        return true;
    } else if constexpr (requires { bool{Hash::is_avalanching::value}; }) {
        return bool{Hash::is_avalanching::value};
    } else {
        return false;
    }
}();

/// What every table of levee uses: `hash(key)`, finished by `hash_mix` unless `Hash` declares
/// `is_avalanching` and returns 64 bits.
template <class Hash, class Key>
[[nodiscard]] constexpr std::uint64_t finalised_hash(const Hash& hash,
                                                     const Key& key) noexcept(noexcept(hash(key))) {
    using result = decltype(hash(key));
    if constexpr (is_avalanching<Hash> && sizeof(result) >= sizeof(std::uint64_t)) {
        return static_cast<std::uint64_t>(hash(key));
    } else {
        return hash_mix(static_cast<std::uint64_t>(hash(key)));
    }
}

/// Hash and equality that both take other types than the key's own (heterogeneous look-up, P0919).
template <class Hash, class Eq>
concept transparent = requires {
    typename Hash::is_transparent;
    typename Eq::is_transparent;
};

/// The default hash of every keyed template. A function object for standard containers as well.
///
/// Integers, enums, pointers, floating point, text, pairs, tuples, arrays, optionals and chrono types are
/// hashed here, where it is easy `constexpr`; any other `K` by `std::hash<K>`, finished. Text hashes the
/// same as `std::string`, `std::string_view` or a literal. Users specialise `std::hash` or this.
template <class K>
struct hash {
    using is_avalanching = void;

    [[nodiscard]] std::uint64_t operator()(const K& key) const noexcept(noexcept(std::hash<K>{}(key)))
        requires requires {
            { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
        }
    {
        return hash_mix(static_cast<std::uint64_t>(std::hash<K>{}(key)));
    }
};

namespace detail {

/// Order matters, and equal neighbours do not cancel: (a, b), (b, a) and (a, a) differ.
[[nodiscard]] constexpr std::uint64_t hash_append(std::uint64_t so_far, std::uint64_t next) noexcept {
    return hash_mix(so_far * 0x9e3779b97f4a7c15 + next);
}

template <class T>
[[nodiscard]] constexpr std::uint64_t hash_element(const T& element) {
    return finalised_hash(hash<T>{}, element);
}

template <class Char>
struct text_hash {
    using is_avalanching = void;
    using is_transparent = void;

    [[nodiscard]] std::uint64_t operator()(std::basic_string_view<Char> text) const noexcept {
        return hash_bytes(text.data(), text.size() * sizeof(Char));
    }
};

/// C strings as keys: by their text, which agrees with an `Eq` on addresses and with one on text. Not
/// transparent: `std::equal_to<>` compares two of them by address.
struct c_string_hash {
    using is_avalanching = void;

    /// Null hashes like "".
    [[nodiscard]] std::uint64_t operator()(const char* text) const noexcept {
        return text_hash<char>{}(text == nullptr ? std::string_view() : std::string_view(text));
    }
};

}  // namespace detail

template <class K>
    requires std::integral<K>
struct hash<K> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(K key) const noexcept {
        if constexpr (sizeof(K) <= sizeof(std::uint64_t)) {
            return hash_mix(static_cast<std::uint64_t>(key));
        } else {  // __int128 with the GNU extensions on
            return detail::hash_append(hash_mix(static_cast<std::uint64_t>(key >> 64)),
                                       static_cast<std::uint64_t>(key));
        }
    }
};

template <class K>
    requires std::is_enum_v<K>
struct hash<K> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(K key) const noexcept {
        return hash<std::underlying_type_t<K>>{}(static_cast<std::underlying_type_t<K>>(key));
    }
};

template <class T>
struct hash<T*> {
    using is_avalanching = void;

    [[nodiscard]] std::uint64_t operator()(T* key) const noexcept {
        return hash_mix(std::bit_cast<std::uintptr_t>(key));
    }
};

/// 0.0 and -0.0 are equal and hash the same.
template <class K>
    requires(std::same_as<K, float> || std::same_as<K, double>)
struct hash<K> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(K key) const noexcept {
        using word = std::conditional_t<sizeof(K) == 4, std::uint32_t, std::uint64_t>;
        return hash_mix(std::bit_cast<word>(key == K{} ? K{} : key));
    }
};

template <class Char, class Allocator>
struct hash<std::basic_string<Char, std::char_traits<Char>, Allocator>> : detail::text_hash<Char> {};
template <class Char>
struct hash<std::basic_string_view<Char>> : detail::text_hash<Char> {};
template <>
struct hash<const char*> : detail::c_string_hash {};
template <>
struct hash<char*> : detail::c_string_hash {};

template <class First, class Second>
struct hash<std::pair<First, Second>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(const std::pair<First, Second>& key) const {
        return detail::hash_append(detail::hash_element(key.first), detail::hash_element(key.second));
    }
};

template <class... Elements>
struct hash<std::tuple<Elements...>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(const std::tuple<Elements...>& key) const {
        return std::apply(
            [](const auto&... elements) {
                std::uint64_t result = sizeof...(Elements);
                ((result = detail::hash_append(result, detail::hash_element(elements))), ...);
                return result;
            },
            key);
    }
};

/// Arrays of integers, such as UUIDs and digests, are hashed as bytes.
template <class T, std::size_t Size>
struct hash<std::array<T, Size>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(const std::array<T, Size>& key) const {
        if constexpr (std::integral<T> || std::same_as<T, std::byte>) {
            return hash_bytes(key.data(), Size * sizeof(T));
        } else {
            std::uint64_t result = Size;
            for (const T& element : key) {
                result = detail::hash_append(result, detail::hash_element(element));
            }
            return result;
        }
    }
};

template <class T>
struct hash<std::optional<T>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(const std::optional<T>& key) const {
        return key ? detail::hash_element<std::remove_const_t<T>>(*key) : 0x6c65766565c0de01;
    }
};

template <class Rep, class Period>
struct hash<std::chrono::duration<Rep, Period>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(std::chrono::duration<Rep, Period> key) const {
        return detail::hash_element(key.count());
    }
};

template <class Clock, class Duration>
struct hash<std::chrono::time_point<Clock, Duration>> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::uint64_t operator()(std::chrono::time_point<Clock, Duration> key) const {
        return hash<Duration>{}(key.time_since_epoch());
    }
};

}  // namespace levee
