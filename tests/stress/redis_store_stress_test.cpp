// Threads and coroutines on one store and one backplane, with killed connections: nothing that was loaded
// before an acknowledged removal is found after it (G2), and no message is lost without a gap.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/redis/backplane.hpp"
#include "levee/redis/store.hpp"
#include "support/redis_server.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t keys = 4;

std::string key_of(std::size_t number) {
    return "k" + std::to_string(number);
}

remote_entry entry_of(std::uint64_t version) {
    remote_entry made;
    const std::string text = std::to_string(version);
    const bytes_view raw = as_bytes(text);
    made.payload.assign(raw.begin(), raw.end());
    made.fresh_left = 10min;
    made.stale_left = 20min;
    return made;
}

std::uint64_t version_of(const remote_entry& entry) {
    return std::stoull(std::string(as_text(entry.payload)));
}

/// The system of record, and what the store has confirmed of it.
struct world {
    std::array<std::atomic<std::uint64_t>, keys> written{};
    std::array<std::atomic<std::uint64_t>, keys> removed{};  // what was written before is not to be found
    std::atomic<std::uint64_t> hits = 0, fills = 0, refused = 0, removals = 0, failed = 0, violations = 0;

    void check(std::uint64_t least, const remote_entry& found) {
        ++hits;
        violations += version_of(found) < least ? 1 : 0;
    }
    void confirm(std::size_t key, std::uint64_t version) {
        ++removals;
        std::uint64_t known = removed[key];
        while (known < version && !removed[key].compare_exchange_weak(known, version)) {
        }
    }
};

void step(world& all, store& shared, xoshiro256& random) {
    const std::size_t key = uniform_below(random, keys);
    const std::uint64_t least = all.removed[key];
    switch (uniform_below(random, 4)) {
        case 0: {
            const std::uint64_t version = ++all.written[key];
            shared.erase({key_of(key)});
            all.confirm(key, version);
            break;
        }
        case 1:
            if (const auto found = shared.get({key_of(key)}).front()) {
                all.check(least, *found);
            }
            break;
        default: {
            const auto asked = shared.get_or_lease({.key = key_of(key), .lease = 1s});
            if (asked.what == lease_outcome::entry) {
                all.check(least, *asked.entry);
            } else if (asked.what == lease_outcome::granted) {
                const std::uint64_t loaded = all.written[key];
                std::this_thread::yield();
                ++(shared.fill(key_of(key), asked.token, entry_of(loaded)) ? all.fills : all.refused);
            }
            break;
        }
    }
}

asio::awaitable<void> steps(world& all, store& shared, const std::atomic<bool>& is_over, std::uint64_t seed) {
    xoshiro256 random(seed);
    while (!is_over) {
        const std::size_t key = uniform_below(random, keys);
        const std::uint64_t least = all.removed[key];
        std::vector<std::string> names{key_of(key)};
        try {
            if (uniform_below(random, 4) == 0) {
                const std::uint64_t version = ++all.written[key];
                auto erasing = shared.async_erase(std::move(names));
                co_await std::move(erasing);
                all.confirm(key, version);
            } else if (uniform_below(random, 2) == 0) {
                auto getting = shared.async_get(std::move(names));
                const auto found = co_await std::move(getting);
                if (found.front()) {
                    all.check(least, *found.front());
                }
            } else {
                auto asking = shared.async_get_or_lease({.key = key_of(key), .lease = 1s});
                const auto asked = co_await std::move(asking);
                if (asked.what == lease_outcome::entry) {
                    all.check(least, *asked.entry);
                } else if (asked.what == lease_outcome::granted) {
                    const std::uint64_t loaded = all.written[key];
                    auto filling = shared.async_fill(key_of(key), asked.token, entry_of(loaded));
                    const bool is_filled = co_await std::move(filling);
                    ++(is_filled ? all.fills : all.refused);
                }
            }
        } catch (const levee::error&) {
            ++all.failed;
        }
    }
}

