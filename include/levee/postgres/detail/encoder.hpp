/// Values as the server reads them: the binary format for what has one that is fixed, text for text.
#pragma once

#include <boost/container/small_vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/postgres/types.hpp"
#include "levee/postgres/value_traits.hpp"

namespace levee::postgres::detail {

using encoded = boost::container::small_vector<char, 128>;

/// Appends values to a buffer. Text is checked: no NUL, and UTF-8.
class encoder {
public:
    /// `number`: of the parameter, from 1, for the sentences of errors.
    encoder(encoded& out, std::size_t number) : out_(out), number_(number) {}

    void int16(std::int16_t value);
    void int32(std::int32_t value);
    void int64(std::int64_t value);
    void float32(float value);
    void float64(double value);
    void boolean(bool value);
    void text(std::string_view value);
    void raw(bytes_view value);
    /// Microseconds since 2000-01-01; the extremes of int64 are the infinities.
    void timestamp(std::int64_t microseconds) { int64(microseconds); }
    void interval(std::int64_t microseconds);
    void date(std::chrono::year_month_day value);

    /// The head of an array of one dimension.
    void array(type_oid element, std::size_t count, bool has_nulls);
    /// Reserves an element's length; `end_element` writes it.
    [[nodiscard]] std::size_t begin_element();
    void end_element(std::size_t begun);
    void null_element() { int32(-1); }

