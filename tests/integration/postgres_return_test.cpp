// What is left behind in a connection when it comes back to its pool: it is cleaned up, or the connection
// closed.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "levee/postgres/pool.hpp"
#include "support/code_of.hpp"
#include "support/postgres_fixture.hpp"
#include "support/postgres_random_operations.hpp"
#include "support/postgres_session_of.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_future;
using tests::code_of;
using tests::postgres_pool;
using tests::session_of;

struct trace {
    const char* name;
    const char* sql;
};

class postgres_return : public tests::postgres_pool, public testing::WithParamInterface<trace> {};

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
        one.run_script("CREATE TEMP TABLE half_copied (id int)");
        auto copy = one.begin_copy("COPY half_copied FROM STDIN");
        copy.write("1\n");  // and no end
    });
    EXPECT_TRUE(db.query("SELECT to_regclass('half_copied') IS NULL").value<bool>());
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
    const std::string pid = std::to_string(db.query("SELECT pg_backend_pid()").value<int>());
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT pg_advisory_lock(3), pg_sleep(600)").within(50ms)); }),
              levee::errc::timeout);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    EXPECT_EQ(
        shared_server().execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = " + pid),
        "0");
    EXPECT_EQ(
        shared_server().execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                                "'%pg_sleep%' AND pid = " +
                                pid),
        "0");
}

TEST_F(postgres_pool, a_shared_connection_on_which_something_was_left_behind_is_given_up) {
    const auto ask = [](detail::session& to, const char* sql) {
        static_cast<void>(detail::ask(to, statement(sql), clock::precise().now() + 20s));
    };
    for (const char* leaving :
         {"SET search_path = x", "LISTEN gossip", "PREPARE mine AS SELECT 1", "SELECT pg_advisory_lock(9)"}) {
        const auto shared = session_of(options().connection, true);
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

TEST_F(postgres_pool, random_operations_with_faults_leave_no_connection_dirty) {
    tests::run_random_operations(shared_server(), options(), 2'000);
}

TEST_F(postgres_pool, long_random_operations_with_faults_leave_no_connection_dirty) {
    tests::run_random_operations(shared_server(), options(), 100'000);
}

}  // namespace
}  // namespace levee::postgres
