#include "levee/postgres/pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "support/code_of.hpp"
#include "support/postgres_fixture.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_awaitable;
using asio::use_future;
using tests::code_of;
using tests::postgres_pool;

TEST_F(postgres_pool, answers_threads_and_coroutines) {
    pool db(options());
    EXPECT_EQ(db.query("SELECT $1::int", 5).value<int>(), 5);
    EXPECT_EQ(db.async_query("SELECT $1::int", parameters::of(6), use_future).get().value<int>(), 6);
    EXPECT_EQ(db.async_execute(statement("SELECT generate_series(1, 3)"), use_future).get(), 3U);
    EXPECT_EQ(db.stats().created, 1U);
    EXPECT_THROW(db.query("SELEC 1"), sql_error);
    EXPECT_EQ(db.stats().discarded, 0U);
}

TEST_F(postgres_pool, a_transaction_commits_or_leaves_nothing) {
    pool db(options());
    db.with_connection([](connection& one) {
        one.run_script("DROP TABLE IF EXISTS ledger; CREATE TABLE ledger (id int PRIMARY KEY, amount int)");
    });
    const int answer = db.transaction([](transaction& tx) {
        tx.execute("INSERT INTO ledger VALUES (1, 10)");
        return tx.query("SELECT amount FROM ledger WHERE id = 1").value<int>();
    });
    EXPECT_EQ(answer, 10);
    EXPECT_THROW(db.transaction([](transaction& tx) {
        tx.execute("INSERT INTO ledger VALUES (2, 20)");
        throw std::logic_error("no");
    }),
                 std::logic_error);
    EXPECT_EQ(db.query("SELECT count(*) FROM ledger").value<std::int64_t>(), 1);
    EXPECT_EQ(code_of([&] {
                  db.transaction([](transaction& tx) {
                      try {
                          tx.execute("INSERT INTO ledger VALUES (1, 11)");
                      } catch (const sql_error&) {  // and goes on as if nothing had been
                      }
                  });
              }),
              sqlstate::in_failed_transaction);
    EXPECT_EQ(code_of([&] {
                  db.transaction([](transaction& tx) { tx.execute("DELETE FROM ledger"); },
                                 {.isolation = isolation_level::serializable, .is_read_only = true});
              }),
              sqlstate::read_only_transaction);
    EXPECT_EQ(db.query("SELECT count(*) FROM ledger").value<std::int64_t>(), 1);
}

TEST_F(postgres_pool, a_coroutines_transaction_commits_or_leaves_nothing) {
    pool db(options());
    db.with_connection([](connection& one) {
        one.run_script("DROP TABLE IF EXISTS ledger2; CREATE TABLE ledger2 (id int PRIMARY KEY)");
    });
    const auto insert = [](transaction& tx) -> asio::awaitable<int> {
        statement one("INSERT INTO ledger2 VALUES ($1)", 1);
        auto work = tx.async_execute(std::move(one), use_awaitable);
        co_return static_cast<int>(co_await std::move(work));
    };
    EXPECT_EQ(db.async_transaction(insert, use_future).get(), 1);
    EXPECT_EQ(code_of([&] { db.async_transaction(insert, use_future).get(); }), sqlstate::unique_violation);
    const auto fail = [](transaction& tx) -> asio::awaitable<void> {
        statement one("INSERT INTO ledger2 VALUES ($1)", 2);
        auto work = tx.async_execute(std::move(one), use_awaitable);
        static_cast<void>(co_await std::move(work));
        throw std::logic_error("no");
    };
    EXPECT_THROW(db.async_transaction(fail, use_future).get(), std::logic_error);
    const auto count = [](connection& one) -> asio::awaitable<std::int64_t> {
        statement question("SELECT count(*) FROM ledger2");
        auto work = one.async_query(std::move(question), use_awaitable);
        const result answer = co_await std::move(work);
        co_return answer.value<std::int64_t>();
    };
    EXPECT_EQ(db.async_with_connection(count, use_future).get(), 1);
}

TEST_F(postgres_pool, conflicts_are_run_again) {
    pool db(options());
    db.with_connection([](connection& one) {
        one.run_script(
            "DROP TABLE IF EXISTS counter; CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)");
    });
    const transaction_options again{.isolation = isolation_level::serializable,
                                    .attempts = 200,
                                    .backoff = {.initial = 1ms, .max = 20ms}};
    std::atomic<std::size_t> runs = 0;
    const auto increment = [&](transaction& tx) {
        ++runs;
        const int n = tx.query("SELECT n FROM counter").value<int>();
        tx.execute("UPDATE counter SET n = $1", n + 1);
    };
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 20; ++i) {
                    db.transaction(increment, again);
                }
            });
        }
    }
    EXPECT_EQ(db.query("SELECT n FROM counter").value<int>(), 60);
    EXPECT_GE(runs, 60U);
}