    /// Throws errc::invalid_data: "parameter $2: <what>".
    [[noreturn]] void refuse(const std::string& what) const;

private:
    encoded& out_;
    std::size_t number_;
};

/// Microseconds since 1970, downwards; empty: beyond int64, or not a number.
template <class Rep, class Period>
[[nodiscard]] std::optional<std::int64_t> microseconds_of(std::chrono::duration<Rep, Period> value) {
    using to = std::chrono::microseconds;
    if constexpr (std::is_floating_point_v<Rep>) {
        const auto scaled = std::chrono::duration<long double, std::micro>(value).count();
        if (!(scaled > -9.2e18L && scaled < 9.2e18L)) {
            return std::nullopt;
        }
        return std::chrono::floor<to>(std::chrono::duration<long double, std::micro>(scaled)).count();
    } else {
        // Compared in floating point, so that the comparison cannot overflow; what is near the edge is
        // refused.
        const auto scaled = std::chrono::duration<long double, std::micro>(value).count();
        if (!(scaled > -9.2e18L && scaled < 9.2e18L)) {
            return std::nullopt;
        }
        return std::chrono::floor<to>(value).count();
    }
}

inline constexpr std::int64_t epoch_shift = 946'684'800'000'000;           // 1970 to 2000, in microseconds
inline constexpr std::int64_t first_timestamp = -211'813'488'000'000'000;  // 4713 BC, since 2000
inline constexpr std::int64_t end_timestamp = 9'223'371'331'200'000'000;   // 294277, since 2000

template <class T>
void encode_time(encoder& out, T since_1970) {
    if (since_1970 == (T::max)() || since_1970 == (T::min)()) {
        using limits = std::numeric_limits<std::int64_t>;
        out.timestamp(since_1970 == (T::max)() ? (limits::max)() : (limits::min)());
        return;
    }
    const std::optional<std::int64_t> microseconds = microseconds_of(since_1970);
    if (!microseconds || *microseconds < first_timestamp + epoch_shift ||
        (*microseconds > 0 && *microseconds - epoch_shift >= end_timestamp)) {
        out.refuse("a time outside 4713 BC to 294276");
    }
    out.timestamp(*microseconds - epoch_shift);
}

/// What a user's type is stored as.
template <class T>
using stored_t = std::decay_t<decltype(value_traits<T>::to(std::declval<const T&>()))>;

/// What a T is to the server when it is a parameter or an element of an array.
template <class T>
[[nodiscard]] constexpr type_oid scalar_type() {
    if constexpr (user_scalar<T>) {
        return scalar_type<stored_t<T>>();
    } else if constexpr (std::is_enum_v<T>) {
        return scalar_type<std::underlying_type_t<T>>();
    } else if constexpr (std::is_same_v<T, bool>) {
        return type_oid::boolean;
    } else if constexpr (std::is_integral_v<T>) {
        constexpr int digits = std::numeric_limits<T>::digits;
        return digits <= 15 ? type_oid::int2 : digits <= 31 ? type_oid::int4 : type_oid::int8;
    } else if constexpr (std::is_same_v<T, float>) {
        return type_oid::float4;
    } else if constexpr (std::is_same_v<T, double>) {
        return type_oid::float8;
    } else if constexpr (std::is_same_v<T, bytes> || std::is_same_v<T, bytes_view>) {
        return type_oid::bytea;
    } else if constexpr (std::is_same_v<T, json>) {
        return type_oid::jsonb;
    } else if constexpr (std::is_same_v<T, uuid>) {
        return type_oid::uuid;
    } else if constexpr (is_sys_time<T>) {
        return type_oid::timestamptz;
    } else if constexpr (is_local_time<T>) {
        return type_oid::timestamp;
    } else if constexpr (std::is_same_v<T, std::chrono::year_month_day>) {
        return type_oid::date;
    } else if constexpr (is_duration<T>) {
        return type_oid::interval;
    } else {
        return type_oid::text;
    }
}

[[nodiscard]] constexpr type_oid array_of(type_oid element) {
    switch (element) {
        case type_oid::boolean:
            return type_oid::boolean_array;
        case type_oid::bytea:
            return type_oid::bytea_array;
        case type_oid::int2:
            return type_oid::int2_array;
        case type_oid::int4:
            return type_oid::int4_array;
        case type_oid::int8:
            return type_oid::int8_array;
        case type_oid::float4:
            return type_oid::float4_array;
        case type_oid::float8:
            return type_oid::float8_array;
        case type_oid::date:
            return type_oid::date_array;
        case type_oid::timestamp:
            return type_oid::timestamp_array;
        case type_oid::timestamptz:
            return type_oid::timestamptz_array;
        case type_oid::interval:
            return type_oid::interval_array;
        case type_oid::uuid:
            return type_oid::uuid_array;
        case type_oid::jsonb:
            return type_oid::jsonb_array;
        default:
            return type_oid::text_array;
    }
}

/// Whether a T is sent in the text format.
template <class T>
[[nodiscard]] constexpr bool is_sent_as_text() {
    if constexpr (user_scalar<T>) {
        return is_sent_as_text<stored_t<T>>();
    } else {
        return text_like<T> || std::is_same_v<T, json>;
    }
}

template <class T>
[[nodiscard]] constexpr type_oid parameter_type() {
    if constexpr (is_vector<T>) {
        return array_of(scalar_type<element_of_t<element_of_t<T>>>());
    } else if constexpr (user_scalar<T>) {
        return parameter_type<stored_t<T>>();
    } else if constexpr (text_like<T>) {
        return type_oid::unspecified;  // the server decides, as for a quoted literal
    } else {
        return scalar_type<T>();
    }
}

template <class T>
void encode(encoder& out, const T& value);

/// `in_array`: there, json has a binary format, with a byte for its version before the text.
template <class T>
void encode_scalar(encoder& out, const T& value, bool in_array) {
    if constexpr (user_scalar<T>) {
        encode_scalar(out, value_traits<T>::to(value), in_array);
    } else if constexpr (std::is_enum_v<T>) {
        encode_scalar(out, static_cast<std::underlying_type_t<T>>(value), in_array);
    } else if constexpr (std::is_same_v<T, bool>) {
        out.boolean(value);
    } else if constexpr (std::is_integral_v<T>) {
        constexpr int digits = std::numeric_limits<T>::digits;
        if constexpr (digits <= 15) {
            out.int16(static_cast<std::int16_t>(value));
        } else if constexpr (digits <= 31) {
            out.int32(static_cast<std::int32_t>(value));
        } else {
            if constexpr (digits == 64) {
                if (value > static_cast<T>((std::numeric_limits<std::int64_t>::max)())) {
                    out.refuse(std::to_string(value) + " does not fit into int8");
                }
            }
            out.int64(static_cast<std::int64_t>(value));
        }
    } else if constexpr (std::is_same_v<T, float>) {
        out.float32(value);
    } else if constexpr (std::is_same_v<T, double>) {
        out.float64(value);
    } else if constexpr (std::is_same_v<T, bytes> || std::is_same_v<T, bytes_view>) {
        out.raw(value);
    } else if constexpr (std::is_same_v<T, json>) {
        if (in_array) {
            constexpr std::byte version{1};
            out.raw(bytes_view(&version, 1));
        }
        out.text(value.text);
    } else if constexpr (std::is_same_v<T, uuid>) {
        out.raw(std::as_bytes(std::span(value.data)));
    } else if constexpr (is_sys_time<T> || is_local_time<T>) {
        encode_time(out, value.time_since_epoch());
    } else if constexpr (std::is_same_v<T, std::chrono::year_month_day>) {
        out.date(value);
    } else if constexpr (is_duration<T>) {
        const std::optional<std::int64_t> microseconds = microseconds_of(value);
        if (!microseconds) {
            out.refuse("a duration beyond 64 bits of microseconds");
        }
        out.interval(*microseconds);
    } else {
        out.text(std::string_view(value));
    }
}

template <class T>
void encode_element(encoder& out, const T& value) {
    if constexpr (is_optional<T>) {
        if (!value) {
            out.null_element();
            return;
        }
        encode_element(out, *value);
    } else {
        const std::size_t begun = out.begin_element();
        encode_scalar(out, value, true);
        out.end_element(begun);
    }
}

/// An array of what `element(i)` answers: a Stored, which may be an optional.
template <class Stored, class F>
void encode_array(encoder& out, std::size_t count, const F& element) {
    bool has_nulls = false;
    if constexpr (is_optional<Stored>) {
        for (std::size_t i = 0; i < count && !has_nulls; ++i) {
            has_nulls = !element(i);
        }
    }
    out.array(scalar_type<element_of_t<Stored>>(), count, has_nulls);
    for (std::size_t i = 0; i < count; ++i) {
        encode_element<Stored>(out, element(i));
    }
}

template <class T>
void encode(encoder& out, const T& value) {
    if constexpr (is_vector<T>) {
        encode_array<typename T::value_type>(out, value.size(),
                                             [&](std::size_t i) -> decltype(auto) { return value[i]; });
    } else {
        encode_scalar(out, value, false);
    }
}

}  // namespace levee::postgres::detail
