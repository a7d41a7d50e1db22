// The Redis client against a real server, which is killed, stopped, restarted, filled and made a replica.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/subscriber.hpp"
#include "support/code_of.hpp"
#include "support/free_port.hpp"
#include "support/redis_fixture.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::error_of;
using tests::redis_server;

class redis_real_server : public tests::redis_fixture {
protected:
    client& db(client_options options = {}) {
        if (db_ == nullptr) {
            options.port = server().port();
            options.executor = rt_.get_executor();
            if (options.command_timeout == client_options{}.command_timeout) {
                options.command_timeout = 20s;
            }
            db_ = std::make_unique<client>(options);
        }
        return *db_;
    }
    template <class T>
    T await(asio::awaitable<T> work) {
        return asio::co_spawn(rt_.get_executor(), std::move(work), asio::use_future).get();
    }

private:
    std::unique_ptr<client> db_;
};

TEST_F(redis_real_server, typed_calls_do_what_they_say) {
    auto& c = db();
    EXPECT_FALSE(c.get("a"));
    EXPECT_TRUE(c.set("a", std::string("\0\r\n", 3)));
    EXPECT_EQ(c.get("a"), std::string("\0\r\n", 3));
    EXPECT_FALSE(c.set("a", 1, {.when = set_when::absent}));
    EXPECT_FALSE(c.set("b", 1, {.when = set_when::present}));
    EXPECT_TRUE(c.set("b", 41, {.time_to_live = 100s}));
    EXPECT_EQ(c.increment("b"), 42);
    EXPECT_GT(c.time_to_live("b"), 90s);
    EXPECT_EQ(c.time_to_live("a"), (duration::max)());
    EXPECT_FALSE(c.time_to_live("none"));
    EXPECT_TRUE(c.expire("a", 100s));
    EXPECT_EQ(c.get_many(std::vector{"a", "none", "b"})[2], "42");
    EXPECT_FALSE(c.get_many(std::vector{"a", "none", "b"})[1]);
    EXPECT_TRUE(c.exists("b"));
    EXPECT_TRUE(c.set_field("h", "f", "v"));
    EXPECT_EQ(c.get_field("h", "f"), "v");
    EXPECT_EQ(c.get_fields("h"), (std::vector<std::pair<std::string, std::string>>{{"f", "v"}}));
    EXPECT_TRUE(c.erase("b"));
    EXPECT_EQ(c.erase_many(std::vector{"a", "b", "h"}), 2U);
    EXPECT_EQ(error_of<error>([&] {
                  return c.execute("SADD", "s", "x").integer() + c.execute("INCR", "s").integer();
              })->code(),
              errc::wrong_type);
}

TEST_F(redis_real_server, coroutines_can_do_the_same) {
    auto& c = db();
    const auto work = [&]() -> asio::awaitable<std::string> {
        co_await c.async_set("a", "1", asio::use_awaitable);
        const set_options lives{.time_to_live = 100s};
        co_await c.async_set("b", "2", lives, asio::use_awaitable);
        co_await c.async_increment("b", 5, asio::use_awaitable);
        const std::vector<std::string> names{"a", "b"};
        const auto values = co_await c.async_get_many(names, asio::use_awaitable);
        pipeline more;
        more.add("GET", "a").add("LPUSH", "a", "x").add("ECHO", "last");
        const auto replies = co_await c.async_execute(std::move(more), asio::use_awaitable);
        std::string all = *values[0] + *values[1] + replies[0].text() + replies[2].text();
        all += replies[1].is_error() ? " refused" : " taken";
        auto keys = c.scan();
        std::size_t count = 0;
        while (auto batch = co_await keys.async_next(asio::use_awaitable)) {
            count += batch->size();
        }
        co_return all + ' ' + std::to_string(count);
    };
    EXPECT_EQ(await(work()), "171last refused 2");
}

