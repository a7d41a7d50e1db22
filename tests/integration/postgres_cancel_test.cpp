// Statements that are given up: by their deadline, by a cancelled caller, by closing.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "levee/postgres/connection.hpp"
#include "postgres/backend.hpp"
#include "support/code_of.hpp"
#include "support/polling.hpp"
#include "support/postgres_fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using tests::code_of;
using tests::comes_true;
using tests::postgres_connection;

TEST_F(postgres_connection, a_timeout_cancels_the_work_of_the_server) {
    connection db(options());
    try {
        static_cast<void>(db.query(statement("SELECT pg_sleep($1)", 600.0).within(100ms)));
        FAIL() << "it answered";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), levee::errc::timeout);
        EXPECT_TRUE(e.may_have_been_executed());
    }
    EXPECT_EQ(db.query("SELECT 7").value<int>(), 7);  // its own answer, on the same session
    EXPECT_FALSE(is_running(db.facts().process, "SELECT pg_sleep"));
}

TEST_F(postgres_connection, a_cancelled_coroutine_has_its_statement_cancelled) {
    connection db(options());
    asio::cancellation_signal stop;
    auto pending = db.async_query(statement("SELECT pg_sleep(600)"),
                                  asio::bind_cancellation_slot(stop.slot(), asio::use_future));
    ASSERT_TRUE(comes_true([&] { return is_running(db.facts().process, "SELECT pg_sleep"); }));
    stop.emit(asio::cancellation_type::terminal);
    EXPECT_EQ(code_of([&] { pending.get(); }), levee::errc::cancelled);
    EXPECT_EQ(db.query("SELECT 8").value<int>(), 8);
}

TEST_F(postgres_connection, cancels_nobody_else_when_a_pooler_is_between) {
    connection stranger(options());
    const int process = stranger.facts().process;
    auto work = stranger.async_query(statement("SELECT pg_sleep(600)"), asio::use_future);
    ASSERT_TRUE(comes_true([&] { return is_running(process, "SELECT pg_sleep"); }));
    // As a pooler does: it tells a number that is none of the server's for this session.
    tests::tcp_proxy pooler(shared_server().port());
    pooler.on_answers([&](std::string& bytes) {
        const std::string key_data("K\0\0\0\x0c", 5);
        if (const std::size_t at = bytes.find(key_data); at != std::string::npos) {
            const std::uint32_t number = htonl(static_cast<std::uint32_t>(process));
            bytes.replace(at + key_data.size(), 4, reinterpret_cast<const char*>(&number), 4);
        }
    });
    auto chosen = options();
    chosen.uri = tests::postgres_server::uri(pooler.port());
    chosen.cancel_timeout = 300ms;
    connection db(chosen);
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT pg_sleep(0.01)").within(1ms)); }),
              levee::errc::timeout);
    EXPECT_EQ(db.query("SELECT 5").value<int>(), 5);  // it ended by itself in time
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT pg_sleep(20)").within(1ms)); }), levee::errc::timeout);
    EXPECT_TRUE(comes_true([&] { return !db.is_usable(); }));
    EXPECT_TRUE(is_running(process, "SELECT pg_sleep"));
    EXPECT_EQ(work.wait_for(0s), std::future_status::timeout);
}

TEST_F(postgres_connection, a_request_to_cancel_is_for_a_process_that_began_when_it_did) {
    connection stranger(options());
    const result whom = stranger.query(detail::who_serves);
    const int process = whom[0].get<int>(0);
    const auto started = whom[0].get<std::int64_t>(1);
    auto work = stranger.async_query(statement("SELECT pg_sleep(600)"), asio::use_future);
    ASSERT_TRUE(comes_true([&] { return is_running(process, "SELECT pg_sleep"); }));
    connection db(options());
    EXPECT_TRUE(db.query(detail::cancel_backend, process, started + 1).empty());
    EXPECT_TRUE(is_running(process, "SELECT pg_sleep"));
    EXPECT_TRUE(db.query(detail::cancel_backend, process, started).value<bool>());
    EXPECT_EQ(code_of([&] { work.get(); }), sqlstate::query_canceled);
}

TEST_F(postgres_connection, answers_are_never_mispaired_after_time_outs) {
    connection db(options());
    std::vector<std::pair<int, std::future<result>>> all;
    for (int i = 0; i < 2000; ++i) {
        statement one("SELECT $1::int, pg_sleep($2)", i, i % 50 == 0 ? 0.02 : 0.0);
        one.timeout = i % 7 == 0 ? duration(1ms) : duration(20s);
        all.emplace_back(i, db.async_query(std::move(one), asio::use_future));
    }
    int answered = 0;
    for (auto& [number, each] : all) {
        try {
            ASSERT_EQ(each.get()[0].get<int>(0), number);
            ++answered;
        } catch (const error& e) {
            ASSERT_EQ(e.code(), levee::errc::timeout) << e.what();
        }
    }
    EXPECT_GE(answered, 1700);
    EXPECT_LT(answered, 2000) << "nothing was given up";
    EXPECT_EQ(db.query("SELECT 9").value<int>(), 9);
}

TEST_F(postgres_connection, ends_what_is_under_way_when_it_is_closed) {
    connection db(options());
    auto pending = db.async_query(statement("SELECT pg_sleep(600)"), asio::use_future);
    db.close();
    EXPECT_EQ(code_of([&] { pending.get(); }), levee::errc::closed);
    EXPECT_EQ(code_of([&] { db.query("SELECT 1"); }), levee::errc::closed);
}

}  // namespace
}  // namespace levee::postgres
