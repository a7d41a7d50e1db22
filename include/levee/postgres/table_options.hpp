/// How a table of a PostgreSQL database is used as a source.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"

namespace levee::postgres {

/// `table` must be set. Names are quoted: any characters but NUL, at most 63 bytes, in the case of the
/// database.
struct table_options {
    /// The table, or for loads only a view.
    std::string table{};

    /// Its schema. Empty: the first of the search path that has the table, when the source is made.
    std::string schema{};

    /// The columns looked up, in the order of K's parts.
    std::vector<std::string> key_columns{"key"};

    /// The columns returned and written, in the order of V's parts. Others are left alone, and take their
    /// defaults on insertion.
    std::vector<std::string> value_columns{"value"};

    /// An integer column with the row's version. Empty: rows have none. See `table_source`.
    std::string version_column{};

    /// Refuses a table without a unique index on just the key columns: loads would read all of it, and writes
    /// cannot tell a new row from an old one. False for a view.
    bool require_unique_index = true;

    /// Keys looked up, or rows written, by one statement, at most. In [1, 100'000]. Default 1,000: more saves
    /// little, and a statement that fails undoes all of its rows.
    std::size_t batch = 1000;

    /// How long each statement may take, waiting for a connection included. Zero: the pool's
    /// `statement_timeout`.
    duration timeout{};
};

/// Throws std::invalid_argument, with the field, its value and its range, unless every field is in range.
void validate(const table_options& options);

}  // namespace levee::postgres
