#include "levee/postgres/connection.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/postgres/pool.hpp"
#include "support/code_of.hpp"
#include "support/postgres_fixture.hpp"
#include "support/standing_time.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using tests::code_of;
using tests::postgres_connection;

TEST_F(postgres_connection, answers_a_thread) {
    connection db(options());
    const auto found = db.query("SELECT $1::int + 1 AS next, $2::text AS word", 41, "one");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].get<int>("next"), 42);
    EXPECT_EQ(found[0].get<std::string>("word"), "one");
    EXPECT_EQ(db.query("SELECT $1::int + 1 AS next, $2::text AS word", 1, "two")[0].get<int>("next"), 2);
    EXPECT_EQ(db.facts().prepared, 1U);
}

TEST_F(postgres_connection, answers_a_coroutine) {
    auto work = [&]() -> asio::awaitable<int> {
        const auto chosen = options();
        auto connecting = connection::async_connect(chosen, asio::use_awaitable);
        const auto db = co_await std::move(connecting);
        int sum = 0;
        for (int i = 0; i < 10; ++i) {
            // A temporary within co_await: no aggregate, so that g++ 12 gets it right.
            const result answer = co_await db->async_query(
                statement("SELECT $1::int * 2, $2", i, std::string(100, 'x')), asio::use_awaitable);
            sum += answer[0].get<int>(0);
        }
        co_return sum;
    };
    EXPECT_EQ(asio::co_spawn(rt_.get_executor(), work(), asio::use_future).get(), 90);
}

TEST_F(postgres_connection, a_failed_statement_fails_only_its_own_sync_group) {
    connection db(options());
    db.run_script("CREATE TABLE IF NOT EXISTS grouped (id int PRIMARY KEY); TRUNCATE grouped");
    std::vector<std::future<std::uint64_t>> all;
    for (int i = 0; i < 30; ++i) {
        all.push_back(db.async_execute(
            statement(i % 3 == 1 ? "INSERT INTO grouped VALUES ($1 / 0)" : "INSERT INTO grouped VALUES ($1)",
                      i),
            asio::use_future));
    }
    for (int i = 0; i < 30; ++i) {
        if (i % 3 == 1) {
            EXPECT_THROW(all[static_cast<std::size_t>(i)].get(), sql_error) << i;
        } else {
            EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 1U) << i;
        }
    }
    EXPECT_EQ(db.query("SELECT count(*) FROM grouped").value<std::int64_t>(), 20);
}

TEST_F(postgres_connection, callers_of_a_statement_that_cannot_be_prepared_hear_why) {
    connection db(options());
    std::vector<std::future<result>> all;
    for (int i = 0; i < 30; ++i) {  // all but the first behind a preparation that is going to fail
        all.push_back(db.async_query(statement("SELECT nothing FROM nowhere"), asio::use_future));
    }
    for (auto& each : all) {
        EXPECT_EQ(code_of([&] { each.get(); }), sqlstate::undefined_table);
    }
    EXPECT_EQ(db.facts().prepared, 0U);
}

