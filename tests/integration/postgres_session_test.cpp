// A session and what it does on its own account: cleaning, forgetting statements, closing.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/postgres/connection.hpp"
#include "levee/postgres/pool.hpp"
#include "support/code_of.hpp"
#include "support/polling.hpp"
#include "support/postgres_fixture.hpp"
#include "support/postgres_session_of.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_future;
using tests::code_of;
using tests::comes_true;
using tests::postgres_connection;
using tests::postgres_pool;
using tests::session_of;

/// A clock that a test moves, and whom that wakes.
class moved_time final : public async::scheduler {
public:
    explicit moved_time(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    void move(duration by) {
        std::vector<std::function<void(std::exception_ptr)>> woken;
        {
            const std::lock_guard lock(mutex_);
            now_ += by;
            for (auto at = asleep_.begin(); at != asleep_.end();) {
                if (at->second.until > now_) {
                    ++at;
                    continue;
                }
                woken.push_back(std::move(at->second.wake));
                at = asleep_.erase(at);
            }
        }
        for (const auto& wake : woken) {
            wake(nullptr);
        }
    }
    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }
    [[nodiscard]] time_point now() const noexcept override {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    [[nodiscard]] asio::awaitable<void> sleep_until(time_point until) override {
        auto begin = [this, until](auto handler) {
            auto slot = asio::get_associated_cancellation_slot(handler);
            const auto on = asio::get_associated_executor(handler, executor_);
            const auto held = std::make_shared<decltype(handler)>(std::move(handler));
            const auto wake = [held, on](std::exception_ptr why) {
                asio::post(on, [held, why] {
                    auto own = std::move(*held);
                    std::move(own)(why);
                });
            };
            const std::uint64_t id = ++last_;
            if (slot.is_connected()) {
                slot.assign([this, id](asio::cancellation_type /*any*/) { cancel(id); });
            }
            if (!falls_asleep(id, until, wake)) {
                wake(nullptr);
            }
        };
        co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
            begin, asio::use_awaitable);
    }

private:
    struct sleeper {
        time_point until;
        std::function<void(std::exception_ptr)> wake;
    };

    bool falls_asleep(std::uint64_t id, time_point until, std::function<void(std::exception_ptr)> wake) {
        const std::lock_guard lock(mutex_);
        if (until <= now_) {
            return false;
        }
        asleep_.emplace(id, sleeper{until, std::move(wake)});
        return true;
    }

    void cancel(std::uint64_t id) {
        std::function<void(std::exception_ptr)> wake;
        {
            const std::lock_guard lock(mutex_);
            const auto at = asleep_.find(id);
            if (at == asleep_.end()) {
                return;
            }
            wake = std::move(at->second.wake);
            asleep_.erase(at);
        }
        wake(std::make_exception_ptr(levee::error(levee::errc::cancelled)));
    }

    const asio::any_io_executor executor_;
    mutable std::mutex mutex_;  // the time, who sleeps
    time_point now_{1s};
    std::map<std::uint64_t, sleeper> asleep_;
    std::atomic<std::uint64_t> last_ = 0;
};

TEST_F(postgres_connection, leaves_the_server_when_it_is_closed) {
    connection db(options());
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    const int process = db.facts().process;
    db.close();
    EXPECT_TRUE(comes_true([&] {
        return shared_server().execute("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                                       std::to_string(process)) == "0";
    }));
    EXPECT_EQ(db.facts().process, process);
    EXPECT_FALSE(db.is_usable());
    EXPECT_EQ(code_of([&] { db.query("SELECT 1"); }), levee::errc::closed);
}

TEST_F(postgres_connection, forgetting_statements_takes_no_callers_place) {
    auto chosen = options();
    chosen.max_pending = 1;
    chosen.max_prepared = 1;
    connection db(chosen);
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(db.query("SELECT " + std::to_string(i)).value<int>(), i);
    }
}

TEST_F(postgres_connection, deadlines_are_kept_when_a_statement_was_refused_for_want_of_room) {
    auto chosen = options();
    chosen.max_pending = 1;
    chosen.max_prepared = 1;
    chosen.statement_timeout = 30s;
    const auto time = std::make_shared<moved_time>(rt_.get_executor());
    chosen.scheduler = time;
    connection db(chosen);
    db.query("SELECT 1");
    // It makes the first one's room its own.
    auto slow = db.async_query(statement("SELECT pg_sleep(600)").within(1h), use_future);
    EXPECT_EQ(code_of([&] { db.query("SELECT 2"); }), errc::queue_full);
    EXPECT_EQ(db.facts().pending, 2U);  // the slow one, and what has the server forget the first
    time->move(31s);
    EXPECT_TRUE(comes_true([&] { return db.facts().pending == 1; }));
    EXPECT_EQ(slow.wait_for(0s), std::future_status::timeout);
    db.close();
    EXPECT_EQ(code_of([&] { slow.get(); }), levee::errc::closed);
}

TEST_F(postgres_connection, a_copy_that_is_given_up_beside_a_piece_of_it_closes_the_connection) {
    runtime one{1};
    auto chosen = options();
    chosen.executor = one.get_executor();
    chosen.blocking_executor = one.blocking_executor();
    connection db(chosen);
    db.run_script("DROP TABLE IF EXISTS half; CREATE TABLE half (word text)");
    std::promise<void> go_on;
    std::future<bool> written;
    {
        auto copy = db.begin_copy("COPY half FROM STDIN");
        asio::post(one.get_executor(), [&] { go_on.get_future().wait(); });
        // More than any socket takes at once; nobody sends the rest meanwhile.
        written = copy.async_write(std::string(std::size_t{64} << 20U, 'x'), use_future);
    }
    go_on.set_value();
    EXPECT_EQ(code_of([&] { written.get(); }), errc::connection_lost);
    EXPECT_EQ(code_of([&] { db.query(statement("SELECT 1").within(2s)); }), errc::connection_lost);
}

