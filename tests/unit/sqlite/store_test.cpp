/// Writes: upserts, erasures, one transaction, bulk, and what a failure leaves behind.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/sqlite/table_source.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace levee::tests {
namespace {

using sqlite::table_source;
using namespace std::string_literals;
using texts = table_source<std::string, std::string>;
using write = write_op<std::string, std::string>;

class SqliteStore : public ::testing::Test {
protected:
    [[nodiscard]] sqlite::table_options options() const {
        return {.path = dir_ / "data.db", .table = "items", .create_if_missing = true};
    }

    temp_dir dir_;
};

TEST_F(SqliteStore, inserts_updates_and_erases_in_the_order_given) {
    texts source(options());
    const write_report report =
        source.store({{"a", "1"}, {"b", "2"}, {"a", "3"}, {"b"}, {"c"}, {"d"}, {"d", "4"}});
    ASSERT_EQ(report.size(), 7U);
    for (const write_result& one : report) {
        EXPECT_FALSE(one.error);
        EXPECT_EQ(one.version, 0U);
    }
    EXPECT_EQ(get(source, "a"), "3");
    EXPECT_EQ(get(source, "b"), std::nullopt);
    EXPECT_EQ(get(source, "d"), "4");
    EXPECT_EQ(source.count(), 2U);
}

TEST_F(SqliteStore, no_operations_are_an_empty_report) {
    texts source(options());
    EXPECT_TRUE(source.store({}).empty());
}

TEST_F(SqliteStore, rows_are_there_when_the_file_is_opened_again) {
    {
        texts source(options());
        put(source, "a", "1");
    }
    texts again({.path = dir_ / "data.db", .table = "items"});
    EXPECT_EQ(get(again, "a"), "1");
    EXPECT_EQ(again.path(), dir_ / "data.db");
}

TEST_F(SqliteStore, an_existing_table_is_left_as_it_is_by_create_if_missing) {
    raw_database raw(dir_ / "data.db");
    raw.run(
        "CREATE TABLE items (key TEXT UNIQUE, value TEXT, note TEXT DEFAULT 'none'); "
        "INSERT INTO items VALUES ('a', '1', 'kept')");
    texts source(options());
    put(source, "a", "2");
    put(source, "b", "3");
    EXPECT_EQ(raw.text("SELECT value || note FROM items WHERE key = 'a'"), "2kept");
    EXPECT_EQ(raw.text("SELECT value || note FROM items WHERE key = 'b'"), "3none");
}

TEST_F(SqliteStore, a_bulk_fill_is_one_transaction) {
    texts source(options());
    std::vector<write> rows;
    for (int i = 0; i < 20'000; ++i) {
        rows.push_back({.key = "key " + std::to_string(i), .value = "value " + std::to_string(i)});
    }
    EXPECT_EQ(source.store(std::move(rows)).size(), 20'000U);
    EXPECT_EQ(source.count(), 20'000U);
    EXPECT_EQ(get(source, "key 19999"), "value 19999");
}

TEST_F(SqliteStore, a_refused_row_rolls_the_whole_batch_back) {
    raw_database(dir_ / "data.db")
        .run("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT CHECK (value <> 'poison'))");
    texts source(options());
    put(source, "a", "old");
    const error refused = error_of([&] { (void)source.store({{"a", "new"}, {"b", "1"}, {"c", "poison"}}); });
    EXPECT_EQ(refused.code(), std::error_code(SQLITE_CONSTRAINT_CHECK, sqlite::error_category()));
    EXPECT_TRUE(says(refused, {"cannot store to", "table \"items\"", source.path(), "CHECK"}));
    EXPECT_EQ(get(source, "a"), "old");
    EXPECT_EQ(get(source, "b"), std::nullopt);
    put(source, "a", "newer");
    EXPECT_EQ(get(source, "a"), "newer");
}

TEST_F(SqliteStore, text_for_a_row_id_is_invalid_data) {
    raw_database(dir_ / "data.db").run("CREATE TABLE items (key INTEGER PRIMARY KEY, value TEXT)");
    texts source(options());
    EXPECT_EQ(error_of([&] { put(source, "not a number", "x"); }).code(), errc::invalid_data);
    put(source, "12", "twelve");
    EXPECT_EQ(get(source, "12"), "twelve");
}

TEST_F(SqliteStore, a_view_can_be_loaded_and_refuses_writes) {
    raw_database(dir_ / "data.db")
        .run(
            "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT); INSERT INTO t VALUES ('a', '1'); "
            "CREATE VIEW items AS SELECT key, value FROM t");
    texts source(options());
    EXPECT_EQ(load(source, {"a"s, "b"s})[0].value, "1");
    const error refused = error_of([&] { put(source, "a", "2"); });
    EXPECT_EQ(refused.code(), errc::read_only);
    EXPECT_TRUE(says(refused, {"cannot store to", "view"}));
    EXPECT_EQ(get(source, "a"), "1");
}

TEST_F(SqliteStore, a_key_that_is_not_unique_can_be_loaded_and_refuses_writes) {
    raw_database(dir_ / "data.db")
        .run("CREATE TABLE items (key TEXT, value TEXT); INSERT INTO items VALUES ('a', '1')");
    texts source(options());
    EXPECT_EQ(get(source, "a"), "1");
    const error refused = error_of([&] { put(source, "a", "2"); });
    EXPECT_EQ(refused.code(), errc::read_only);
    EXPECT_TRUE(says(refused, {"UNIQUE"}));
}

TEST_F(SqliteStore, a_read_only_source_refuses_writes_and_leaves_the_journal_mode) {
    raw_database raw(dir_ / "data.db");
    raw.run("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT); INSERT INTO items VALUES ('a', '1')");
    texts source({.path = dir_ / "data.db", .table = "items", .read_only = true});
    EXPECT_EQ(get(source, "a"), "1");
    EXPECT_EQ(error_of([&] { put(source, "a", "2"); }).code(), errc::read_only);
    EXPECT_EQ(error_of([&] { (void)source.store({}); }).code(), errc::read_only);
    EXPECT_EQ(get(source, "a"), "1");
    EXPECT_EQ(raw.text("PRAGMA journal_mode"), "delete");
}

TEST_F(SqliteStore, a_writable_file_is_switched_to_write_ahead_logging_unless_told_not_to) {
    raw_database raw(dir_ / "data.db");
    raw.run("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT)");
    {
        texts kept({.path = dir_ / "data.db", .table = "items", .write_ahead_log = false});
        put(kept, "a", "1");
        EXPECT_EQ(raw.text("PRAGMA journal_mode"), "delete");
    }
    texts switched({.path = dir_ / "data.db", .table = "items"});
    EXPECT_EQ(raw_database(dir_ / "data.db").text("PRAGMA journal_mode"), "wal");
    EXPECT_EQ(get(switched, "a"), "1");
}

}  // namespace
}  // namespace levee::tests
