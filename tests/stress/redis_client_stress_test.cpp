// Threads and coroutines on one client, with time-outs, cancellations and killed connections: every answer
// must be the one of its own command.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/redis/subscriber.hpp"
#include "support/redis_server.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct tally {
    std::atomic<std::uint64_t> right = 0;
    std::atomic<std::uint64_t> wrong = 0;
    std::atomic<std::uint64_t> abandoned = 0;  // timed out or cancelled
    std::atomic<std::uint64_t> lost = 0;

    void count(const std::string& asked, const std::string& answered) {
        ++(asked == answered ? right : wrong);
    }
    void count(const error& e) {
        ++(e.code() == levee::errc::timeout || e.code() == levee::errc::cancelled ? abandoned : lost);
    }
};

/// ECHO, with a deadline that is sometimes too short.
command question(const std::string& word, xoshiro256& random) {
    command one("ECHO", word);
    if (uniform_below(random, 3) == 0) {
        one.timeout(std::chrono::microseconds(1 + uniform_below(random, 150)));
    }
    return std::move(one.idempotent(uniform_below(random, 2) == 0));
}

void crowd(std::uint64_t wanted, bool kills) {
    if (!tests::redis_server::is_installed()) {
        GTEST_SKIP() << "no redis-server";
    }
    tests::redis_server server;
    runtime rt{2, 1};
    client db({.port = server.port(), .executor = rt.get_executor(), .command_timeout = 20s});
    client killer({.port = server.port(),
                   .executor = rt.get_executor(),
                   .client_name = "killer",
                   .command_timeout = 20s});
    tally all;
    std::atomic<bool> is_over = false;
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t i = 0; i < 8; ++i) {
            threads.emplace_back([&, i] {
                xoshiro256 random(i);
                for (std::uint64_t n = 0; !is_over; ++n) {
                    const std::string word = std::to_string(i) + ':' + std::to_string(n);
                    try {
                        all.count(word, db.execute(question(word, random)).text());
                    } catch (const error& e) {
                        all.count(e);
                    }
                }
            });
        }
        constexpr int coroutines = 16;
        std::latch ended(coroutines);
        const auto talk = [&](std::uint64_t seed) -> asio::awaitable<void> {
            xoshiro256 random(seed);
            const auto executor = co_await asio::this_coro::executor;
            for (std::uint64_t n = 0; !is_over; ++n) {
                const std::string word = "c" + std::to_string(seed) + ':' + std::to_string(n);
                command one = question(word, random);
                const auto stop = std::make_shared<asio::cancellation_signal>();
                if (uniform_below(random, 3) == 0) {
                    asio::post(executor, [stop] { stop->emit(asio::cancellation_type::terminal); });
                }
                try {
                    auto token = asio::bind_cancellation_slot(stop->slot(), asio::use_awaitable);
                    const reply answer = co_await db.async_execute(std::move(one), token);
                    all.count(word, answer.text());
                } catch (const error& e) {
                    all.count(e);
                }
            }
        };
        for (std::uint64_t i = 0; i < coroutines; ++i) {
            asio::co_spawn(asio::make_strand(rt.get_executor()), talk(100 + i),
                           [&](const std::exception_ptr&) { ended.count_down(); });
        }
        xoshiro256 random(99);
        while (all.abandoned < wanted || all.right < wanted) {
            // Paces this loop, and kills all connections but this one now and then.
            killer.execute("PING");
            if (kills && uniform_below(random, 200) == 0) {
                killer.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
            }
            ASSERT_EQ(all.wrong, 0U);
        }
        is_over = true;
        ended.wait();
    }
    EXPECT_EQ(all.wrong, 0U);
    if (!kills) {
        EXPECT_EQ(all.lost, 0U);
    }
    EXPECT_EQ(db.execute("ECHO", "last").text(), "last");
    EXPECT_EQ(db.stats().pending, 0U);
}

TEST(redis_client_stress, no_reply_is_mixed_up_by_time_outs_and_cancellations) {
    crowd(20'000, false);
}

TEST(redis_client_stress, no_reply_is_mixed_up_by_killed_connections) {
    crowd(20'000, true);
}

TEST(redis_client_stress, long_no_reply_is_mixed_up_by_1e6_time_outs_and_cancellations) {
    crowd(1'000'000, true);
}

TEST(redis_client_stress, a_client_is_destroyed_while_coroutines_ask) {
    if (!tests::redis_server::is_installed()) {
        GTEST_SKIP() << "no redis-server";
    }
    tests::redis_server server;
    runtime rt{2, 1};
    for (int round = 0; round < 50; ++round) {
        auto db = std::make_unique<client>(
            client_options{.port = server.port(), .executor = rt.get_executor(), .command_timeout = 20s});
        std::latch ended(20);
        for (int i = 0; i < 20; ++i) {
            db->async_execute(
                command("ECHO", i),
                asio::bind_executor(rt.get_executor(),
                                    [&](const std::exception_ptr&, const reply&) { ended.count_down(); }));
        }
        if (round % 2 == 0) {
            db->execute("PING");
        }
        db.reset();
        ended.wait();
    }
}

TEST(redis_client_stress, subscribers_come_and_go_while_messages_are_published) {
    if (!tests::redis_server::is_installed()) {
        GTEST_SKIP() << "no redis-server";
    }
    tests::redis_server server;
    runtime rt{2, 1};
    client db({.port = server.port(), .executor = rt.get_executor(), .command_timeout = 20s});
    std::atomic<bool> is_over = false;
    std::jthread publisher([&] {
        while (!is_over) {
            db.publish("c", "message");
        }
    });
    for (int round = 0; round < 30; ++round) {
        std::atomic<int> heard = 0;
        subscriber one(db, {.channels = {"c"}, .on_message = [&](const published&) {
                                ++heard;
                                heard.notify_all();
                            }});
        if (round % 3 != 0) {
            heard.wait(0);
        }
    }
    is_over = true;
}

}  // namespace
}  // namespace levee::redis