TEST_F(postgres_connection, more_than_64_kib_in_flight_both_ways_does_not_deadlock) {
    connection db(options());
    const std::string large(300'000, 'x');
    std::vector<std::future<result>> all;
    for (int i = 0; i < 64; ++i) {
        all.push_back(db.async_query(statement("SELECT $1::text || $1::text", large), asio::use_future));
    }
    for (auto& each : all) {
        EXPECT_EQ(each.get().value<std::string>().size(), 600'000U);
    }
    EXPECT_EQ(db.query("SELECT length($1::text)", large).value<int>(), 300'000);
}

TEST_F(postgres_connection, copies_rows_in) {
    connection db(options());
    db.run_script("DROP TABLE IF EXISTS copied; CREATE TABLE copied (id int PRIMARY KEY, word text)");
    int next = 0;
    std::string piece;
    const auto rows = db.copy_in("COPY copied FROM STDIN", [&]() -> std::string_view {
        piece.clear();
        for (int i = 0; i < 1000 && next < 50'000; ++i, ++next) {
            piece += std::to_string(next) + "\tword " + std::to_string(next) + "\n";
        }
        return piece;
    });
    EXPECT_EQ(rows, 50'000U);
    EXPECT_EQ(db.query("SELECT count(*) FROM copied").value<std::int64_t>(), 50'000);
    EXPECT_THROW(db.copy_in("COPY copied FROM STDIN",
                            [&, first = true]() mutable -> std::string_view {
                                return std::exchange(first, false) ? "no number\tx\n" : "";
                            }),
                 sql_error);
    EXPECT_THROW(db.begin_copy("SELECT 1"), error);
    {
        auto given_up = db.begin_copy("COPY copied FROM STDIN");
        given_up.write("70000\tx\n");
    }
    EXPECT_EQ(db.query("SELECT count(*) FROM copied").value<std::int64_t>(), 50'000);
}

TEST_F(postgres_connection, statements_wait_for_a_copy) {
    connection db(options());
    db.run_script("DROP TABLE IF EXISTS slowly; CREATE TABLE slowly (id int)");
    auto copy = db.begin_copy("COPY slowly FROM STDIN");
    auto behind = db.async_query(statement("SELECT count(*) FROM slowly"), asio::use_future);
    copy.async_write("1\n2\n", asio::use_future).get();
    copy.write("3\n");
    EXPECT_EQ(behind.wait_for(0s), std::future_status::timeout);
    EXPECT_EQ(copy.async_finish(asio::use_future).get(), 3U);
    EXPECT_EQ(behind.get().value<std::int64_t>(), 3);
}

TEST_F(postgres_connection, tells_notifications) {
    connection db(options());
    connection other(options());
    db.listen("odd \"name\"");
    other.notify("odd \"name\"", "first");
    const auto note = db.wait_notification(20s);
    EXPECT_EQ(note.channel, "odd \"name\"");
    EXPECT_EQ(note.payload, "first");
    auto waiting = db.async_wait_notification(20s, asio::use_future);
    other.notify("odd \"name\"", "second");
    EXPECT_EQ(waiting.get().payload, "second");
    EXPECT_EQ(code_of([&] { db.wait_notification(10ms); }), levee::errc::timeout);
    EXPECT_EQ(code_of([&] { db.async_wait_notification(10ms, asio::use_future).get(); }),
              levee::errc::timeout);
}

TEST_F(postgres_connection, tells_notices_to_the_observer) {
    std::vector<std::string> told;
    auto chosen = options();
    chosen.on_notice = [&](const server_message& said) { told.push_back(said.message); };
    connection db(chosen);
    db.query("DO $$ BEGIN RAISE NOTICE 'mind the gap'; END $$");
    EXPECT_EQ(told, std::vector<std::string>{"mind the gap"});
}

TEST_F(postgres_connection, keeps_a_bounded_number_of_statements_prepared) {
    auto chosen = options();
    chosen.max_prepared = 4;
    connection db(chosen);
    for (int i = 0; i < 40; ++i) {
        EXPECT_EQ(db.query("SELECT " + std::to_string(i)).value<int>(), i);
    }
    EXPECT_EQ(db.facts().prepared, 4U);
    db.query("SELECT 1");
    const auto kept = db.query("SELECT count(*) FROM pg_prepared_statements").value<std::int64_t>();
    EXPECT_LE(kept, 5);
    EXPECT_GE(kept, 3);
}

TEST_F(postgres_connection, asks_the_server_once_to_forget_what_it_does_not_know) {
    auto chosen = options();
    chosen.max_prepared = 1;
    connection db(chosen);
    const auto groups_of = [&](int queries) {
        const auto before = db.facts().sent;
        for (int i = 0; i < queries; ++i) {
            db.query("SELECT 2");
        }
        return db.facts().sent - before;
    };
    db.query("SELECT 1");
    db.run_script("DEALLOCATE levee_1");  // behind its back
    groups_of(2);                         // makes room, and has the server asked
    EXPECT_EQ(groups_of(10), 10U);
    // One that made room before the server had refused to prepare it.
    auto wrong = db.async_query(statement("SELEC 3"), asio::use_future);
    auto right = db.async_query(statement("SELECT 4"), asio::use_future);
    EXPECT_EQ(code_of([&] { wrong.get(); }), sqlstate::syntax_error);
    EXPECT_EQ(right.get().value<int>(), 4);
    groups_of(2);
    EXPECT_EQ(groups_of(10), 10U);
}

TEST_F(postgres_connection, has_the_server_forget_after_a_failed_transaction_what_it_would_not_within) {
    auto chosen = options();
    chosen.max_prepared = 1;
    connection db(chosen);
    db.query("SELECT 1");
    db.run_script("BEGIN");
    // The second one makes room for the failure, and is asked to be forgotten right behind it.
    auto fails = db.async_query(statement("SELECT 1 / 0"), asio::use_future);
    auto behind = db.async_query(statement("SELECT 2"), asio::use_future);
    EXPECT_EQ(code_of([&] { fails.get(); }), sqlstate_class::data_exception);
    EXPECT_EQ(code_of([&] { behind.get(); }), sqlstate::in_failed_transaction);
    db.run_script("ROLLBACK");
    for (int i = 0; i < 3; ++i) {
        db.query("SELECT 3");
    }
    EXPECT_EQ(db.query("SELECT count(*) FROM pg_prepared_statements WHERE statement <> 'SELECT 3'")
                  .value<std::int64_t>(),
              1);
}

TEST_F(postgres_connection, prepares_anew_what_the_server_has_forgotten_or_cannot_use) {
    connection db(options());
    db.run_script("DROP TABLE IF EXISTS shape; CREATE TABLE shape (a int); INSERT INTO shape VALUES (1)");
    EXPECT_EQ(db.query("SELECT * FROM shape").columns(), 1U);
    db.query("DEALLOCATE ALL");
    EXPECT_EQ(db.query("SELECT * FROM shape").columns(), 1U);
    connection(options()).run_script("ALTER TABLE shape ADD COLUMN b int");
    EXPECT_EQ(db.query("SELECT * FROM shape").columns(), 2U);
    db.run_script("DEALLOCATE ALL");
    EXPECT_EQ(db.query("SELECT * FROM shape").columns(), 2U);
}

TEST_F(postgres_connection, values_never_become_part_of_the_text) {
    connection db(options());
    const std::string nasty = "'; DROP TABLE students; --";
    EXPECT_EQ(db.query("SELECT $1::text", nasty).value<std::string>(), nasty);
    EXPECT_THROW(db.query("SELECT $1::text", std::string("a\0b", 3)), levee::error);
    EXPECT_THROW(db.query("SELECT $1::text", "\xff"), levee::error);
    EXPECT_THROW(db.query(std::string("SELECT 1\0; DROP", 15)), error);
    EXPECT_TRUE(db.is_usable());
    EXPECT_EQ(connection::quoted("a\"b"), "\"a\"\"b\"");
    EXPECT_THROW(static_cast<void>(connection::quoted(std::string("a\0b", 3))), error);
    EXPECT_THROW(static_cast<void>(connection::quoted("")), error);
}

TEST_F(postgres_connection, a_wrong_statement_tells_its_sqlstate_and_place) {
    connection db(options());
    try {
        db.query("SELECT nothing FROM nowhere");
        FAIL();
    } catch (const sql_error& e) {
        EXPECT_EQ(e.code(), sqlstate::undefined_table);
        EXPECT_GT(e.position(), 0U);
        EXPECT_FALSE(e.is_retryable());
    }
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
}

TEST_F(postgres_connection, threads_keep_real_time_whatever_the_scheduler_has) {
    auto chosen = options();
    chosen.scheduler = std::make_shared<tests::standing_time>(rt_.get_executor());
    connection db(chosen);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    EXPECT_EQ(db.run_script("SELECT 2").value<int>(), 2);
    db.run_script("DROP TABLE IF EXISTS timeless; CREATE TABLE timeless (id int)");
    auto once = [first = true]() mutable -> std::string_view {
        return std::exchange(first, false) ? "1\n" : "";
    };
    EXPECT_EQ(db.copy_in("COPY timeless FROM STDIN", once), 1U);
    db.listen("timeless");
    db.notify("timeless", "");
    EXPECT_EQ(db.wait_notification(20s).channel, "timeless");
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT pg_sleep(600)").within(20ms)); }),
              levee::errc::timeout);
    pool all({.connection = chosen, .pool = {.max_size = 1}});
    EXPECT_EQ(all.query("SELECT 3").value<int>(), 3);
    const auto four = [](transaction& tx) { return tx.query("SELECT 4").value<int>(); };
    EXPECT_EQ(all.transaction(four), 4);
    EXPECT_EQ(all.with_connection([](connection& one) { return one.query("SELECT 5").value<int>(); }), 5);
}

TEST_F(postgres_connection, blocking_calls_on_threads_of_the_executor_are_refused) {
    connection db(options());
    std::promise<std::error_code> said;
    asio::post(rt_.get_executor(), [&] { said.set_value(code_of([&] { db.query("SELECT 1"); })); });
    EXPECT_EQ(said.get_future().get(), levee::errc::would_deadlock);
}

TEST_F(postgres_connection, threads_and_coroutines_share_one_session) {
    connection db(options());
    std::vector<std::jthread> threads;
    std::atomic<int> wrong = 0;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                const int value = t * 1000 + i;
                const bool is_right =
                    t % 2 == 0 ? db.query("SELECT $1::int", value).value<int>() == value
                               : db.async_query(statement("SELECT $1::int", value), asio::use_future)
                                         .get()
                                         .value<int>() == value;
                wrong += is_right ? 0 : 1;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(wrong, 0);
}

TEST_F(postgres_connection, resolves_names_and_refuses_to_do_so_on_the_executor) {
    auto chosen = options();
    chosen.uri = "postgresql://levee@localhost:" + std::to_string(shared_server().port()) + "/postgres";
    EXPECT_EQ(connection(chosen).query("SELECT 3").value<int>(), 3);
    chosen.blocking_executor = {};
    EXPECT_THROW(connection{chosen}, std::invalid_argument);
    chosen = options();
    chosen.uri = "host=no-such-host.invalid";
    EXPECT_EQ(code_of([&] { connection db(chosen); }), errc::not_connected);
}

TEST_F(postgres_connection, no_message_holds_the_password) {
    auto chosen = options();
    chosen.uri = "postgresql://levee:hunter2secret@127.0.0.1:1/postgres";
    for (const char* uri :
         {"postgresql://levee:hunter2secret@127.0.0.1:1/postgres", "postgres//levee:hunter2secret@127.0.0.1",
          "host=127.0.0.1 port=1 password=hunter2secret x"}) {
        chosen.uri = uri;
        try {
            connection db(chosen);
            FAIL();
        } catch (const std::exception& e) {
            EXPECT_EQ(std::string(e.what()).find("hunter2secret"), std::string::npos) << e.what();
        }
    }
}

}  // namespace
}  // namespace levee::postgres