TEST_F(redis_real_server, a_transaction_is_executed_as_one_or_not_at_all) {
    auto& c = db();
    c.set("n", 1);
    auto tx = c.begin();
    tx.watch("n");
    const auto n = tx.execute("GET", "n").integer();
    tx.add("SET", "n", n + 1).add("GET", "n");
    const auto replies = tx.commit();
    ASSERT_TRUE(replies);
    EXPECT_EQ((*replies)[1].text(), "2");
    tx.watch("n");
    c.set("n", 7);
    tx.add("SET", "n", 8);
    EXPECT_FALSE(tx.commit());
    EXPECT_EQ(c.get("n"), "7");
    tx.add("SET", "n", 9).add("NO_SUCH_COMMAND");
    EXPECT_TRUE(error_of<error>([&] { return tx.commit(); }));
    EXPECT_EQ(c.get("n"), "7");
}

TEST_F(redis_real_server, a_transaction_whose_watch_was_lost_is_not_executed) {
    auto& c = db();
    auto tx = c.begin();
    tx.watch("n");
    c.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    tx.add("SET", "n", 1);
    const auto failed = error_of<error>([&] { return tx.commit(); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::connection_lost);
    EXPECT_FALSE(c.exists("n"));
}

TEST_F(redis_real_server, transactions_of_coroutines_wait_for_a_connection) {
    auto& c = db({.max_exclusive = 1});
    const auto work = [&]() -> asio::awaitable<std::int64_t> {
        auto tx = co_await c.async_begin(asio::use_awaitable);
        co_await tx->async_watch("n", asio::use_awaitable);
        const auto before = co_await tx->async_execute(command("GET", "n"), asio::use_awaitable);
        tx->add("INCR", "n");
        const auto replies = co_await tx->async_commit(asio::use_awaitable);
        co_return (*replies)[0].integer();
    };
    std::vector<std::future<std::int64_t>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(asio::co_spawn(rt_.get_executor(), work(), asio::use_future));
    }
    std::int64_t sum = 0;
    for (auto& each : all) {
        sum += each.get();
    }
    EXPECT_EQ(sum, 55);
}

TEST_F(redis_real_server, scripts_are_known_again_after_a_restart) {
    auto& c = db();
    const script add("return tonumber(ARGV[1]) + tonumber(ARGV[2])");
    const std::vector<std::string> none;
    EXPECT_EQ(c.run(add, none, std::vector{"1", "2"}).integer(), 3);
    server().kill();
    server().start();
    EXPECT_EQ(c.get("nothing"), std::nullopt);  // idempotent: waits for the new connection
    EXPECT_EQ(c.run(add, none, std::vector{"3", "4"}).integer(), 7);
    c.execute("SCRIPT", "FLUSH");
    EXPECT_EQ(c.async_run(add, none, std::vector{"5", "6"}, asio::use_future).get().integer(), 11);
    EXPECT_EQ(error_of<error>([&] { return c.run(script("return nonsense("), none, none); })->code(),
              errc::server_error);
}

TEST_F(redis_real_server, scan_gives_every_key_that_matches) {
    auto& c = db();
    std::set<std::string> expected;
    for (int i = 0; i < 1000; ++i) {
        expected.insert("k:" + std::to_string(i));
        c.set("k:" + std::to_string(i), i);
        c.set("other:" + std::to_string(i), i);
    }
    std::set<std::string> found;
    auto keys = c.scan({.match = "k:*", .count = 100});
    while (const auto batch = keys.next()) {
        found.insert(batch->begin(), batch->end());
    }
    EXPECT_EQ(found, expected);
    EXPECT_FALSE(keys.next());
}

TEST_F(redis_real_server, a_restart_is_waited_for) {
    auto& c = db();
    c.set("a", 1);
    server().kill();
    auto waits = c.async_set("a", 2, asio::use_future);
    server().start();
    EXPECT_TRUE(waits.get());
    EXPECT_EQ(c.get("a"), "2");
    EXPECT_EQ(c.stats().connects, 2U);
}

TEST_F(redis_real_server, a_stopped_server_costs_no_more_than_the_deadline_and_no_reply_is_mixed_up) {
    auto& c = db();
    c.set("a", "A");
    c.set("b", "B");
    server().pause();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(error_of<error>([&] { return c.execute(command("GET", "a").timeout(20ms)); })->code(),
                  levee::errc::timeout);
        auto future = c.async_execute(command("GET", "a").timeout(20ms), asio::use_future);
        EXPECT_EQ(error_of<error>([&] { return future.get(); })->code(), levee::errc::timeout);
    }
    server().resume();
    EXPECT_EQ(c.get("b"), "B");
    EXPECT_EQ(c.async_get("a", asio::use_future).get(), "A");
    EXPECT_EQ(c.stats().dropped_late, 6U);
}

