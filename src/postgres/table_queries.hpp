/// The SQL of a table that is a source; no I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "levee/postgres/types.hpp"

namespace levee::postgres::detail {

/// A column as the catalogue tells it.
struct table_column {
    std::string name{};
    type_oid type = type_oid::unspecified;  ///< A domain's is that of its base.
    std::string type_name{};                ///< As in a cast: "character varying".
    std::string collation{};                ///< Quoted; empty: the database's own.
    bool has_plain_equality = true;         ///< Equal values are equal bytes: not so under some collations.
};

/// A table, with what the source's C++ types are sent as.
struct table_shape {
    std::string qualified_name{};  ///< Quoted: "shop"."products".
    std::vector<table_column> keys{};
    std::vector<type_oid> sent_keys{};  ///< The element types of the parameters; so the next.
    std::vector<table_column> values{};
    std::vector<type_oid> sent_values{};
    std::optional<table_column> version{};
};

/// How keys are found. By `any`, whoever asks matches rows to keys by the keys' bytes; else the server does.
enum class key_lookup { any, join };
[[nodiscard]] key_lookup lookup_of(const table_shape& table) noexcept;

/// One parameter for each key column, an array. Columns of the result:
/// by `any`  key, values…, version (0 without one)
/// by `join` the number of the key from 1, values…, version
[[nodiscard]] std::string load_query(const table_shape& table, key_lookup how);

/// What the rows of one statement are.
enum class write_kind {
    upsert,  ///< All have values.
    erase,   ///< None has.
    mixed,   ///< Some have; one more parameter tells which are erased.
};

/// Parameters: an array for each key column; of `upsert` and `mixed` one for each value column; of `mixed`
/// one of bool, true where the row is erased; with `has_versions` one of int8.
///
/// Of several writes of one key the last one counts, or with versions the highest. Rows are written in the
/// order of their keys, so that batches that overlap do not wait for each other in a circle. With a version
/// column the result has a row for each row written: the number of the write from 1, and the row's version.
[[nodiscard]] std::string store_query(const table_shape& table, write_kind kind, bool has_versions);

/// Parameters: schema ('' for the search path), table, names of the key columns, of all columns (text[]).
/// One row: the qualified name (NULL: no such table), whether there is a unique index on the keys, and
/// arrays, for each of all columns: type (0: no such column), its name for casts, whether its equality is
/// plain.
[[nodiscard]] std::string catalogue_query();

/// "CREATE UNIQUE INDEX CONCURRENTLY ON … (…)"
[[nodiscard]] std::string create_index_statement(const table_shape& table);

}  // namespace levee::postgres::detail
