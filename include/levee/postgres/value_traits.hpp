/// Which C++ types are parameters and columns, and how.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/postgres/types.hpp"

namespace levee::postgres {

/// How a T is sent and read. Specialise it for a type of yours:
///
///     template <> struct levee::postgres::value_traits<money> {
///         static std::int64_t to(const money& from);      // any scalar type of the table
///         static money from(std::int64_t stored);         // throws levee::error for what is no money
///     };
///
/// | C++ | sent as | read from |
/// |---|---|---|
/// | signed integers of 8, 16 bits | int2 | int2, int4, int8, oid, and numeric without a fraction; what does not fit is an error |
/// | signed integers of 32, 64 bits | int4, int8 | the same |
/// | unsigned integers of 8; 16; 32, 64 bits | int2; int4; int8 | the same |
/// | enumerations | their underlying type | the same |
/// | bool | bool | bool |
/// | float, double | float4, float8 | these, integers, numeric |
/// | std::string (string_view, char arrays) | text without a type: as a quoted literal it takes the type that its place wants | any scalar, as the server prints it |
/// | levee::bytes (bytes_view) | bytea | bytea |
/// | postgres::json | jsonb | json, jsonb |
/// | postgres::uuid | uuid | uuid, text |
/// | std::chrono::sys_time | timestamptz | timestamptz |
/// | std::chrono::local_time | timestamp | timestamp |
/// | std::chrono::year_month_day | date | date |
/// | std::chrono::duration | interval | interval without months; days are 24 h |
/// | std::vector<T> | array of T, one dimension (of strings: text[]) | such an array |
/// | std::optional<T> | T, or NULL | T, or NULL |
///
/// Times: the server keeps microseconds from 4713 BC to 294276. Finer ones are cut off downwards when they
/// are sent, and when they are read into coarser units; what does not fit is an error. time_point::max() and
/// min() are infinity and -infinity.
template <class T>
struct value_traits;

namespace detail {

template <class T>
concept integer = std::is_integral_v<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                  !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                  !std::same_as<T, char32_t> && sizeof(T) <= sizeof(std::int64_t);

template <class T>
concept text_like = std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_vector = false;
template <class T, class Allocator>
inline constexpr bool is_vector<std::vector<T, Allocator>> = !std::same_as<T, std::byte>;

template <class T>
inline constexpr bool is_sys_time = false;
template <class Duration>
inline constexpr bool is_sys_time<std::chrono::sys_time<Duration>> = true;

template <class T>
inline constexpr bool is_local_time = false;
template <class Duration>
inline constexpr bool is_local_time<std::chrono::local_time<Duration>> = true;

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;

/// A type that is one value, neither NULL nor an array.
template <class T>
concept built_in_scalar =
    integer<T> || std::is_enum_v<T> || std::same_as<T, bool> || std::same_as<T, float> ||
    std::same_as<T, double> || std::same_as<T, std::string> || std::same_as<T, bytes> ||
    std::same_as<T, json> || std::same_as<T, uuid> || is_sys_time<T> || is_local_time<T> ||
    std::same_as<T, std::chrono::year_month_day> || is_duration<T>;

template <class T>
concept user_scalar = requires(const T& value) {
    { value_traits<T>::from(value_traits<T>::to(value)) } -> std::same_as<T>;
};

template <class T>
concept scalar = built_in_scalar<T> || user_scalar<T>;

template <class T>
struct element_of {
    using type = T;
};
template <class T>
struct element_of<std::optional<T>> {
    using type = T;
};
template <class T, class Allocator>
    requires is_vector<std::vector<T, Allocator>>
struct element_of<std::vector<T, Allocator>> {
    using type = T;
};
/// T of optional<T> and vector<T>, else T.
template <class T>
using element_of_t = typename element_of<T>::type;

template <class T>
concept scalar_or_array = scalar<T> || (is_vector<T> && scalar<element_of_t<element_of_t<T>>>);

}  // namespace detail

/// A type that a column can be read as.
template <class T>
concept readable = detail::scalar_or_array<T> ||
                   (detail::is_optional<T> && detail::scalar_or_array<detail::element_of_t<T>>);

/// A type that a parameter can be.
template <class T>
concept sendable = readable<T> || detail::text_like<T> || std::same_as<T, bytes_view> ||
                   std::same_as<T, std::nullopt_t> || std::same_as<T, std::nullptr_t> ||
                   (detail::is_optional<T> && (detail::text_like<detail::element_of_t<T>> ||
                                               std::same_as<detail::element_of_t<T>, bytes_view>));

}  // namespace levee::postgres
