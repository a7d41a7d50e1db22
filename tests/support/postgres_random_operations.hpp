/// Users of a pool at random, and what can go wrong meanwhile.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/postgres/pool.hpp"
#include "support/postgres_server.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::tests {

/// One random operation of a user; what it throws is no matter.
inline void do_something(postgres::pool& db, std::mt19937& chance) {
    using namespace std::chrono_literals;
    const int number = static_cast<int>(chance() % 1000);
    const auto limit = chance() % 23 == 0 ? duration(200us) : duration(10s);
    switch (chance() % 12) {
        case 0:
            db.query(postgres::statement("SET search_path = dirty").within(limit));
            break;
        case 1:
            db.query(postgres::statement("LISTEN dirt").within(limit));
            break;
        case 2:
            db.query(postgres::statement("SELECT pg_advisory_lock_shared($1)", number).within(limit));
            break;
        case 3:
            db.query(postgres::statement("BEGIN").within(limit));
            break;
        case 4:
            db.query(postgres::statement("SELECT 1 / ($1::int % 3)", number).within(limit));
            break;
        case 5:
            db.transaction([&](postgres::transaction& tx) {
                tx.execute(
                    postgres::statement("INSERT INTO random_rows VALUES ($1) ON CONFLICT DO NOTHING", number)
                        .within(limit));
                if (number % 3 == 0) {
                    throw std::runtime_error("changed its mind");
                }
                static_cast<void>(tx.query("SELECT count(*) FROM random_rows WHERE id = $1", number));
            });
            break;
        case 6:
            db.with_connection([&](postgres::connection& one) {
                one.query("BEGIN");
                one.query("DECLARE held CURSOR WITH HOLD FOR SELECT 1");
                auto left =
                    one.async_query(postgres::statement("SELECT pg_sleep(0.0002)"), boost::asio::use_future);
            });
            break;
        case 7:
            db.with_connection([&](postgres::connection& one) {
                auto copy = one.begin_copy("COPY random_copies FROM STDIN");
                copy.write("1\n2\n");
                if (number % 2 == 0) {
                    copy.finish();
                }
            });
            break;
        case 8: {
            boost::asio::cancellation_signal stop;
            auto pending =
                db.async_query(postgres::statement("SELECT pg_sleep(0.001)"),
                               boost::asio::bind_cancellation_slot(stop.slot(), boost::asio::use_future));
            pending.get();
            break;
        }
        case 9: {
            auto one = db.async_query(postgres::statement("SELECT pg_sleep(0.002)").within(1ms),
                                      boost::asio::use_future);
            one.get();
            break;
        }
        default: {
            const auto answer = db.query(postgres::statement("SELECT $1::int", number).within(limit));
            EXPECT_EQ(answer.value<int>(), number);
        }
    }
}

/// Random operations on several threads, while sessions are terminated and wires cut. Afterwards every
/// session of the pool is clean.
inline void run_random_operations(postgres_server& server, const postgres::pool_options& chosen,
                                  int operations) {
    using namespace std::chrono_literals;
    server.execute("CREATE TABLE IF NOT EXISTS random_rows (id int PRIMARY KEY)");
    server.execute("CREATE UNLOGGED TABLE IF NOT EXISTS random_copies (id int)");
    tcp_proxy wire(server.port());
    auto through = chosen;
    through.connection.uri = postgres_server::uri(wire.port());
    through.connection.application_name = "random";
    postgres::pool db(through);
    std::atomic<bool> is_over = false;
    std::atomic<int> strange = 0;
    {
        std::jthread faults([&] {
            std::mt19937 chance(5);
            while (!is_over) {
                static_cast<void>(poll_until([&] { return is_over.load(); }, 50ms));
                switch (chance() % 4) {
                    case 0:
                        wire.reset();
                        break;
                    case 1:
                        wire.set_delay(3ms);
                        static_cast<void>(poll_until([&] { return is_over.load(); }, 20ms));
                        wire.forward();
                        break;
                    default:
                        server.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                            "'random' "
                            "ORDER BY random() LIMIT 1");
                }
            }
            wire.forward();
        });
        {
            std::vector<std::jthread> users;
            for (unsigned t = 0; t < 4; ++t) {
                users.emplace_back([&, t] {
                    std::mt19937 chance(100 + t);
                    for (int i = 0; i < operations / 4; ++i) {
                        try {
                            do_something(db, chance);
                        } catch (const std::runtime_error&) {  // expected: std::system_error is one
                        } catch (...) {
                            ++strange;
                        }
                    }
                });
            }
        }
        is_over = true;
    }
    EXPECT_EQ(strange, 0);
    // Whatever came back is clean, or closed: nothing of the pool is in a transaction, or holds a lock.
    EXPECT_TRUE(poll_until(
        [&] {
            return server.execute(
                       "SELECT count(*) FROM pg_stat_activity a WHERE application_name = 'random' AND (state "
                       "<> 'idle' OR "
                       "xact_start IS NOT NULL OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid))") ==
                   "0";
        },
        20s))
        << server.execute(
               "SELECT string_agg(state || ' ' || query, '; ') FROM pg_stat_activity WHERE application_name "
               "= 'random'");
    int looked_at = 0;
    EXPECT_TRUE(poll_until(
        [&] {
            try {
                const auto left = db.query(
                    "SELECT current_setting('search_path'), (SELECT count(*) FROM pg_listening_channels()), "
                    "(SELECT "
                    "count(*) FROM pg_cursors WHERE name <> '')");
                EXPECT_EQ(left[0].get<std::string>(0), "\"$user\", public");
                EXPECT_EQ(left[0].get<std::int64_t>(1) + left[0].get<std::int64_t>(2), 0);
                ++looked_at;
            } catch (const std::system_error&) {  // the last fault is a moment ago
            }
            return looked_at >= 8;
        },
        20s));
    EXPECT_EQ(db.stats().in_use, 0U);
}

}  // namespace levee::tests
