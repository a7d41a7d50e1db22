/// One row of a result.
#pragma once

#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "levee/postgres/field.hpp"

namespace levee::postgres {

namespace detail {

struct raw_result;  // what the client library holds

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

/// Described by BOOST_DESCRIBE_STRUCT: its members have names.
template <class T>
concept described = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;

}  // namespace detail

/// A row: it points into its result and must not outlive it.
///
///     for (const row& each : db.query("SELECT id, name, born FROM users")) {
///         auto id = each.get<std::int64_t>(0);
///         auto born = each.get<std::optional<std::chrono::year_month_day>>("born");
///         auto whole = each.as<user>();
///     }
///
/// Errors: as `field::as`; a column that is not there, or a number of columns that is not T's, is
/// errc::invalid_data too. Thread safety: distinct objects: safe; shared objects: safe.
class row {
public:
    row() = default;
    row(const detail::raw_result* of, std::size_t index) noexcept : of_(of), index_(index) {}

    /// The number of columns.
    [[nodiscard]] std::size_t size() const noexcept;
    /// Its number in the result, from 0.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }

    [[nodiscard]] field operator[](std::size_t column) const;
    /// By the column's name as the server tells it, which is lower case unless it was quoted. The first of
    /// several. Cost: compares with each name.
    [[nodiscard]] field operator[](std::string_view name) const;

    template <readable T>
    [[nodiscard]] T get(std::size_t column) const {
        return (*this)[column].as<T>();
    }
    template <readable T>
    [[nodiscard]] T get(std::string_view name) const {
        return (*this)[name].as<T>();
    }

    /// The whole row: a type of one column; a tuple or pair, in order; a struct described by Boost.Describe,
    /// by the names of its members; any other aggregate that can be made by default, in order.
    template <class T>
    [[nodiscard]] T as() const {
        if constexpr (readable<T>) {
            expect_columns(1);
            return get<T>(0);
        } else if constexpr (detail::is_tuple<T>) {
            expect_columns(std::tuple_size_v<T>);
            return [this]<std::size_t... I>(std::index_sequence<I...>) {
                return T{this->get<std::tuple_element_t<I, T>>(I)...};
            }(std::make_index_sequence<std::tuple_size_v<T>>());
        } else if constexpr (detail::described<T>) {
            using members = boost::describe::describe_members<T, boost::describe::mod_any_access |
                                                                     boost::describe::mod_inherited>;
            T result{};
            boost::mp11::mp_for_each<members>([&](auto member) {
                auto& into = result.*member.pointer;
                into = get<std::remove_reference_t<decltype(into)>>(std::string_view(member.name));
            });
            return result;
        } else {
            static_assert(std::is_aggregate_v<T>,
                          "a row is read as a readable type, a tuple or an aggregate");
            expect_columns(boost::pfr::tuple_size_v<T>);
            T result{};
            boost::pfr::for_each_field(result, [&](auto& into, std::size_t column) {
                into = get<std::remove_reference_t<decltype(into)>>(column);
            });
            return result;
        }
    }

private:
    void expect_columns(std::size_t wanted) const;

    const detail::raw_result* of_ = nullptr;
    std::size_t index_ = 0;
};

}  // namespace levee::postgres
