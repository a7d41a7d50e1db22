// The whole path: callers, cache, flight, SQLite; and what it does when the database is in trouble.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "levee/cache/read_through.hpp"
#include "levee/core/error.hpp"
#include "levee/sqlite/table_source.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using table = sqlite::table_source<std::int64_t, std::string>;

struct a_read_through_over_sqlite : ::testing::Test {
    tests::temp_dir folder;
    const std::string path = folder / "rows.db";

    std::shared_ptr<table> open() {
        return std::make_shared<table>(sqlite::table_options{
            .path = path, .table = "rows", .create_if_missing = true, .busy_timeout = 1ms});
    }

    std::shared_ptr<table> filled() {
        auto rows = open();
        std::vector<write_op<std::int64_t, std::string>> writes;
        for (std::int64_t key = 0; key < 1000; ++key) {
            writes.push_back({.key = key, .value = "row " + std::to_string(key)});
        }
        for (const write_result& written : rows->store(std::move(writes))) {
            EXPECT_EQ(written.error, nullptr);
        }
        return rows;
    }

    static cache_options<std::int64_t, std::string> options() { return {.local = {.max_entries = 100}}; }

    static std::error_code error_of(read_through<std::int64_t, std::string>& rows, std::int64_t key) {
        try {
            static_cast<void>(rows.get(key));
        } catch (const std::system_error& e) {
            return e.code();
        }
        return {};
    }
};

TEST_F(a_read_through_over_sqlite, answers_every_thread_rightly_and_loads_what_it_evicted_again) {
    read_through<std::int64_t, std::string> rows(filled(), options());
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> callers;
        for (int t = 0; t < 4; ++t) {
            callers.emplace_back([&, t] {
                for (std::int64_t i = 0; i < 3000; ++i) {
                    const std::int64_t key = (i * 7 + t) % 1001;  // 1000 is not there
                    const auto expected =
                        key < 1000 ? std::optional("row " + std::to_string(key)) : std::nullopt;
                    wrong += rows.get(key) == expected ? 0 : 1;
                }
            });
        }
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(rows.estimated_size(), 100U);
    EXPECT_GT(rows.stats().evictions, 0U);
}

TEST_F(a_read_through_over_sqlite, serves_what_it_has_while_the_database_is_locked) {
    filled();
    tests::raw_database other(path);
    other.run("PRAGMA journal_mode = DELETE");  // in this mode a writer locks readers out
    const auto from = std::make_shared<table>(
        sqlite::table_options{.path = path, .table = "rows", .busy_timeout = 1ms, .write_ahead_log = false});
    read_through<std::int64_t, std::string> rows(from, options());
    EXPECT_EQ(rows.get(1), "row 1");
    other.run("BEGIN EXCLUSIVE");
    EXPECT_EQ(rows.get(1), "row 1");
    EXPECT_EQ(error_of(rows, 2), errc::unavailable);
    EXPECT_EQ(error_of(rows, 2), errc::unavailable) << "the failure was cached";
    other.run("ROLLBACK");
    EXPECT_EQ(rows.get(2), "row 2");
}

TEST_F(a_read_through_over_sqlite, serves_what_it_has_when_the_database_is_corrupt) {
    filled();
    const auto spoil = [&] {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        const std::string garbage(64 * 1024, '\xAA');
        file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
    };
    auto from =
        std::make_shared<table>(sqlite::table_options{.path = path, .table = "rows", .connections = 1});
    read_through<std::int64_t, std::string> rows(from, options());
    EXPECT_EQ(rows.get(1), "row 1");
    spoil();
    tests::raw_database(path).run(
        "PRAGMA user_version = 1");  // a change, so that cached pages are read again
    EXPECT_EQ(rows.get(1), "row 1");
    EXPECT_EQ(error_of(rows, 900), errc::invalid_data);
}

}  // namespace
}  // namespace levee
