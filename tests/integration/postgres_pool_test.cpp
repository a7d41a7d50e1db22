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
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "postgres/establish.hpp"
#include "support/postgres_random_operations.hpp"
#include "support/postgres_server.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_awaitable;
using asio::use_future;

template <class F>
std::error_code code_of(F&& f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return e.code();
    }
    return {};
}

struct with_server : testing::Test {
    void SetUp() override {
        if (!tests::postgres_server::is_installed()) {
            GTEST_SKIP() << tests::postgres_server::why_skipped;
        }
    }
    [[nodiscard]] pool_options options(const std::string& uri) {
        return {.connection = {.uri = uri,
                               .executor = rt.get_executor(),
                               .blocking_executor = rt.blocking_executor(),
                               .statement_timeout = 10s},
                .pool = {.max_size = 4}};
    }

    runtime rt{2};
};

tests::postgres_server& shared_server() {
    static tests::postgres_server server;
    return server;
}

struct postgres_pool : with_server {
    [[nodiscard]] pool_options options() { return with_server::options(shared_server().uri()); }
    [[nodiscard]] pool_options single() {
        auto one = options();
        one.pool.max_size = 1;
        return one;
    }
    /// Waits until the session with this number shows that nothing is left in it.
    static bool is_clean(int process) {
        const std::string pid = std::to_string(process);
        return tests::poll_until(
            [&] {
                return shared_server().execute(
                           "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND pid = " + pid) ==
                           "1" &&
                       shared_server().execute("SELECT count(*) FROM pg_locks WHERE pid = " + pid) == "0";
            },
            20s);
    }
};

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

struct trace {
    const char* name;
    const char* sql;
};

class postgres_return : public postgres_pool, public testing::WithParamInterface<trace> {};

TEST_P(postgres_return, a_statement_that_leaves_something_behind_is_cleaned_up) {
    pool db(single());
    const int process = db.query("SELECT pg_backend_pid()").value<int>();
    db.query(GetParam().sql);
    EXPECT_TRUE(is_clean(process));
    const auto found = db.query(
        "SELECT pg_backend_pid(), current_setting('search_path'), (SELECT count(*) FROM "
        "pg_listening_channels()), "
        "(SELECT count(*) FROM pg_cursors WHERE name <> ''), (SELECT count(*) FROM pg_class WHERE "
        "relpersistence = 't' AND "
        "pg_table_is_visible(oid)), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = "
        "pg_backend_pid()), current_setting('transaction_isolation')");
    const row left = found[0];
    EXPECT_EQ(left.get<int>(0), process);  // cleaned, not closed
    EXPECT_EQ(left.get<std::string>(1), "\"$user\", public");
    for (std::size_t i : {2U, 3U, 4U, 5U}) {
        EXPECT_EQ(left.get<std::int64_t>(i), 0) << i;
    }
    EXPECT_EQ(left.get<std::string>(6), "read committed");
}

INSTANTIATE_TEST_SUITE_P(
    traces, postgres_return,
    testing::Values(trace{"open_transaction", "BEGIN ISOLATION LEVEL SERIALIZABLE"},
                    trace{"setting", "SET search_path = x"},
                    trace{"quiet_setting", "SELECT set_config('search_path', 'x', false)"},
                    trace{"listen", "LISTEN something"}, trace{"lock", "SELECT pg_advisory_lock(17)"},
                    trace{"table", "CREATE TEMP TABLE gone (id int)"},
                    trace{"table_of_query", "CREATE TEMPORARY TABLE gone AS SELECT 1"},
                    trace{"cursor", "DECLARE held CURSOR WITH HOLD FOR SELECT 1"},
                    trace{"code", "DO $$ BEGIN PERFORM pg_advisory_lock(18); SET search_path = y; END $$"}),
    [](const auto& one) { return one.param.name; });

TEST_F(postgres_pool, what_was_done_with_a_connection_is_cleaned_up_or_the_connection_closed) {
    pool db(single());
    const auto pid = [&] { return db.query("SELECT pg_backend_pid()").value<int>(); };
    const int first = pid();
    db.with_connection([](connection& one) {
        one.query("BEGIN");
        EXPECT_THROW(one.query("SELECT 1 / 0"), sql_error);  // a failed transaction
    });
    EXPECT_EQ(pid(), first);
    db.with_connection([](connection& one) { one.query("PREPARE mine AS SELECT 1"); });
    const int second = pid();
    EXPECT_NE(second, first);
    std::future<result> busy;
    db.with_connection([&](connection& one) {
        busy = one.async_query(statement("SELECT pg_sleep(0.05)"), use_future);  // still under way
    });
    EXPECT_EQ(busy.get().size(), 1U);
    EXPECT_EQ(pid(), second);
    db.with_connection([&](connection& one) {
        one.run_script("CREATE TEMP TABLE copied (id int)");
        auto copy = one.begin_copy("COPY copied FROM STDIN");
        copy.write("1\n");  // and no end
    });
    EXPECT_TRUE(db.query("SELECT to_regclass('copied') IS NULL").value<bool>());
    const int third = pid();
    db.with_connection([](connection& one) { one.execute("SET search_path = x"); });
    EXPECT_EQ(db.query("SHOW search_path").value<std::string>(), "\"$user\", public");
    EXPECT_EQ(pid(), third);
    EXPECT_TRUE(is_clean(third));
}

