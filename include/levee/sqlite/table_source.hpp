/// A table of an SQLite file as the system of record behind a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/sqlite/detail/cell.hpp"
#include "levee/sqlite/detail/table.hpp"
#include "levee/sqlite/error.hpp"
#include "levee/sqlite/table_options.hpp"
#include "levee/store/source.hpp"

namespace levee::sqlite {

/// Loads and stores the rows of one table: a key column and a value column.
///
///     levee::sqlite::table_source<std::int64_t, std::string> products(
///         {.path = "shop.db", .table = "products", .key_column = "id", .value_column = "name"});
///
/// K and V choose how a column is read and written:
///
/// | type                                  | storage class | note                                           |
/// |---------------------------------------|---------------|------------------------------------------------|
/// | integers, bool, characters, enums     | INTEGER       | unsigned 64-bit as two's complement: in SQL, a |
/// |                                       |               | value of 2^63 and above is a negative number   |
/// | float, double                         | REAL          | NaN is refused: SQLite would keep it as NULL   |
/// | std::string                           | TEXT          | any bytes, also NUL, in a UTF-8 database       |
/// | levee::bytes                          | BLOB          |                                                |
/// | any other type with a `levee::codec`  | BLOB          | what the codec does not accept is invalid_data |
///
/// A row is `value`; no row is `not_found`, and so is a row whose value is NULL: it says that there is none.
/// A value of another storage class, outside V's range or refused by the codec is `failed` for that key,
/// with errc::invalid_data; the other keys of the batch are unaffected. (Only whole REAL and INTEGER values
/// pass for each other, and only into float and double.)
///
/// A load sees one state of the database, however many keys it has. A store is one transaction: all of its
/// operations in their order or, when it throws, none. `write_op::version` is ignored and versions are 0.
///
/// A table made by `create_if_missing` has exactly the two columns, both NOT NULL, the key as PRIMARY KEY;
/// WITHOUT ROWID if V is a number and K is not an integer (with longer values that would be slow to write).
///
/// A write-ahead-logged file in a folder that cannot be written, and without a log beside it, is opened as
/// `immutable`: do not let another user change it meanwhile.
///
/// Thread safety: safe; destroy it after every call has returned. Do not carry it across fork().
/// Blocks: loads and stores do their disk work on the calling thread (`is_blocking()`). They wait at most
/// `busy_timeout` for a connection, then at most that long for a lock that another process holds. One store
/// runs at a time; under write-ahead logging, loads do not wait for it.
/// Errors: `levee::error`. errc::timeout: every connection of this object stayed busy, nothing was done.
/// The others are listed at `sqlite::error_category`. A connection that failed beyond use is replaced by the
/// next call. The constructor throws std::invalid_argument for wrong options, and opens the file, so that a
/// missing file, table or column is reported there.
/// Cost: a row of 100 bytes in the page cache about 7 µs, in a batch 3.5 µs a key; stores 4 µs a row and one
/// fsync.
template <storable K, storable V>
class table_source final : public blocking_source<K, V> {
public:
    explicit table_source(table_options options)
        : table_(std::move(options), key_cell::type, value_cell::type) {}

    [[nodiscard]] std::vector<loaded<V>> load(std::vector<load_request<K, V>> requests) override {
        std::vector<detail::cell> keys;
        keys.reserve(requests.size());
        for (load_request<K, V>& request : requests) {
            keys.push_back(key_cell::to(std::move(request.key)));
        }
        std::vector<detail::cell> found = table_.load(keys);
        std::vector<loaded<V>> results;
        results.reserve(found.size());
        for (detail::cell& stored : found) {
            results.push_back(result_of(std::move(stored)));
        }
        return results;
    }

    [[nodiscard]] write_report store(std::vector<write_op<K, V>> operations) override {
        std::vector<detail::table::write> rows;
        rows.reserve(operations.size());
        for (write_op<K, V>& operation : operations) {
            detail::cell value;
            if (operation.value) {
                value = value_cell::to(std::move(*operation.value));
            }
            rows.push_back({key_cell::to(std::move(operation.key)), std::move(value)});
        }
        table_.store(rows);
        return write_report(rows.size());
    }

    /// The number of rows now. Blocks and throws as `load` does. Cost: reads the whole table.
    [[nodiscard]] std::uint64_t count() { return table_.count(); }

    /// The file, as it was given in the options.
    [[nodiscard]] const std::string& path() const noexcept { return table_.options().path; }

private:
    using key_cell = detail::cell_traits<K>;
    using value_cell = detail::cell_traits<V>;

    [[nodiscard]] loaded<V> result_of(detail::cell stored) const {
        const detail::cell_type type = detail::type_of(stored);
        if (type == detail::cell_type::null) {
            return loaded<V>::missing();
        }
        if (std::optional<V> value = value_cell::from(std::move(stored))) {
            return loaded<V>::found(std::move(*value));
        }
        return loaded<V>::failure(table_.wrong_value(type));
    }

    detail::table table_;
};

}  // namespace levee::sqlite
