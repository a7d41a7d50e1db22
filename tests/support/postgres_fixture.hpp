/// What tests against a real PostgreSQL begin with.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/use_future.hpp>
#include <chrono>
#include <string>

#include "levee/async/runtime.hpp"
#include "levee/postgres/connection.hpp"
#include "levee/postgres/pool.hpp"
#include "polling.hpp"
#include "postgres_server.hpp"

namespace levee::tests {

/// Threads, and a server that is started when it is asked for. Skipped where there is none.
class postgres_fixture : public ::testing::Test {
protected:
    void SetUp() override {
        if (!postgres_server::is_installed()) {
            GTEST_SKIP() << postgres_server::why_skipped;
        }
    }

    /// One for all cases of the program; they leave it as it was, but for tables.
    static postgres_server& shared_server() {
        static postgres_server server;
        return server;
    }

    /// Patient, for what is not about time-outs.
    [[nodiscard]] postgres::connection_options to(const std::string& uri) {
        return {.uri = uri,
                .executor = rt_.get_executor(),
                .blocking_executor = rt_.blocking_executor(),
                .statement_timeout = std::chrono::seconds(20)};
    }

    runtime rt_{2};
};

class postgres_connection : public postgres_fixture {
protected:
    [[nodiscard]] postgres::connection_options options() { return to(shared_server().uri()); }

    /// Whether the session with this number is at work on a statement that begins so.
    static bool is_running(int process, const std::string& beginning) {
        return shared_server().execute(
                   "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = " +
                   std::to_string(process) + " AND query LIKE '" + beginning + "%'") == "1";
    }
};

class postgres_pool : public postgres_fixture {
protected:
    [[nodiscard]] postgres::pool_options options() {
        return {.connection = to(shared_server().uri()), .pool = {.max_size = 4}};
    }
    [[nodiscard]] postgres::pool_options single() {
        auto one = options();
        one.pool.max_size = 1;
        return one;
    }

    /// Waits until the session with this number shows that nothing is left in it.
    static bool is_clean(int process) {
        const std::string pid = std::to_string(process);
        return comes_true([&] {
            return shared_server().execute(
                       "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND pid = " + pid) ==
                       "1" &&
                   shared_server().execute("SELECT count(*) FROM pg_locks WHERE pid = " + pid) == "0";
        });
    }

    /// Waits until the connection that asynchronous callers share is up: it is another one than a thread is
    /// lent.
    static bool is_shared(postgres::pool& db) {
        const postgres::statement who("SELECT pg_backend_pid()");
        return comes_true([&] {
            return db.query(who).value<int>() !=
                   db.async_query(who, boost::asio::use_future).get().value<int>();
        });
    }
};

}  // namespace levee::tests
