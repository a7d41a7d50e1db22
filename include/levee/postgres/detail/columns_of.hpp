/// C++ types that are several columns of a table.
#pragma once

#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/postgres/detail/encoder.hpp"
#include "levee/postgres/parameters.hpp"
#include "levee/postgres/row.hpp"
#include "levee/postgres/value_traits.hpp"
#include "levee/store/codec.hpp"

namespace levee::postgres::detail {

/// One value in one column: what an array can hold.
template <class T>
concept single_column = scalar<T> || (is_optional<T> && scalar<element_of_t<T>>);

template <class T>
concept tuple_of_columns = is_tuple<T>;

template <class T>
concept aggregate_of_columns = std::is_aggregate_v<T> && !scalar<T> && !is_tuple<T>;

/// How a T is kept in columns: `count`, `type(i)` of the parameters, `is_null`, `add` (the arrays of many of
/// them, with `at(i)` a pointer to each; null where there is none), `read` (from a row, beginning at a
/// column).
template <class T>
struct columns_of;

template <single_column T>
struct columns_of<T> {
    static constexpr std::size_t count = 1;
    static std::vector<type_oid> types() { return {scalar_type<element_of_t<T>>()}; }

    template <class F>
    static void add(parameters& to, std::size_t rows, const F& at) {
        using element = element_of_t<T>;
        to.add_array<std::optional<element>>(rows, [&](std::size_t i) -> std::optional<element> {
            const T* const value = at(i);
            return value == nullptr ? std::optional<element>() : std::optional<element>(*value);
        });
    }
    static bool is_absent(const row& from, std::size_t column) {
        return !is_optional<T> && from[column].is_null();
    }
    static T read(const row& from, std::size_t column) { return from.get<T>(column); }
};

template <std::size_t I, class T>
[[nodiscard]] decltype(auto) part_of(const T& value) {
    if constexpr (tuple_of_columns<T>) {
        return std::get<I>(value);
    } else {
        return boost::pfr::get<I>(value);
    }
}
template <std::size_t I, class T>
struct part_type {
    using type = std::remove_cvref_t<decltype(part_of<I>(std::declval<const T&>()))>;
};
template <std::size_t I, class T>
using part_t = typename part_type<I, T>::type;

/// The parts of a tuple, or the members of an aggregate, in order.
template <class T>
    requires(tuple_of_columns<T> || (aggregate_of_columns<T> && !encodable<T>))
struct columns_of<T> {
    static constexpr std::size_t parts() {
        if constexpr (tuple_of_columns<T>) {
            return std::tuple_size_v<T>;
        } else {
            return boost::pfr::tuple_size_v<T>;
        }
    }
    static constexpr std::size_t count = parts();

    static std::vector<type_oid> types() {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::vector<type_oid>{scalar_type<element_of_t<part_t<I, T>>>()...};
        }(std::make_index_sequence<count>());
    }

    template <class F>
    static void add(parameters& to, std::size_t rows, const F& at) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (columns_of<part_t<I, T>>::add(to, rows,
                                           [&](std::size_t i) -> const part_t<I, T>* {
                                               const T* const value = at(i);
                                               return value == nullptr ? nullptr : &part_of<I>(*value);
                                           }),
             ...);
        }(std::make_index_sequence<count>());
    }
    static bool is_absent(const row& /*from*/, std::size_t /*column*/) { return false; }
    static T read(const row& from, std::size_t column) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return T{from.get<part_t<I, T>>(column + I)...};
        }(std::make_index_sequence<count>());
    }
};

/// Whatever else has a codec: bytea.
template <class T>
    requires(encodable<T> && !single_column<T> && !tuple_of_columns<T>)
struct columns_of<T> {
    static constexpr std::size_t count = 1;
    static std::vector<type_oid> types() { return {type_oid::bytea}; }

    template <class F>
    static void add(parameters& to, std::size_t rows, const F& at) {
        to.add_array<std::optional<bytes>>(rows, [&](std::size_t i) -> std::optional<bytes> {
            const T* const value = at(i);
            if (value == nullptr) {
                return std::nullopt;
            }
            bytes stored;
            codec<T>::encode(*value, stored);
            return stored;
        });
    }
    static bool is_absent(const row& from, std::size_t column) { return from[column].is_null(); }
    static T read(const row& from, std::size_t column) {
        const field stored = from[column];
        std::optional<T> value = codec<T>::decode(stored.as<bytes>());
        if (!value) {
            stored.refuse("the codec does not accept these bytes");
        }
        return std::move(*value);
    }
};

}  // namespace levee::postgres::detail

namespace levee::postgres {

/// A type that one or several columns hold: `value_traits`, tuples and aggregates of those, anything with a
/// codec.
template <class T>
concept storable = requires { detail::columns_of<T>::count; };

}  // namespace levee::postgres
