#include "levee/sqlite/detail/table.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "levee/core/error.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/connection_pool.hpp"
#include "sqlite/failure.hpp"
#include "sqlite/queries.hpp"

namespace levee::sqlite::detail {
namespace {

constexpr const char* loading = "load from";
constexpr const char* storing = "store to";

const char* name_of(cell_type type) noexcept {
    switch (type) {
        case cell_type::null:
            return "NULL";
        case cell_type::integer:
            return "INTEGER";
        case cell_type::real:
            return "REAL";
        case cell_type::text:
            return "TEXT";
        case cell_type::blob:
            break;
    }
    return "BLOB";
}

table_options validated(table_options options) {
    validate(options);
    return options;
}

/// At most `selects.back()`'s keys. Of several rows with one key, the first with a value stands.
void load_some(connection& from, const query_set& queries, std::span<const cell> keys, cell* values) {
    running select(from, queries.select_for(keys.size()), loading);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        select.bind(static_cast<int>(i + 1), keys[i]);
    }
    while (select.step()) {
        cell& value = values[static_cast<std::size_t>(select.integer(0))];
        if (std::holds_alternative<std::monostate>(value)) {
            value = select.value(1);
        }
    }
}

/// Throws errc::read_only for what can be read but not written: a view, a table whose key is not unique.
void refuse_unwritable(connection& to, const query_set& queries) {
    (void)to.prepared(queries.select_for(1), storing);  // missing: unavailable
    for (const query* change : {&queries.upsert, &queries.erase}) {
        const int result = to.prepare(*change);
        if (result == SQLITE_ERROR) {
            to.fail(storing, result, errc::read_only);
        } else if (result != SQLITE_OK) {
            to.fail(storing, result);
        }
    }
}

bool is_nan(const cell& value) noexcept {
    const auto* real = std::get_if<double>(&value);
    return real && std::isnan(*real);
}

void refuse_nan(std::span<const table::write> rows, const table_options& options) {
    for (const table::write& row : rows) {
        if (is_nan(row.key) || is_nan(row.value)) {
            throw error(errc::invalid_data,
                        "cannot " + std::string(storing) + " " + place(options.path, options.table) +
                            ": column \"" + (is_nan(row.key) ? options.key_column : options.value_column) +
                            "\" was given NaN, which SQLite cannot hold");
        }
    }
}

}  // namespace

table::table(table_options options, cell_type key, cell_type value)
    : options_(validated(std::move(options))),
      key_(key),
      value_(value),
      queries_(std::make_unique<const query_set>(options_, key, value)),
      readers_(std::make_unique<connection_pool>(options_, access::reading, options_.connections)),
      writer_(std::make_unique<connection_pool>(options_, access::writing, 1)) {
    if (options_.create_if_missing || (options_.write_ahead_log && !options_.read_only)) {
        const auto writer = writer_->acquire();  // opening it switches the mode
        if (options_.create_if_missing) {
            running(*writer, queries_->create, "create").execute();
        }
    }
    const auto reader = readers_->acquire();
    (void)(*reader).prepared(queries_->select_for(1), "use");  // reports a missing table or column
}

table::~table() = default;

std::vector<cell> table::load(std::span<const cell> keys) {
    std::vector<cell> values(keys.size());
    if (keys.empty()) {
        return values;
    }
    const auto reader = readers_->acquire();
    std::optional<transaction> snapshot;
    if (keys.size() > options_.batch) {  // one statement sees one state anyway
        snapshot.emplace(*reader, *queries_, queries_->begin, loading);
    }
    for (std::size_t first = 0; first < keys.size(); first += options_.batch) {
        const std::size_t some = std::min(options_.batch, keys.size() - first);
        load_some(*reader, *queries_, keys.subspan(first, some), values.data() + first);
    }
    if (snapshot) {
        snapshot->commit();
    }
    return values;
}

void table::store(std::span<const write> rows) {
    if (options_.read_only) {
        throw error(errc::read_only, "cannot " + std::string(storing) + " " +
                                         place(options_.path, options_.table) +
                                         ": it was opened with table_options::read_only");
    }
    refuse_nan(rows, options_);
    if (rows.empty()) {
        return;
    }
    const auto writer = writer_->acquire();
    refuse_unwritable(*writer, *queries_);
    transaction whole(*writer, *queries_, queries_->begin_immediate, storing);
    {
        running upsert(*writer, queries_->upsert, storing);
        running erase(*writer, queries_->erase, storing);
        for (const write& row : rows) {
            const bool erases = std::holds_alternative<std::monostate>(row.value);
            running& change = erases ? erase : upsert;
            change.bind(1, row.key);
            if (!erases) {
                change.bind(2, row.value);
            }
            change.execute();
        }
    }
    whole.commit();
}

std::uint64_t table::count() {
    const auto reader = readers_->acquire();
    running count(*reader, queries_->count, "count");
    return count.step() ? static_cast<std::uint64_t>(count.integer(0)) : 0;
}

std::exception_ptr table::wrong_value(cell_type found) const {
    std::string why = std::string("holds ") + name_of(found) + " where " + name_of(value_) + " is expected";
    if (found == value_) {
        why = std::string("holds a value of type ") + name_of(found) +
              " that is out of range or that the codec does not accept";
    }
    return std::make_exception_ptr(
        error(errc::invalid_data, place(options_.path, options_.table) + ": column \"" +
                                      options_.value_column + "\" " + why + ", beside a key of type " +
                                      name_of(key_) + " in column \"" + options_.key_column + "\""));
}

}  // namespace levee::sqlite::detail
