/// Many threads on one source.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/sqlite/table_source.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace levee::tests {
namespace {

using numbers = sqlite::table_source<std::int64_t, std::int64_t>;
using namespace std::chrono_literals;

/// Lets a load hang in the middle: `hold(x)` is an SQL function that answers x once `release` is given.
struct gate {
    std::latch entered{1};
    std::latch release{1};
};
std::atomic<gate*> current_gate{nullptr};

int register_hold(sqlite3* database, char**, const sqlite3_api_routines*) {
    const auto hold = [](sqlite3_context* context, int, sqlite3_value** arguments) {
        if (gate* const closed = current_gate.load()) {
            closed->entered.count_down();
            closed->release.wait();
        }
        sqlite3_result_value(context, arguments[0]);
    };
    return sqlite3_create_function_v2(database, "hold", 1, SQLITE_UTF8 | SQLITE_INNOCUOUS, nullptr, hold,
                                      nullptr, nullptr, nullptr);
}

class SqliteThreads : public ::testing::Test {
protected:
    [[nodiscard]] sqlite::table_options options() const {
        return {.path = dir_ / "data.db",
                .table = "items",
                .create_if_missing = true,
                .sync_every_commit = false};
    }

    /// A source over a view whose rows pass through `hold`.
    [[nodiscard]] sqlite::table_options held(std::size_t connections, duration busy_timeout) const {
        {
            numbers items(options());
            put(items, 1, 10);
        }
        raw_database(dir_ / "data.db").run("CREATE VIEW held AS SELECT key, hold(value) AS value FROM items");
        return {.path = dir_ / "data.db",
                .table = "held",
                .busy_timeout = busy_timeout,
                .connections = connections};
    }

    temp_dir dir_;
};

TEST_F(SqliteThreads, loads_beside_a_writer_see_whole_transactions) {
    sqlite::table_options small = options();
    small.batch = 3;  // ten keys are four statements, in one transaction
    numbers source(small);
    const std::vector<std::int64_t> keys{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const auto write_all = [&](std::int64_t value) {
        std::vector<write_op<std::int64_t, std::int64_t>> rows;
        for (const std::int64_t key : keys) {
            rows.push_back({.key = key, .value = value});
        }
        (void)source.store(std::move(rows));
    };
    write_all(0);
    std::atomic<bool> done{false};
    std::atomic<int> torn{0};
    std::atomic<int> backwards{0};
    std::latch started(8);
    std::vector<std::jthread> readers;
    for (int i = 0; i < 8; ++i) {
        readers.emplace_back([&] {
            std::int64_t last = 0;
            started.count_down();
            do {
                const auto found = load(source, keys);
                for (const auto& one : found) {
                    torn += one.value != found[0].value ? 1 : 0;
                }
                backwards += found[0].value < last ? 1 : 0;
                last = found[0].value.value_or(last);
            } while (!done);
        });
    }
    started.wait();
    for (std::int64_t value = 1; value <= 200; ++value) {
        write_all(value);
    }
    done = true;
    readers.clear();
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(backwards, 0);
    EXPECT_EQ(get(source, 9), 200);
}

TEST_F(SqliteThreads, writers_take_turns_and_lose_nothing) {
    numbers source(options());
    {
        std::vector<std::jthread> writers;
        for (std::int64_t writer = 0; writer < 4; ++writer) {
            writers.emplace_back([&source, writer] {
                for (std::int64_t i = 0; i < 50; ++i) {
                    put(source, writer * 50 + i, i);
                }
            });
        }
    }
    EXPECT_EQ(source.count(), 200U);
}

TEST_F(SqliteThreads, sources_that_create_one_file_at_the_same_time_share_it) {
    std::latch start(4);
    {
        std::vector<std::jthread> openers;
        for (std::int64_t i = 0; i < 4; ++i) {
            openers.emplace_back([&, i] {
                start.arrive_and_wait();
                numbers source(options());
                put(source, i, i);
            });
        }
    }
    EXPECT_EQ(numbers(options()).count(), 4U);
}

TEST_F(SqliteThreads, a_load_that_finds_no_free_connection_in_time_is_a_timeout) {
    const opening_hook hook(&register_hold);
    numbers source(held(1, 1ms));
    gate closed;
    current_gate = &closed;
    std::jthread holder([&] { EXPECT_EQ(get(source, 1), 10); });
    closed.entered.wait();
    const error busy = error_of([&] { (void)get(source, 1); });
    EXPECT_EQ(busy.code(), errc::timeout);
    EXPECT_TRUE(says(busy, {source.path(), "table \"held\"", "reading", "1000000 ns"}));
    closed.release.count_down();
    holder.join();
    EXPECT_EQ(get(source, 1), 10);
    current_gate = nullptr;
}

TEST_F(SqliteThreads, a_waiting_load_goes_on_when_a_connection_comes_back) {
    const opening_hook hook(&register_hold);
    numbers source(held(1, duration::max()));
    gate closed;
    current_gate = &closed;
    std::jthread holder([&] { EXPECT_EQ(get(source, 1), 10); });
    closed.entered.wait();
    std::jthread waiter([&] { EXPECT_EQ(get(source, 1), 10); });
    closed.release.count_down();
    holder.join();
    waiter.join();
    current_gate = nullptr;
}

TEST_F(SqliteThreads, loads_use_as_many_connections_as_allowed) {
    const opening_hook hook(&register_hold);
    numbers source(held(2, duration::zero()));
    gate closed;
    current_gate = &closed;
    std::jthread holder([&] { EXPECT_EQ(get(source, 1), 10); });
    closed.entered.wait();
    current_gate = nullptr;
    EXPECT_EQ(get(source, 1), 10);  // on the second connection, while the first is held
    closed.release.count_down();
}

}  // namespace
}  // namespace levee::tests
