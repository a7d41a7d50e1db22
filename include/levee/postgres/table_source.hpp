/// A table of a PostgreSQL database as the system of record behind a cache.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/postgres/detail/columns_of.hpp"
#include "levee/postgres/detail/table.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_options.hpp"
#include "levee/store/source.hpp"

namespace levee::postgres {

/// Loads and stores the rows of one table: key columns and value columns.
///
///     auto db = std::make_shared<postgres::pool>(…);
///     struct product { std::string name; std::int64_t price; };
///     auto products = std::make_shared<postgres::table_source<std::int64_t, product>>(
///         db, postgres::table_options{.table = "products", .key_columns = {"id"}, .value_columns = {"name",
///         "price"}});
///
/// K and V are one column (`value_traits`), or several: a tuple, or an aggregate, whose parts are the columns
/// in order. A V that is none of these, or an aggregate with a `levee::codec`, is kept in one column of
/// bytea. Parameters are cast to the columns' types: a std::string may be the key of a column of uuid.
///
/// A load is one statement: `= ANY($1)` for one key column, a join with the keys for several. A row is
/// `value`; no row is `not_found`, and so is a NULL in V's only column. What does not fit V is `failed` for
/// that key, with errc::invalid_data; so is a key that PostgreSQL has no value for (text with a NUL, or that
/// is not UTF-8). One that the server does not accept for its column (text that is no uuid) fails its batch.
///
/// A store is one statement a batch, and a transaction of its own: `INSERT … ON CONFLICT DO UPDATE` of all
/// rows, and a DELETE of those without a value. Of several writes of one key in a batch the last one counts.
/// A row that the server refuses fails its batch with sql_error, which says which row it was where PostgreSQL
/// tells (`detail()`); the other rows were not written.
///
/// With a `version_column`, loads tell the row's version. A write with a version changes a row of a lower
/// version only, and gives it its own; what came too late is left out, and its write_result::version is 0. A
/// write without one counts the row's version up by one, from 1; the result tells it. Rows that are gone have
/// no version: an older write may bring them back. A NULL version is 0.
///
/// Thread safety: safe; destroy it after every call has returned.
/// Errors: those of `pool::query`. The constructor asks the server (so it must not run on a thread of the
/// pool's executor), and throws levee::error as well: errc::unavailable for a table or column that is not
/// there, errc::invalid_data without a unique index on the key, with the statement that makes one; and
/// std::invalid_argument for wrong options. Cost: one round trip a batch. On loopback a key about 50 µs
/// alone, 4 µs in a batch of 256.
template <storable K, storable V>
class table_source final : public source<K, V> {
public:
    table_source(std::shared_ptr<pool> db, table_options options)
        : db_(std::move(db)), table_(std::move(options), keys::types(), values::types()) {
        if (db_ == nullptr) {
            throw std::invalid_argument("table_source::db is null; it must be set");
        }
        table_.learn(db_->query(table_.catalogue()));
    }

    [[nodiscard]] std::vector<loaded<V>> load(std::vector<load_request<K, V>> requests) override {
        std::vector<loaded<V>> results(requests.size());
        const places where = keep_sendable(requests, results);
        for (std::size_t begin = 0; begin < requests.size(); begin += batch()) {
            const std::span<const load_request<K, V>> some = piece(requests, begin);
            distribute(db_->query(load_statement(some)), some, std::span(where).subspan(begin), results);
        }
        return results;
    }

    [[nodiscard]] boost::asio::awaitable<std::vector<loaded<V>>> async_load(
        std::vector<load_request<K, V>> requests) override {
        std::vector<loaded<V>> results(requests.size());
        const places where = keep_sendable(requests, results);
        for (std::size_t begin = 0; begin < requests.size(); begin += batch()) {
            const std::span<const load_request<K, V>> some = piece(requests, begin);
            statement question = load_statement(some);
            const result answer = co_await db_->async_query(std::move(question), boost::asio::use_awaitable);
            distribute(answer, some, std::span(where).subspan(begin), results);
        }
        co_return results;
    }

    [[nodiscard]] write_report store(std::vector<write_op<K, V>> operations) override {
        write_report report(operations.size());
        for (const run& each : runs_of(operations)) {
            table_.note_versions(db_->query(store_statement(operations, each)), each, report);
        }
        return report;
    }

    [[nodiscard]] boost::asio::awaitable<write_report> async_store(
        std::vector<write_op<K, V>> operations) override {
        write_report report(operations.size());
        const std::vector<run> runs = runs_of(operations);
        for (const run& each : runs) {
            statement question = store_statement(operations, each);
            const result answer = co_await db_->async_query(std::move(question), boost::asio::use_awaitable);
            table_.note_versions(answer, each, report);
        }
        co_return report;
    }