TEST_F(redis_real_server, a_connection_that_the_server_closed_meanwhile_is_noticed_before_it_is_used) {
    auto& c = db();
    c.set("a", 1);
    redis_server& s = server();
    client other({.port = s.port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    other.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const time_point moment = clock::coarse().now();
    while (clock::coarse().now() < moment + 10ms) {  // the look is due after 5 ms of rest
        other.execute("PING");
    }
    EXPECT_EQ(c.increment("a"), 2) << "not idempotent, and yet no error";
}

TEST_F(redis_real_server, subscriptions_are_renewed_and_gaps_told) {
    auto& c = db();
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> heard;
    int gaps = 0;
    subscriber listens(c, {.channels = {"news"},
                           .patterns = {"p:*"},
                           .on_message =
                               [&](const published& one) {
                                   const std::lock_guard lock(mutex);
                                   heard.push_back(std::string(one.channel) + '=' + std::string(one.payload) +
                                                   std::string(one.pattern));
                                   changed.notify_all();
                               },
                           .on_gap =
                               [&] {
                                   const std::lock_guard lock(mutex);
                                   ++gaps;
                                   changed.notify_all();
                               },
                           .ping_interval = 50ms});
    ASSERT_TRUE(listens.wait_subscribed(20s));
    c.publish("news", "1");
    c.publish("p:x", "2");
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return heard.size() == 2; }));
        EXPECT_EQ(heard, (std::vector<std::string>{"news=1", "p:x=2p:*"}));
        EXPECT_EQ(gaps, 0);
    }
    server().kill();
    server().start();
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return gaps == 1; }));
    }
    ASSERT_TRUE(listens.wait_subscribed(20s));
    // The client's own connection may have rested for so short a time that it is not looked at before use.
    const auto lost = error_of<error>([&] { EXPECT_EQ(c.publish("news", "3"), 1); });
    if (lost) {
        EXPECT_EQ(lost->code(), errc::connection_lost);
        EXPECT_EQ(c.publish("news", "3"), 1);
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return heard.size() == 3; }));
    EXPECT_GT(listens.alive_at(), (time_point::min)());
}

TEST_F(redis_real_server, a_full_server_and_a_replica_are_told_from_failures) {
    server({"--maxmemory", "1500kb"});
    auto& c = db();
    const std::string value(10'000, 'v');
    std::optional<error> failed;
    for (int i = 0; i < 1000 && !failed; ++i) {
        failed = error_of<error>([&] { return c.set("k" + std::to_string(i), value); });
    }
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::out_of_memory);
    c.execute("REPLICAOF", "127.0.0.1", tests::free_port());
    EXPECT_EQ(error_of<error>([&] { return c.set("a", 1); })->code(), errc::read_only);
    EXPECT_EQ(c.get("k0"), value);
}

TEST_F(redis_real_server, serves_over_a_unix_socket_and_selects_the_database) {
    client c({.unix_socket = server().unix_socket(),
              .executor = rt_.get_executor(),
              .database = 3,
              .client_name = "tester",
              .command_timeout = 20s});
    c.set("a", 1);
    EXPECT_EQ(c.execute("CLIENT", "GETNAME").text(), "tester");
    EXPECT_FALSE(db().exists("a"));
}

TEST_F(redis_real_server, big_values_travel_both_ways_while_small_ones_pass) {
    auto& c = db({.connections = 2});
    const std::string big(20U << 20U, 'b');
    auto future = c.async_set("big", big, asio::use_future);
    EXPECT_TRUE(c.set("small", 1));
    EXPECT_TRUE(future.get());
    EXPECT_EQ(c.get("big"), big);
    EXPECT_EQ(c.async_get("big", asio::use_future).get(), big);
    EXPECT_TRUE(c.set("big2", big));
}

}  // namespace
}  // namespace levee::redis
