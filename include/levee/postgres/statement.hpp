/// One statement with its values and its deadline.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/postgres/parameters.hpp"

namespace levee::postgres {

/// SQL text with $1, $2, … and the values for them, which are sent beside the text and never become part of
/// it.
///
///     db.query(statement("SELECT name FROM users WHERE id = $1", 42).within(50ms));
struct statement {
    std::string sql{};
    parameters values{};
    /// How long it may take, waiting for a connection included. Zero:
    /// `connection_options::statement_timeout`.
    duration timeout{};

    statement() = default;
    template <class... T>
    explicit statement(std::string_view text, const T&... arguments)
        : sql(text), values(parameters::of(arguments...)) {}
    statement(std::string text, parameters arguments) : sql(std::move(text)), values(std::move(arguments)) {}

    statement& within(duration limit) & noexcept {
        timeout = limit;
        return *this;
    }
    statement&& within(duration limit) && noexcept {
        timeout = limit;
        return std::move(*this);
    }
};

}  // namespace levee::postgres