    [[nodiscard]] const table_options& options() const noexcept { return table_.options(); }

private:
    using keys = detail::columns_of<K>;
    using values = detail::columns_of<V>;
    using run = detail::table::run;
    using places = std::vector<std::size_t>;  // which result is a request's

    [[nodiscard]] std::size_t batch() const noexcept { return table_.options().batch; }

    [[nodiscard]] std::span<const load_request<K, V>> piece(const std::vector<load_request<K, V>>& all,
                                                            std::size_t begin) const {
        return std::span(all).subspan(begin, (std::min)(batch(), all.size() - begin));
    }

    /// Fails the keys that the server cannot even be asked for, and takes them out: others may have been put
    /// into the same batch by strangers.
    places keep_sendable(std::vector<load_request<K, V>>& all, std::vector<loaded<V>>& results) const {
        places where(all.size());
        std::iota(where.begin(), where.end(), std::size_t{0});
        try {
            parameters together;
            keys::add(together, all.size(), [&](std::size_t i) { return &all[i].key; });
            return where;
        } catch (const levee::error&) {
            where.clear();  // one by one, then
        }
        for (std::size_t i = 0; i < all.size(); ++i) {
            try {
                parameters alone;
                keys::add(alone, 1, [&](std::size_t) { return &all[i].key; });
            } catch (const levee::error&) {
                results[i] = loaded<V>::failure(std::current_exception());
                continue;
            }
            if (where.size() != i) {
                all[where.size()] = std::move(all[i]);
            }
            where.push_back(i);
        }
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(where.size()), all.end());
        return where;
    }

    [[nodiscard]] statement load_statement(std::span<const load_request<K, V>> some) const {
        parameters arrays;
        keys::add(arrays, some.size(), [&](std::size_t i) { return &some[i].key; });
        return table_.load(std::move(arrays));
    }

    /// `where`: of `some`, and perhaps further ones.
    void distribute(const result& answer, std::span<const load_request<K, V>> some,
                    std::span<const std::size_t> where, std::vector<loaded<V>>& results) const {
        if (!table_.rows_have_keys()) {
            for (const row& each : answer) {
                results[where[each.get<std::size_t>(0) - 1]] = result_of(each);
            }
            return;
        }
        if constexpr (detail::single_column<K>) {
            if (some.size() == 1) {
                for (const row& each : answer) {
                    results[where.front()] = result_of(each);
                }
                return;
            }
            parameters wanted;
            for (const load_request<K, V>& each : some) {
                wanted.add(each.key);
            }
            const detail::key_index index(wanted);
            parameters key;
            for (const row& each : answer) {
                key = parameters::of(each.get<K>(0));
                index.for_each(detail::bytes_of(key, 0),
                               [&](std::size_t i) { results[where[i]] = result_of(each); });
            }
        }
    }

    [[nodiscard]] loaded<V> result_of(const row& from) const {
        const std::size_t first = 1;
        try {
            if (values::is_absent(from, first)) {
                return loaded<V>::missing();
            }
            loaded<V> found = loaded<V>::found(values::read(from, first));
            if (table_.has_version()) {
                found.version = from.get<std::optional<std::uint64_t>>(first + values::count).value_or(0);
            }
            return found;
        } catch (const levee::error&) {
            return loaded<V>::failure(std::current_exception());
        }
    }

    [[nodiscard]] std::vector<run> runs_of(const std::vector<write_op<K, V>>& operations) const {
        std::vector<bool> is_value;
        std::vector<std::uint64_t> versions;
        for (const write_op<K, V>& each : operations) {
            is_value.push_back(each.value.has_value());
            versions.push_back(each.version);
        }
        return table_.runs_of(is_value, versions);
    }

    [[nodiscard]] statement store_statement(const std::vector<write_op<K, V>>& operations,
                                            const run& what) const {
        const auto some = std::span(operations).subspan(what.begin, what.end - what.begin);
        parameters arrays;
        keys::add(arrays, some.size(), [&](std::size_t i) { return &some[i].key; });
        if (what.has_values) {
            values::add(arrays, some.size(),
                        [&](std::size_t i) { return some[i].value ? &*some[i].value : nullptr; });
        }
        if (what.has_values && what.has_erasures) {
            arrays.add_array<bool>(some.size(), [&](std::size_t i) { return !some[i].value.has_value(); });
        }
        if (what.has_versions) {
            arrays.add_array<std::uint64_t>(some.size(), [&](std::size_t i) { return some[i].version; });
        }
        return table_.store(what, std::move(arrays));
    }

    std::shared_ptr<pool> db_;
    detail::table table_;
};

}  // namespace levee::postgres