TEST_F(postgres_pool, what_was_still_under_way_when_a_connection_came_back_counts_too) {
    pool db(single());
    const auto pid = [&] { return db.query("SELECT pg_backend_pid()").value<int>(); };
    for (const char* late : {"PREPARE late AS SELECT 1", "LOAD 'plpgsql'"}) {
        const int first = pid();
        std::future<result> slow, left;
        db.with_connection([&](connection& one) {
            slow = one.async_query(statement("SELECT pg_sleep(0.05)"), use_future);
            left = one.async_query(statement(late), use_future);
        });
        left.get();
        EXPECT_NE(pid(), first) << late;
        EXPECT_EQ(
            db.query("SELECT count(*) FROM pg_prepared_statements WHERE name = 'late'").value<std::int64_t>(),
            0);
    }
}

TEST_F(postgres_pool, nobody_hears_what_was_told_to_the_last_user) {
    pool db(single());
    connection other(options().connection);
    connection witness(options().connection);
    witness.listen("gossip");
    const auto expect_silence = [&] {
        db.with_connection([](connection& one) {
            one.query("SELECT 1");
            EXPECT_EQ(code_of([&] { one.wait_notification(10ms); }), levee::errc::timeout);
            one.listen("news");
            one.notify("news", "fresh");
            EXPECT_EQ(one.wait_notification(20s).payload, "fresh");
        });
    };
    for (int round = 0; round < 5; ++round) {
        db.with_connection([&](connection& one) {
            one.listen("gossip");
            other.notify("gossip", "stale");
            static_cast<void>(witness.wait_notification(20s));  // so it has been sent here, too, and not read
        });
        expect_silence();
        std::future<result> left;
        db.with_connection([&](connection& one) {
            one.listen("gossip");
            left =
                one.async_query(statement("SELECT pg_notify('gossip', 'late'), pg_sleep(0.02)"), use_future);
        });
        expect_silence();
        static_cast<void>(witness.wait_notification(20s));
    }
}

TEST_F(postgres_pool, never_cleans_nothing_and_still_closes_what_is_in_a_transaction) {
    auto chosen = single();
    chosen.reset_on_return = reset_policy::never;
    pool db(chosen);
    const int first = db.query("SELECT pg_backend_pid()").value<int>();
    db.query("SET search_path = kept");
    EXPECT_EQ(db.query("SHOW search_path").value<std::string>(), "kept");
    db.query("BEGIN");
    EXPECT_NE(db.query("SELECT pg_backend_pid()").value<int>(), first);
}

TEST_F(postgres_pool, a_time_out_leaves_no_work_and_no_dirt) {
    pool db(single());
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT pg_advisory_lock(3), pg_sleep(600)").within(50ms)); }),
              levee::errc::timeout);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    EXPECT_EQ(shared_server().execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
    EXPECT_EQ(
        shared_server().execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                                "'%pg_sleep%' AND pid <> pg_backend_pid()"),
        "0");
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

/// Until the connection that asynchronous callers share is up: it is another one than a thread is lent.
bool is_shared(pool& db) {
    const statement who("SELECT pg_backend_pid()");
    return tests::poll_until(
        [&] { return db.query(who).value<int>() != db.async_query(who, use_future).get().value<int>(); },
        20s);
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

/// A session as those that callers share.
std::shared_ptr<detail::session> share(const connection_options& chosen) {
    auto config = std::make_shared<const detail::session_config>(chosen);
    const time_point until = clock::precise().now() + 20s;
    auto work = detail::establish(config, until, true, std::nullopt);
    return asio::co_spawn(asio::make_strand(chosen.executor), std::move(work), use_future).get();
}

TEST_F(postgres_pool, a_shared_connection_on_which_something_was_left_behind_is_given_up) {
    const auto ask = [](detail::session& to, const char* sql) {
        static_cast<void>(detail::ask(to, statement(sql), clock::precise().now() + 20s));
    };
    for (const char* leaving :
         {"SET search_path = x", "LISTEN gossip", "PREPARE mine AS SELECT 1", "SELECT pg_advisory_lock(9)"}) {
        const auto shared = share(options().connection);
        ask(*shared, "SELECT 1");
        EXPECT_TRUE(shared->is_fit());
        ask(*shared, leaving);
        EXPECT_FALSE(shared->is_fit()) << leaving;
        shared->close();
    }
    // A comment within a comment, and one that a carriage return ends, hide what the statement is.
    auto chosen = single();
    chosen.multiplexed = 1;
    pool db(chosen);
    for (const char* hidden :
         {"/* /* */ SELECT */ SET search_path = hidden", "-- \rPREPARE hidden AS\nSELECT 1"}) {
        ASSERT_TRUE(is_shared(db));
        db.async_query(statement(hidden), use_future).get();
        const statement left(
            "SELECT current_setting('search_path') || (SELECT count(*) FROM pg_prepared_statements WHERE "
            "name = "
            "'hidden')");
        EXPECT_EQ(db.async_query(left, use_future).get().value<std::string>(), "\"$user\", public0")
            << hidden;
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

TEST_F(postgres_pool, random_operations_with_faults_leave_no_connection_dirty) {
    tests::run_random_operations(shared_server(), options(), 2'000);
}

TEST_F(postgres_pool, long_random_operations_with_faults_leave_no_connection_dirty) {
    tests::run_random_operations(shared_server(), options(), 100'000);
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