TEST_F(postgres_pool, many_callers_share_few_connections) {
    auto chosen = options();
    chosen.multiplexed = 2;
    chosen.pool.max_size = 1;
    pool db(chosen);
    std::vector<std::future<result>> all;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 64; ++i) {
            all.push_back(db.async_query(statement("SELECT $1::int", round * 64 + i), use_future));
        }
        for (int i = 0; i < 64; ++i) {
            ASSERT_EQ(all[static_cast<std::size_t>(round * 64 + i)].get().value<int>(), round * 64 + i);
        }
    }
    // What changes a session gets one of its own.
    db.async_query(statement("SET search_path = mine"), use_future).get();
    db.async_query(statement("SELECT pg_advisory_lock(4)"), use_future).get();
    for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(db.async_query(statement("SELECT current_setting('search_path')"), use_future)
                      .get()
                      .value<std::string>(),
                  "\"$user\", public");
    }
}

TEST_F(postgres_pool, callers_who_share_a_connection_hear_why_their_statement_cannot_be_prepared) {
    auto chosen = single();
    chosen.multiplexed = 1;
    pool db(chosen);
    ASSERT_TRUE(is_shared(db));
    std::vector<std::future<result>> all;
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 32; ++i) {
            all.push_back(db.async_query(statement("SELECT nothing FROM nowhere"), use_future));
        }
        for (auto& each : std::exchange(all, {})) {
            EXPECT_EQ(code_of([&] { each.get(); }), sqlstate::undefined_table);
        }
    }
}

TEST_F(postgres_pool, a_cancelled_caller_does_not_harm_those_who_share_its_connection) {
    auto chosen = options();
    chosen.multiplexed = 1;
    pool db(chosen);
    ASSERT_TRUE(is_shared(db));
    for (int round = 0; round < 20; ++round) {
        std::vector<std::future<result>> others;
        auto slow = db.async_query(statement("SELECT pg_sleep(600) FROM generate_series(1, 2)").within(5ms),
                                   use_future);
        for (int i = 0; i < 32; ++i) {
            others.push_back(db.async_query(statement("SELECT $1::int, pg_sleep(0.0005)", i), use_future));
        }
        EXPECT_EQ(code_of([&] { slow.get(); }), levee::errc::timeout);
        for (int i = 0; i < 32; ++i) {
            EXPECT_EQ(others[static_cast<std::size_t>(i)].get()[0].get<int>(0), i);
        }
    }
}

// The statement's caller keeps the pool's connection, which keeps the statement.
TEST_F(postgres_pool, lets_go_of_its_callers_when_its_executor_is_destroyed) {
    std::future<result> waits;
    {
        runtime brief{1};
        auto chosen = options();
        chosen.connection.executor = brief.get_executor();
        chosen.connection.blocking_executor = brief.blocking_executor();
        pool db(chosen);
        static_cast<void>(db.query("SELECT 1"));
        statement sleeps("SELECT pg_sleep(60)");
        waits = db.async_query(std::move(sleeps), use_future);
    }
    ASSERT_EQ(waits.wait_for(20s), std::future_status::ready);
    EXPECT_THROW(static_cast<void>(waits.get()), std::exception);
}

// On an executor that outlives the connection's: nothing of that may be left in them.
TEST_F(postgres_pool, ends_callers_elsewhere_after_a_connection_and_its_executor) {
    asio::thread_pool elsewhere(1);
    std::promise<void> gone;
    std::promise<std::exception_ptr> ended;
    asio::cancellation_signal never;
    {
        runtime brief{1};
        auto chosen = options().connection;
        chosen.executor = brief.get_executor();
        chosen.blocking_executor = brief.blocking_executor();
        connection db(chosen);
        const auto handler = [&](std::exception_ptr why, const result&) { ended.set_value(std::move(why)); };
        db.async_query(statement("SELECT pg_sleep(60)"),
                       asio::bind_cancellation_slot(never.slot(),
                                                    asio::bind_executor(elsewhere.get_executor(), handler)));
        asio::post(elsewhere, [&] { gone.get_future().wait(); });
    }
    gone.set_value();
    EXPECT_EQ(code_of([&] { std::rethrow_exception(ended.get_future().get()); }), levee::errc::closed);
    elsewhere.join();
}

}  // namespace
}  // namespace levee::postgres
