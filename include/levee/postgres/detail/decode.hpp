/// The bodies of `field::as`: what the server sent, as C++ values.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/postgres/detail/encoder.hpp"
#include "levee/postgres/field.hpp"

namespace levee::postgres::detail {

// Each throws through field::refuse for a type or text that it does not read. The field is not NULL.

/// int2, int4, int8, oid, and numeric without a fraction.
[[nodiscard]] std::int64_t read_integer(const field& from);
[[nodiscard]] double read_real(const field& from);
[[nodiscard]] bool read_boolean(const field& from);
[[nodiscard]] std::string read_text(const field& from);
[[nodiscard]] bytes read_bytes(const field& from);
[[nodiscard]] std::string read_json(const field& from);
[[nodiscard]] uuid read_uuid(const field& from);
/// Microseconds since 1970 of a `wanted` (timestamp or timestamptz); int64's extremes are the infinities.
[[nodiscard]] std::int64_t read_timestamp(const field& from, type_oid wanted);
[[nodiscard]] std::chrono::year_month_day read_date(const field& from);
/// Microseconds; refuses months, whose length is not fixed.
[[nodiscard]] std::int64_t read_interval(const field& from);

/// The elements of an array of one dimension, or none. They point into the field or into `scratch`.
[[nodiscard]] std::vector<field> read_array(const field& from, std::string& scratch);

[[noreturn]] void refuse_null(const field& from);
[[noreturn]] void refuse_range(const field& from, const std::string& value, const char* wanted);

template <class T>
[[nodiscard]] constexpr const char* name_of_integer() {
    constexpr std::size_t size = sizeof(T);
    if constexpr (std::is_signed_v<T>) {
        return size == 1 ? "8 bits" : size == 2 ? "16 bits" : size == 4 ? "32 bits" : "64 bits";
    } else {
        return size == 1   ? "8 bits without sign"
               : size == 2 ? "16 bits without sign"
               : size == 4 ? "32 bits without sign"
                           : "64 bits without sign";
    }
}

/// `microseconds` in Duration's unit, downwards.
template <class Duration>
[[nodiscard]] Duration duration_from(const field& from, std::int64_t microseconds) {
    const std::chrono::microseconds exact(microseconds);
    using rep = typename Duration::rep;
    if constexpr (std::is_floating_point_v<rep>) {
        return std::chrono::duration_cast<Duration>(exact);
    } else {
        // In floating point nothing overflows; what is within rounding of the edge is refused too.
        const auto scaled = std::chrono::duration<long double, typename Duration::period>(exact).count();
        if (scaled >= static_cast<long double>((std::numeric_limits<rep>::max)()) ||
            scaled <= static_cast<long double>(std::numeric_limits<rep>::lowest())) {
            refuse_range(from, std::to_string(microseconds) + " microseconds", "the unit asked for");
        }
        return std::chrono::floor<Duration>(exact);
    }
}

template <class Time>
[[nodiscard]] Time time_from(const field& from, type_oid wanted) {
    using limits = std::numeric_limits<std::int64_t>;
    const std::int64_t microseconds = read_timestamp(from, wanted);
    if (microseconds == (limits::max)() || microseconds == (limits::min)()) {
        return microseconds > 0 ? (Time::max)() : (Time::min)();
    }
    return Time(duration_from<typename Time::duration>(from, microseconds));
}

template <class T>
[[nodiscard]] T decode_scalar(const field& from) {
    if constexpr (user_scalar<T>) {
        return value_traits<T>::from(decode_scalar<stored_t<T>>(from));
    } else if constexpr (std::is_enum_v<T>) {
        return static_cast<T>(decode_scalar<std::underlying_type_t<T>>(from));
    } else if constexpr (std::is_same_v<T, bool>) {
        return read_boolean(from);
    } else if constexpr (std::is_integral_v<T>) {
        const std::int64_t value = read_integer(from);
        if (!std::in_range<T>(value)) {
            refuse_range(from, std::to_string(value), name_of_integer<T>());
        }
        return static_cast<T>(value);
    } else if constexpr (std::is_same_v<T, float>) {
        const double value = read_real(from);
        const auto narrow = static_cast<float>(value);
        if (narrow - narrow != 0 && value - value == 0) {
            refuse_range(from, std::to_string(value), "a float");
        }
        return narrow;
    } else if constexpr (std::is_same_v<T, double>) {
        return read_real(from);
    } else if constexpr (std::is_same_v<T, std::string>) {
        return read_text(from);
    } else if constexpr (std::is_same_v<T, bytes>) {
        return read_bytes(from);
    } else if constexpr (std::is_same_v<T, json>) {
        return json{read_json(from)};
    } else if constexpr (std::is_same_v<T, uuid>) {
        return read_uuid(from);
    } else if constexpr (is_sys_time<T>) {
        return time_from<T>(from, type_oid::timestamptz);
    } else if constexpr (is_local_time<T>) {
        return time_from<T>(from, type_oid::timestamp);
    } else if constexpr (std::is_same_v<T, std::chrono::year_month_day>) {
        return read_date(from);
    } else {
        static_assert(is_duration<T>);
        return duration_from<T>(from, read_interval(from));
    }
}

template <class T>
[[nodiscard]] T decode(const field& from) {
    if constexpr (is_optional<T>) {
        return from.is_null() ? T() : T(decode<typename T::value_type>(from));
    } else {
        if (from.is_null()) {
            refuse_null(from);
        }
        if constexpr (is_vector<T>) {
            std::string scratch;
            const std::vector<field> elements = read_array(from, scratch);
            T result;
            result.reserve(elements.size());
            for (const field& each : elements) {
                result.push_back(decode<typename T::value_type>(each));
            }
            return result;
        } else {
            return decode_scalar<T>(from);
        }
    }
}

}  // namespace levee::postgres::detail

namespace levee::postgres {

template <readable T>
T field::as() const {
    return detail::decode<T>(*this);
}

}  // namespace levee::postgres
