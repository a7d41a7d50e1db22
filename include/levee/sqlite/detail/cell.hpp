/// What a column can hold, and how C++ types are kept in it.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "levee/core/bytes.hpp"
#include "levee/store/codec.hpp"

namespace levee::sqlite::detail {

/// One value as SQLite holds it, one alternative for each storage class; monostate is NULL.
using cell = std::variant<std::monostate, std::int64_t, double, std::string, bytes>;

/// The storage classes, in the order of the alternatives of `cell`.
enum class cell_type : std::uint8_t { null, integer, real, text, blob };

[[nodiscard]] inline cell_type type_of(const cell& value) noexcept {
    return static_cast<cell_type>(value.index());
}

template <class T>
concept native_integer = (std::is_integral_v<T> || std::is_enum_v<T>) && sizeof(T) <= sizeof(std::int64_t);

template <class T>
concept native_real = std::same_as<T, float> || std::same_as<T, double>;

/// How a T is kept in a cell. `from` is empty for a cell that is no T.
/// The general case: whatever has a codec, as a BLOB.
template <class T>
struct cell_traits {
    static constexpr cell_type type = cell_type::blob;

    [[nodiscard]] static cell to(const T& value) {
        bytes encoded;
        codec<T>::encode(value, encoded);
        return encoded;
    }
    [[nodiscard]] static std::optional<T> from(cell&& stored) {
        const auto* encoded = std::get_if<bytes>(&stored);
        return encoded ? codec<T>::decode(*encoded) : std::nullopt;
    }
};

template <native_integer T>
struct cell_traits<T> {
    static constexpr cell_type type = cell_type::integer;

    [[nodiscard]] static cell to(T value) noexcept { return static_cast<std::int64_t>(value); }

    [[nodiscard]] static std::optional<T> from(cell&& stored) noexcept {
        const auto* integer = std::get_if<std::int64_t>(&stored);
        return integer && fits(*integer) ? std::optional<T>(static_cast<T>(*integer)) : std::nullopt;
    }

private:
    [[nodiscard]] static bool fits(std::int64_t value) noexcept {
        if constexpr (std::is_enum_v<T>) {
            return cell_traits<std::underlying_type_t<T>>::from(value).has_value();
        } else if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(std::int64_t)) {
            return true;  // two's complement: what is above the signed range is kept as a negative number
        } else {
            return value >= static_cast<std::int64_t>((std::numeric_limits<T>::min)()) &&
                   value <= static_cast<std::int64_t>((std::numeric_limits<T>::max)());
        }
    }
};

template <native_real T>
struct cell_traits<T> {
    static constexpr cell_type type = cell_type::real;

    [[nodiscard]] static cell to(T value) noexcept { return static_cast<double>(value); }

    [[nodiscard]] static std::optional<T> from(cell&& stored) noexcept {
        if (const auto* real = std::get_if<double>(&stored)) {
            using limits = std::numeric_limits<T>;
            const bool is_finite = *real - *real == 0;
            const bool fits = *real >= static_cast<double>(limits::lowest()) &&
                              *real <= static_cast<double>((limits::max)());
            return is_finite && !fits ? std::nullopt : std::optional<T>(static_cast<T>(*real));
        }
        // A column of numeric affinity keeps 2.0 as the integer 2.
        if (const auto* integer = std::get_if<std::int64_t>(&stored)) {
            constexpr std::int64_t exact = std::int64_t{1} << std::numeric_limits<T>::digits;
            if (*integer >= -exact && *integer <= exact) {
                return static_cast<T>(*integer);
            }
        }
        return std::nullopt;
    }
};

template <>
struct cell_traits<std::string> {
    static constexpr cell_type type = cell_type::text;

    [[nodiscard]] static cell to(std::string value) noexcept { return value; }
    [[nodiscard]] static std::optional<std::string> from(cell&& stored) noexcept {
        auto* text = std::get_if<std::string>(&stored);
        return text ? std::optional<std::string>(std::move(*text)) : std::nullopt;
    }
};

template <>
struct cell_traits<bytes> {
    static constexpr cell_type type = cell_type::blob;

    [[nodiscard]] static cell to(bytes value) noexcept { return value; }
    [[nodiscard]] static std::optional<bytes> from(cell&& stored) noexcept {
        auto* blob = std::get_if<bytes>(&stored);
        return blob ? std::optional<bytes>(std::move(*blob)) : std::nullopt;
    }
};

}  // namespace levee::sqlite::detail

namespace levee::sqlite {

/// A type that a column can hold: a number, an enumeration, text, bytes, or a type with a codec.
template <class T>
concept storable = detail::native_integer<T> || detail::native_real<T> || encodable<T>;

}  // namespace levee::sqlite
