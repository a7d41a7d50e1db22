/// The SQL of one table, written once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "levee/sqlite/detail/cell.hpp"
#include "levee/sqlite/table_options.hpp"

namespace levee::sqlite::detail {

/// A statement, and its place in the cache of prepared statements that each connection keeps.
struct query {
    std::size_t slot;
    std::string text;
};

/// A name as an SQL identifier: in double quotes, with those within doubled.
[[nodiscard]] std::string quoted(const std::string& name);

struct query_set {
    query_set(const table_options& options, cell_type key, cell_type value);

    /// The narrowest of `selects` that takes `keys` keys, of which there are 1 to `batch`.
    [[nodiscard]] const query& select_for(std::size_t keys) const noexcept;

    query begin;
    query begin_immediate;
    query commit;
    query create;
    query count;
    query upsert;  ///< ?1 the key, ?2 the value
    query erase;   ///< ?1 the key

    /// Rows of (number of the key from 0, value) for keys ?1 and up; selects[i] takes 2^i of them, at most
    /// `batch`. A key left unbound is NULL, which no row equals.
    std::vector<query> selects;
};

}  // namespace levee::sqlite::detail
