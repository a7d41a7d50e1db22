/// How keys become the text under which stores and peers know them.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace levee {

/// How a key is written as text. Specialise it for your type:
///
///     template <> struct levee::key_codec<user_id> {
///         static std::string encode(const user_id& key);
///         static std::optional<user_id> decode(std::string_view text);  // empty: not such a key
///     };
///
/// Different keys must have different texts, in this and in each later version of the program: the texts
/// are the names of what stores hold. Parts that end with ':' are prefixes that can be invalidated
/// together. `decode` meets what peers of other versions sent, and answers empty for what is not a key.
template <class K>
struct key_codec;

/// Strings are written as they are; any bytes will do.
template <>
struct key_codec<std::string> {
    static std::string encode(const std::string& key) { return key; }
    static std::optional<std::string> decode(std::string_view text) { return std::string(text); }
};

namespace store_detail {

[[nodiscard]] std::string decimal(std::int64_t number);
[[nodiscard]] std::string decimal(std::uint64_t number);

/// Only what `decimal` writes: no sign but '-', no leading zero, nothing before or after.
[[nodiscard]] std::optional<std::int64_t> signed_from(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint64_t> unsigned_from(std::string_view text) noexcept;

template <class K>
concept number_key = (std::integral<K> || std::is_enum_v<K>) && sizeof(K) <= sizeof(std::int64_t);

template <class K>
struct number_of {
    using type = K;
};
template <class K>
    requires std::is_enum_v<K>
struct number_of<K> : std::underlying_type<K> {};

}  // namespace store_detail

/// Integers, bools, characters and enumerations: their number in decimal. Other spellings of a number, and
/// numbers outside the type's range, are no keys.
template <store_detail::number_key K>
struct key_codec<K> {
    using number = typename store_detail::number_of<K>::type;
    using wide = std::conditional_t<std::is_signed_v<number>, std::int64_t, std::uint64_t>;

    static std::string encode(const K& key) { return store_detail::decimal(static_cast<wide>(key)); }
    static std::optional<K> decode(std::string_view text) {
        std::optional<wide> found;
        if constexpr (std::is_signed_v<number>) {
            found = store_detail::signed_from(text);
        } else {
            found = store_detail::unsigned_from(text);
        }
        if (!found || static_cast<wide>(static_cast<number>(*found)) != *found) {
            return std::nullopt;
        }
        return static_cast<K>(*found);
    }
};

/// A type that has a key codec.
template <class K>
concept key_encodable = requires(const K& key, std::string_view text) {
    { key_codec<K>::encode(key) } -> std::same_as<std::string>;
    { key_codec<K>::decode(text) } -> std::same_as<std::optional<K>>;
};

/// The key as text.
template <key_encodable K>
[[nodiscard]] std::string key_text(const K& key) {
    return key_codec<K>::encode(key);
}

}  // namespace levee
