#include "sqlite/queries.hpp"

#include <algorithm>
#include <bit>

namespace levee::sqlite::detail {
namespace {

const char* declared(cell_type type) noexcept {
    switch (type) {
        case cell_type::integer:
            return "INTEGER";
        case cell_type::real:
            return "REAL";
        case cell_type::text:
            return "TEXT";
        case cell_type::null:
        case cell_type::blob:
            break;
    }
    return "BLOB";
}

/// An INTEGER PRIMARY KEY is the row id itself. For the others WITHOUT ROWID saves the second tree, but rows
/// then fill the inner pages too: with values of 1 kB it was measured to fill six times slower and to load
/// three times slower, so only values that cannot be long are stored so
/// (https://sqlite.org/withoutrowid.html).
bool fits_without_rowid(cell_type key, cell_type value) noexcept {
    return key != cell_type::integer && (value == cell_type::integer || value == cell_type::real);
}

/// With the schema: a bare name could also mean a common table expression.
std::string table_name(const table_options& options) {
    return "main." + quoted(options.table);
}

std::string create_text(const table_options& options, cell_type key, cell_type value) {
    return "CREATE TABLE IF NOT EXISTS " + table_name(options) + " (" + quoted(options.key_column) + " " +
           declared(key) + " PRIMARY KEY NOT NULL, " + quoted(options.value_column) + " " + declared(value) +
           " NOT NULL)" + (fits_without_rowid(key, value) ? " WITHOUT ROWID" : "");
}

/// Columns are always qualified in expressions: SQLite takes an unknown "name" alone for a string.
std::string select_text(const table_options& options, std::size_t keys) {
    const std::string value = "t." + quoted(options.value_column);
    const std::string table = table_name(options) + " AS t";
    const std::string key = "t." + quoted(options.key_column);
    if (keys == 1) {
        return "SELECT 0, " + value + " FROM " + table + " WHERE " + key + " = ?1";
    }
    // A join with numbered keys, not IN (...): the database says which key a row answers, by the column's own
    // collation and affinity, and duplicates need no care. CROSS JOIN keeps the keys in the outer loop.
    std::string text = "WITH wanted(number, key) AS (VALUES ";
    for (std::size_t i = 0; i < keys; ++i) {
        text += (i == 0 ? "(" : ",(") + std::to_string(i) + ",?" + std::to_string(i + 1) + ")";
    }
    return text + ") SELECT wanted.number, " + value + " FROM wanted CROSS JOIN " + table + " ON " + key +
           " = wanted.key";
}

}  // namespace

std::string quoted(const std::string& name) {
    std::string result = "\"";
    for (const char c : name) {
        result.append(c == '"' ? 2 : 1, c);
    }
    return result + '"';
}

query_set::query_set(const table_options& options, cell_type key, cell_type value)
    : begin{0, "BEGIN"},
      begin_immediate{1, "BEGIN IMMEDIATE"},
      commit{2, "COMMIT"},
      create{3, create_text(options, key, value)},
      count{4, "SELECT count(*) FROM " + table_name(options)},
      upsert{5, "INSERT INTO " + table_name(options) + " (" + quoted(options.key_column) + ", " +
                    quoted(options.value_column) + ") VALUES (?1, ?2) ON CONFLICT (" +
                    quoted(options.key_column) + ") DO UPDATE SET " + quoted(options.value_column) +
                    " = excluded." + quoted(options.value_column)},
      erase{6, "DELETE FROM " + table_name(options) + " WHERE " + quoted(options.table) + "." +
                   quoted(options.key_column) + " = ?1"} {
    for (std::size_t keys = 1;; keys = std::min(keys * 2, options.batch)) {
        selects.push_back({erase.slot + 1 + selects.size(), select_text(options, keys)});
        if (keys == options.batch) {
            break;
        }
    }
}

const query& query_set::select_for(std::size_t keys) const noexcept {
    return selects[static_cast<std::size_t>(std::bit_width(keys - 1))];
}

}  // namespace levee::sqlite::detail
