/// The part of `table_source` that does not depend on its types.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "levee/sqlite/detail/cell.hpp"
#include "levee/sqlite/table_options.hpp"

namespace levee::sqlite::detail {

class connection_pool;
struct query_set;

/// A table with one key column and one value column.
///
/// Thread safety: safe, except destruction, which must come after every call has returned.
class table {
public:
    /// One row to write; a value that is NULL erases the row.
    struct write {
        cell key;
        cell value;
    };

    table(table_options options, cell_type key, cell_type value);
    ~table();
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    /// The value beside each key, in their order; NULL where there is no row, or a row without a value.
    [[nodiscard]] std::vector<cell> load(std::span<const cell> keys);

    /// Writes all rows in one transaction, in their order, or none.
    void store(std::span<const write> rows);

    [[nodiscard]] std::uint64_t count();

    /// The error for a value that is not what the source's type wants: errc::invalid_data.
    [[nodiscard]] std::exception_ptr wrong_value(cell_type found) const;

    [[nodiscard]] const table_options& options() const noexcept { return options_; }

private:
    const table_options options_;
    const cell_type key_;
    const cell_type value_;
    const std::unique_ptr<const query_set> queries_;
    std::unique_ptr<connection_pool> readers_;
    std::unique_ptr<connection_pool> writer_;  // at most one connection: SQLite has one writer at a time
};

}  // namespace levee::sqlite::detail