void crowd(bool kills) {
    if (!tests::redis_server::is_installed()) {
        GTEST_SKIP() << "no redis-server";
    }
    tests::redis_server server;
    runtime rt{2, 1};
    const auto connect = [&](const char* name) {
        return std::make_shared<client>(client_options{.port = server.port(),
                                                       .executor = rt.get_executor(),
                                                       .client_name = name,
                                                       .command_timeout = 20s});
    };
    store shared(connect("store"));
    const auto killer = connect("killer");
    world all;
    std::atomic<bool> is_over = false;
    std::latch ended(4);
    for (std::uint64_t i = 0; i < 4; ++i) {
        asio::co_spawn(rt.get_executor(), steps(all, shared, is_over, i),
                       [&](const std::exception_ptr&) { ended.count_down(); });
    }
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t i = 0; i < 4; ++i) {
            threads.emplace_back([&, i] {
                xoshiro256 random(100 + i);
                while (!is_over) {
                    try {
                        step(all, shared, random);
                    } catch (const levee::error&) {
                        ++all.failed;
                    }
                }
            });
        }
        // One each hundred removals: what comes faster would only test how connections are made.
        constexpr std::uint64_t wanted = 2'000;
        for (std::uint64_t next = 100; all.removals < wanted; std::this_thread::yield()) {
            if (kills && all.removals >= next) {
                killer->execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
                next += 100;
            }
        }
        is_over = true;
    }
    ended.wait();
    EXPECT_EQ(all.violations, 0U);
    EXPECT_GT(all.hits, 0U);
    EXPECT_GT(all.fills, 0U);
    EXPECT_GT(all.refused, 0U) << "no fill was ever overtaken: the test shows nothing";
    if (!kills) {
        EXPECT_EQ(all.failed, 0U);
    }
}

TEST(redis_store_stress, finds_nothing_that_was_loaded_before_it_was_removed) {
    crowd(false);
}

TEST(redis_store_stress, nor_when_connections_are_killed) {
    crowd(true);
}

TEST(redis_backplane_stress, loses_no_message_without_a_gap) {
    if (!tests::redis_server::is_installed()) {
        GTEST_SKIP() << "no redis-server";
    }
    tests::redis_server server;
    runtime rt{2, 1};
    const auto connect = [&] {
        return std::make_shared<client>(
            client_options{.port = server.port(), .executor = rt.get_executor(), .command_timeout = 20s});
    };
    const backplane_options options{.ping_interval = 50ms, .ping_timeout = 10s};
    backplane one(connect(), options);
    backplane two(connect(), options);
    ASSERT_TRUE(one.wait_subscribed(20s) && two.wait_subscribed(20s));
    const auto killer = connect();
    std::atomic<std::uint64_t> heard = 0, gaps = 0, sent = 0, failed = 0;
    const auto hearing = two.subscribe([&](const backplane_message&) { ++heard; }, [&] { ++gaps; });
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t i = 0; i < 4; ++i) {
            threads.emplace_back([&, i] {
                for (std::uint64_t n = 0; n < 500; ++n) {
                    backplane_message message;
                    message.name_space = "n";
                    message.name = std::to_string(i) + ':' + std::to_string(n);
                    try {
                        one.publish(message);
                        ++sent;
                    } catch (const levee::error&) {
                        ++failed;
                    }
                }
            });
        }
        for (int i = 0; i < 5; ++i) {
            killer->execute("CLIENT", "KILL", "TYPE", "pubsub");
            std::this_thread::yield();
        }
    }
    // What comes last is heard, or a gap is told after it: by then all before it was heard or told as lost.
    backplane_message last;
    last.name = "last";
    one.publish(last);
    const time_point until = after(clock::precise().now(), 20s);
    while (heard < sent + 1 && gaps == 0 && clock::precise().now() < until) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(heard >= sent + 1 || gaps > 0)
        << heard << " of " << sent << " heard, " << failed << " failed";
}

}  // namespace
}  // namespace levee::redis
