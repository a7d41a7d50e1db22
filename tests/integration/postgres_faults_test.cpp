#include <gtest/gtest.h>

#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "levee/postgres/pool.hpp"
#include "support/postgres_fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_future;

/// What a call ended with. That it ends at all is its deadline's doing, where nothing else would end it.
template <class F>
std::error_code ends(F&& f, std::string* said = nullptr) {
    std::error_code code;
    try {
        f();
    } catch (const std::system_error& e) {
        code = e.code();
        if (said != nullptr) {
            *said = e.what();
        }
    }
    return code;
}

class postgres_faults : public tests::postgres_fixture {
protected:
    [[nodiscard]] pool_options options(const std::string& uri) {
        return {.connection = {.uri = uri,
                               .executor = rt_.get_executor(),
                               .blocking_executor = rt_.blocking_executor(),
                               .statement_timeout = 300ms,
                               .connect_timeout = 300ms,
                               .cancel_timeout = 300ms},
                .pool = {.max_size = 2, .acquire_timeout = 300ms, .backoff = {.initial = 10ms, .max = 50ms}}};
    }

    /// Every kind of call ends by its deadline, and fails.
    static void expect_all_fail_in_time(pool& db) {
        EXPECT_TRUE(ends([&] { db.query("SELECT 1"); }));
        EXPECT_TRUE(ends([&] { db.async_query(statement("SELECT 1"), use_future).get(); }));
        EXPECT_TRUE(ends([&] { db.transaction([](transaction& tx) { tx.query("SELECT 1"); }); }));
        EXPECT_TRUE(
            ends([&] { db.with_connection([](connection& one) { one.begin_copy("COPY t FROM STDIN"); }); }));
        auto chosen = db.options().connection;
        EXPECT_TRUE(ends([&] { connection alone(chosen); }));
        EXPECT_TRUE(ends([&] { connection::async_connect(chosen, use_future).get(); }));
    }

    static bool comes_back(pool& db) {
        return tests::poll_until(
            [&] {
                try {
                    return db.query("SELECT 1").value<int>() == 1 &&
                           db.async_query(statement("SELECT 2"), use_future).get().value<int>() == 2;
                } catch (const std::system_error&) {
                    return false;
                }
            },
            20s);
    }
};

TEST_F(postgres_faults, killed_and_started_again) {
    tests::postgres_server server;
    for (const std::size_t multiplexed : {0U, 2U}) {
        auto chosen = options(server.uri());
        chosen.multiplexed = multiplexed;
        pool db(chosen);
        ASSERT_TRUE(comes_back(db));
        auto pending = db.async_query(statement("SELECT pg_sleep(600)").within(10s), use_future);
        ASSERT_TRUE(tests::poll_until(
            [&] {
                return server.execute(
                           "SELECT count(*) FROM pg_stat_activity WHERE state = "
                           "'active' AND query LIKE 'SELECT pg_sleep%'") == "1";
            },
            10s));
        server.kill();
        const auto code = ends([&] { pending.get(); });
        EXPECT_TRUE(code == errc::connection_lost || code == sqlstate_class::operator_intervention)
            << code.message();
        expect_all_fail_in_time(db);
        server.start();
        EXPECT_TRUE(comes_back(db));
    }
}

TEST_F(postgres_faults, a_killed_connection_fails_all_that_was_queued_on_it) {
    tests::postgres_server server;
    connection db(options(server.uri()).connection);
    std::vector<std::future<result>> all;
    for (int i = 0; i < 600; ++i) {  // more than are sent at once
        all.push_back(db.async_query(statement("SELECT pg_sleep(60)").within(30s), use_future));
    }
    server.kill();
    for (auto& each : all) {
        EXPECT_TRUE(ends([&] { each.get(); }));
    }
    EXPECT_FALSE(db.is_usable());
}

TEST_F(postgres_faults, restarted) {
    tests::postgres_server server;
    pool db(options(server.uri()));
    ASSERT_TRUE(comes_back(db));
    server.restart();
    EXPECT_TRUE(comes_back(db));
    EXPECT_EQ(ends([&] { db.query("SELECT pg_terminate_backend(pg_backend_pid())"); }),
              sqlstate::admin_shutdown);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);  // at once: the condemned one is not lent again
}

TEST_F(postgres_faults, stopped_by_a_signal) {
    tests::postgres_server server;
    pool db(options(server.uri()));
    ASSERT_TRUE(comes_back(db));
    server.pause();
    expect_all_fail_in_time(db);
    server.resume();
    EXPECT_TRUE(comes_back(db));
}

TEST_F(postgres_faults, black_holed_and_reset) {
    tests::postgres_server server;
    tests::tcp_proxy wire(server.port());
    for (const std::size_t multiplexed : {0U, 1U}) {
        auto chosen = options(tests::postgres_server::uri(wire.port()));
        chosen.multiplexed = multiplexed;
        pool db(chosen);
        ASSERT_TRUE(comes_back(db));
        wire.set(tests::proxy_mode::is_silent);
        expect_all_fail_in_time(db);
        wire.forward();
        wire.reset();
        EXPECT_TRUE(comes_back(db));
        auto pending = db.async_query(statement("SELECT pg_sleep(60)").within(10s), use_future);
        wire.reset();
        EXPECT_TRUE(ends([&] { pending.get(); }));
        EXPECT_TRUE(comes_back(db));
    }
}

