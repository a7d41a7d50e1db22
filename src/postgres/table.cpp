#include "levee/postgres/detail/table.hpp"

#include <stdexcept>
#include <utility>

#include "levee/core/error.hpp"
#include "postgres/table_queries.hpp"

namespace levee::postgres::detail {
namespace {

void expect_columns(const char* field, std::size_t columns, std::size_t parts) {
    if (columns != parts) {
        throw std::invalid_argument("table_options::" + std::string(field) + " has " +
                                    std::to_string(columns) + " columns; the type kept in them has " +
                                    std::to_string(parts));
    }
}

std::string place(const table_options& options) {
    return "table \"" + (options.schema.empty() ? "" : options.schema + "\".\"") + options.table + "\"";
}

}  // namespace

table::table(table_options options, std::vector<type_oid> keys, std::vector<type_oid> values)
    : options_(std::move(options)), shape_(std::make_unique<table_shape>()) {
    validate(options_);
    expect_columns("key_columns", options_.key_columns.size(), keys.size());
    expect_columns("value_columns", options_.value_columns.size(), values.size());
    shape_->sent_keys = std::move(keys);
    shape_->sent_values = std::move(values);
}

table::~table() = default;

statement table::make(const std::string& sql, parameters values) const {
    statement made(sql, std::move(values));
    made.timeout = options_.timeout;
    return made;
}

statement table::catalogue() const {
    std::vector<std::string> all = options_.key_columns;
    all.insert(all.end(), options_.value_columns.begin(), options_.value_columns.end());
    if (has_version()) {
        all.push_back(options_.version_column);
    }
    return make(catalogue_query(),
                parameters::of(options_.schema, options_.table, options_.key_columns, all));
}

void table::learn(const result& answer) {
    const row facts = answer[0];
    const auto name = facts.get<std::optional<std::string>>(0);
    if (!name) {
        throw error(levee::errc::unavailable, place(options_) + " is not there");
    }
    shape_->qualified_name = *name;
    const auto types = facts.get<std::vector<std::int64_t>>(2);
    const auto type_names = facts.get<std::vector<std::string>>(3);
    const auto collations = facts.get<std::vector<std::string>>(4);
    const auto plain = facts.get<std::vector<bool>>(5);
    std::size_t next = 0;
    const auto column = [&](const std::string& named) {
        const std::size_t i = next++;
        if (types.at(i) == 0) {
            throw error(levee::errc::unavailable, place(options_) + " has no column \"" + named + "\"");
        }
        return table_column{named, static_cast<type_oid>(types[i]), type_names.at(i), collations.at(i),
                            plain.at(i)};
    };
    for (const std::string& each : options_.key_columns) {
        shape_->keys.push_back(column(each));
    }
    for (const std::string& each : options_.value_columns) {
        shape_->values.push_back(column(each));
    }
    if (has_version()) {
        shape_->version = column(options_.version_column);
    }
    if (options_.require_unique_index && !facts.get<bool>(1)) {
        throw error(levee::errc::invalid_data,
                    place(options_) +
                        " has no unique index on its key; make one: " + create_index_statement(*shape_));
    }

    const key_lookup how = lookup_of(*shape_);
    rows_have_keys_ = how == key_lookup::any;
    load_ = load_query(*shape_, how);
    for (const write_kind kind : {write_kind::upsert, write_kind::erase, write_kind::mixed}) {
        store_[2 * static_cast<std::size_t>(kind)] = store_query(*shape_, kind, false);
        if (has_version()) {
            store_[2 * static_cast<std::size_t>(kind) + 1] = store_query(*shape_, kind, true);
        }
    }
}

std::vector<table::run> table::runs_of(const std::vector<bool>& is_value,
                                       const std::vector<std::uint64_t>& versions) const {
    std::vector<run> runs;
    for (std::size_t i = 0; i < is_value.size(); ++i) {
        const bool has_versions = has_version() && versions[i] != 0;
        if (runs.empty() || runs.back().has_versions != has_versions ||
            runs.back().end - runs.back().begin == options_.batch) {
            runs.push_back({.begin = i, .has_versions = has_versions});
        }
        run& last = runs.back();
        last.end = i + 1;
        (is_value[i] ? last.has_values : last.has_erasures) = true;
    }
    return runs;
}

statement table::store(const run& what, parameters values) const {
    const write_kind kind = !what.has_erasures ? write_kind::upsert
                            : what.has_values  ? write_kind::mixed
                                               : write_kind::erase;
    return make(store_[2 * static_cast<std::size_t>(kind) + (what.has_versions ? 1 : 0)], std::move(values));
}

void table::note_versions(const result& answer, const run& what, write_report& report) const {
    if (!has_version()) {
        return;
    }
    for (const row& each : answer) {
        const auto number = each.get<std::size_t>(0);
        if (number >= 1 && what.begin + number <= what.end) {
            report[what.begin + number - 1].version = each.get<std::uint64_t>(1);
        }
    }
}

key_index::key_index(const parameters& keys) : next_(keys.size(), none) {
    first_.reserve(keys.size());
    for (std::size_t i = keys.size(); i-- > 0;) {  // so that a chain goes upwards
        const auto [at, is_new] = first_.try_emplace(bytes_of(keys, i), i);
        if (!is_new) {
            next_[i] = std::exchange(at->second, i);
        }
    }
}

}  // namespace levee::postgres::detail