TEST_F(postgres_connection, a_session_may_end_with_the_statement_that_is_cancelled) {
    shared_server().execute("CREATE TABLE IF NOT EXISTS never_filled (id int)");
    for (int round = 0; round < 20; ++round) {
        std::shared_ptr<detail::session> one = session_of(options(), false);
        const std::weak_ptr<detail::session> seen = one;
        detail::question copy{.kind = detail::request_kind::copy_begin,
                              .text = "COPY never_filled FROM STDIN",
                              .deadline = clock::precise().now() + 20s};
        detail::start<detail::to_true>(one, std::move(copy), use_future).get();
        asio::cancellation_signal stop;
        auto waits = detail::async_ask(one, statement("SELECT 1"), clock::precise().now() + 20s,
                                       asio::bind_cancellation_slot(stop.slot(), use_future));
        one.reset();
        ASSERT_TRUE(comes_true([&] { return seen.use_count() == 1; }));  // the statement keeps it
        stop.emit(asio::cancellation_type::terminal);
        EXPECT_EQ(code_of([&] { waits.get(); }), levee::errc::cancelled);
        EXPECT_TRUE(comes_true([&] { return seen.expired(); }));
    }
}

TEST_F(postgres_pool, a_session_that_was_cleaned_is_not_cleaned_for_ever) {
    pool db(single());
    const auto sent = [&] { return db.with_connection([](connection& one) { return one.facts().sent; }); };
    db.query("SET search_path = x");
    db.query("SELECT 1");
    const std::uint64_t before = sent();
    for (int i = 0; i < 10; ++i) {
        db.query("SELECT 1");
    }
    EXPECT_LE(sent() - before, 12U);
}

TEST_F(postgres_pool, connections_age_by_the_scheduler_of_the_connections) {
    auto chosen = single();
    const auto time = std::make_shared<moved_time>(rt_.get_executor());
    chosen.connection.scheduler = time;
    chosen.pool.max_lifetime = 10s;
    pool db(chosen);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    }
    EXPECT_EQ(db.stats().created, 1U);
    // None of the five was preceded by a look at a connection that seemed too old.
    EXPECT_EQ(db.with_connection([](connection& one) { return one.facts().sent; }), 5U);
    time->move(20s);
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    EXPECT_EQ(db.stats().created, 2U);
}

TEST_F(postgres_pool, threads_that_wait_for_a_connection_may_see_the_pool_destroyed) {
    for (int round = 0; round < 30; ++round) {
        auto db = std::make_unique<pool>(single());
        std::promise<void> go_on;
        std::promise<void> holds;
        std::jthread holder([&, at = db.get()] {
            at->with_connection([&](connection&) {
                holds.set_value();
                go_on.get_future().wait();
            });
        });
        holds.get_future().wait();
        std::jthread waiter([at = db.get()] {
            try {
                EXPECT_EQ(at->query("SELECT 1").value<int>(), 1);  // whichever is first
            } catch (const pool_error& e) {
                EXPECT_EQ(e.code(), levee::errc::closed);
            }
        });
        ASSERT_TRUE(comes_true([&] { return db->stats().waiting == 1; }));
        go_on.set_value();
        db.reset();
    }
}

TEST_F(postgres_pool, a_transaction_that_is_to_be_run_again_may_see_the_pool_destroyed) {
    auto db = std::make_unique<pool>(single());
    int runs = 0;
    const auto conflict = [&](transaction&) {
        ++runs;
        db.reset();
        throw sql_error({.sqlstate = "40001", .severity = "ERROR"}, {});
    };
    EXPECT_EQ(code_of([&, at = db.get()] { at->transaction(conflict, {.attempts = 2}); }),
              levee::errc::closed);
    EXPECT_EQ(runs, 1);
}

TEST_F(postgres_pool, nobody_is_served_by_a_session_that_could_not_be_cleaned) {
    shared_server().execute(
        "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN;"
        "REVOKE EXECUTE ON FUNCTION pg_advisory_unlock_all() FROM PUBLIC;"
        "DROP SCHEMA IF EXISTS trap CASCADE; CREATE SCHEMA trap; CREATE TABLE trap.notes (id int);"
        "DROP TABLE IF EXISTS notes; CREATE TABLE notes (id int);"
        "GRANT USAGE ON SCHEMA trap TO guest; GRANT ALL ON trap.notes, notes TO guest");
    {
        auto chosen = single();
        chosen.connection.user = "guest";
        pool db(chosen);
        for (int i = 0; i < 20; ++i) {
            try {
                db.with_connection([](connection& one) {
                    one.query("SET search_path = trap");
                    one.query("SELECT pg_advisory_lock(5)");  // what takes it away is refused
                });
                db.query("INSERT INTO notes VALUES ($1)", i);
            } catch (const error& e) {
                EXPECT_EQ(e.code(), errc::connection_lost) << e.what();
                EXPECT_FALSE(e.may_have_been_executed());
            }
        }
    }
    EXPECT_EQ(shared_server().execute("SELECT count(*) FROM trap.notes"), "0");
    shared_server().execute(
        "DROP SCHEMA trap CASCADE; DROP TABLE notes;"
        "GRANT EXECUTE ON FUNCTION pg_advisory_unlock_all() TO PUBLIC");
    EXPECT_TRUE(comes_true([&] {
        return shared_server().execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest'") ==
               "0";
    }));
    shared_server().execute("DROP ROLE guest");
}

}  // namespace
}  // namespace levee::postgres