TEST_F(postgres_faults, what_waits_for_a_cancellation_is_sent_when_that_cannot_be_made) {
    tests::postgres_server server;
    auto chosen = options(server.uri()).connection;
    chosen.cancel_timeout = 1s;
    connection db(chosen);
    ASSERT_EQ(db.query("SELECT 1").value<int>(), 1);
    server.pause_newcomers();  // who cancels is not let in, and gives up after a second
    EXPECT_EQ(ends([&] { db.query(statement("SELECT pg_sleep(0.3)").within(50ms)); }), levee::errc::timeout);
    EXPECT_EQ(db.query(statement("SELECT 2").within(10s)).value<int>(), 2);
    EXPECT_EQ(db.facts().cancels, 1U);
    server.resume();
}

TEST_F(postgres_faults, out_of_connections) {
    tests::postgres_server server({.max_connections = 5});
    std::vector<connection> all;
    auto chosen = options(server.uri()).connection;
    chosen.connect_timeout = 5s;
    std::string said;
    std::error_code code;
    for (int i = 0; i < 8 && !code; ++i) {
        code = ends([&] { all.emplace_back(chosen); }, &said);
    }
    EXPECT_EQ(code, sqlstate::too_many_connections) << said;
    pool db(options(server.uri()));
    EXPECT_EQ(ends([&] { db.query("SELECT 1"); }, &said), levee::errc::timeout);
    EXPECT_NE(said.find("too many clients"), std::string::npos) << said;
    all.clear();
    EXPECT_TRUE(comes_back(db));
}

TEST_F(postgres_faults, a_wrong_password_is_told_without_any_password) {
    tests::postgres_server server({.access = tests::postgres_access::password});
    auto chosen = options(server.uri());
    chosen.connection.connect_timeout = 5s;
    chosen.connection.password = tests::postgres_server::password();
    EXPECT_EQ(connection(chosen.connection).query("SELECT 1").value<int>(), 1);
    chosen.connection.password = "wrong-secret";
    std::string said;
    EXPECT_EQ(ends([&] { connection db(chosen.connection); }, &said), sqlstate::invalid_password);
    EXPECT_EQ(said.find("wrong-secret"), std::string::npos) << said;
    // libpq tries once more then, over another socket, while it is being polled.
    chosen.connection.uri += "?sslmode=allow";
    EXPECT_EQ(ends([&] { connection db(chosen.connection); }, &said), sqlstate::invalid_password) << said;
    pool db(chosen);
    EXPECT_TRUE(ends([&] { db.query("SELECT 1"); }, &said));
    EXPECT_NE(said.find("password authentication failed"), std::string::npos) << said;
    EXPECT_EQ(said.find("wrong-secret"), std::string::npos) << said;
}

TEST_F(postgres_faults, too_slow) {
    tests::postgres_server server;
    tests::tcp_proxy wire(server.port());
    pool db(options(tests::postgres_server::uri(wire.port())));
    ASSERT_TRUE(comes_back(db));
    wire.set_delay(2000ms);
    EXPECT_TRUE(ends([&] { db.query("SELECT 1"); }));
    EXPECT_TRUE(ends([&] { db.async_query(statement("SELECT 1"), use_future).get(); }));
    wire.forward();
    EXPECT_TRUE(comes_back(db));
}

TEST_F(postgres_faults, a_silent_first_host_leaves_time_for_the_second) {
    tests::postgres_server server;
    tests::tcp_proxy silent(server.port());
    silent.set(tests::proxy_mode::is_silent);
    auto chosen = options("host=127.0.0.1,127.0.0.1 port=" + std::to_string(silent.port()) + "," +
                          std::to_string(server.port()) + " user=levee dbname=postgres");
    chosen.connection.connect_timeout = 2s;
    connection db(chosen.connection);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
}

TEST_F(postgres_faults, a_promoted_standby_takes_over) {
    tests::postgres_server primary;
    tests::postgres_server standby(tests::postgres_server::standby_of{primary});
    const std::string uri = "host=127.0.0.1,127.0.0.1 port=" + std::to_string(primary.port()) + "," +
                            std::to_string(standby.port()) + " user=levee dbname=postgres";
    auto writing = options(uri);
    writing.connection.role = server_role::primary;
    auto reading = options(uri);
    reading.connection.role = server_role::standby;
    pool writes(writing);
    pool reads(reading);
    ASSERT_TRUE(comes_back(writes));
    ASSERT_TRUE(comes_back(reads));
    EXPECT_FALSE(writes.query("SELECT pg_is_in_recovery()").value<bool>());
    EXPECT_TRUE(reads.query("SELECT pg_is_in_recovery()").value<bool>());

    // One that was led to a standby: 25006 condemns the connection.
    auto misled = options(standby.uri());
    pool wrong(misled);
    ASSERT_TRUE(comes_back(wrong));
    EXPECT_EQ(ends([&] { wrong.execute("CREATE TABLE x ()"); }), sqlstate::read_only_transaction);
    EXPECT_EQ(wrong.stats().discarded, 1U);
    misled.connection.role = server_role::primary;
    EXPECT_EQ(ends([&] { connection db(misled.connection); }), errc::wrong_role);

    primary.kill();
    standby.promote();
    EXPECT_TRUE(tests::poll_until(
        [&] {
            try {
                writes.execute("CREATE TABLE IF NOT EXISTS taken_over ()");
                return true;
            } catch (const std::system_error&) {
                return false;
            }
        },
        20s));
    // The pool of standbys notices that its server is none any more.
    EXPECT_TRUE(
        tests::poll_until([&] { return static_cast<bool>(ends([&] { reads.query("SELECT 1"); })); }, 20s));
}

}  // namespace
}  // namespace levee::postgres
