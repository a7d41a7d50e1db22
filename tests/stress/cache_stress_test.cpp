// Threads and coroutines on one cache at once, for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/core/random.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using numbers = cache<int, int>;

constexpr int keys = 5;

struct racing_callers : ::testing::Test {
    runtime threads{2, 2};
    std::unique_ptr<numbers> shared = make();

    std::unique_ptr<numbers> make() {
        return std::make_unique<numbers>(
            cache_options<int, int>{.local = {.max_entries = 3},
                                    .executor = threads.get_executor(),
                                    .blocking_executor = threads.blocking_executor()});
    }
};

int plain_load(int key) {
    if (key == 4) {
        throw std::runtime_error("this one always fails");
    }
    return key;
}

asio::awaitable<int> coroutine_load(int key) {
    co_await asio::post(asio::use_awaitable);
    co_return plain_load(key);
}

TEST_F(racing_callers, get_their_keys_value_or_its_error) {
    std::atomic<int> wrong = 0;
    const auto check = [&](int key, const auto& get) {
        try {
            wrong += get() == key ? 0 : 1;
        } catch (const std::runtime_error&) {
            wrong += key == 4 ? 0 : 1;
        }
    };
    const auto blocking_caller = [&](std::uint64_t seed) {
        xoshiro256 random(seed);
        for (int i = 0; i < 2'000; ++i) {
            const int key = static_cast<int>(uniform_below(random, keys));
            switch (uniform_below(random, 8)) {
                case 0:
                    shared->invalidate(key);
                    break;
                case 1:
                    shared->clear();
                    break;
                case 2:
                    static_cast<void>(shared->lookup(key));
                    break;
                case 3:
                    check(key, [&] { return shared->get_or_load(key, coroutine_load).value(); });
                    break;
                default:
                    check(key, [&] { return shared->get_or_load(key, plain_load).value(); });
            }
        }
    };
    const auto suspended_caller = [&](std::uint64_t seed) -> asio::awaitable<void> {
        xoshiro256 random(seed);
        for (int i = 0; i < 1'000; ++i) {
            const int key = static_cast<int>(uniform_below(random, keys));
            std::optional<int> value = key;
            bool has_failed = false;
            try {
                if (uniform_below(random, 2) == 0) {
                    value = co_await shared->async_get_or_load(key, plain_load, asio::use_awaitable);
                } else {
                    value = co_await shared->async_get_or_load(key, coroutine_load, asio::use_awaitable);
                }
            } catch (const std::runtime_error&) {
                has_failed = true;
            }
            wrong += has_failed ? (key == 4 ? 0 : 1) : (value == key ? 0 : 1);
        }
    };
    std::vector<std::future<void>> coroutines;
    for (std::uint64_t i = 0; i < 8; ++i) {
        coroutines.push_back(asio::co_spawn(threads.get_executor(), suspended_caller(i), asio::use_future));
    }
    {
        std::vector<std::jthread> callers;
        for (std::uint64_t i = 0; i < 3; ++i) {
            callers.emplace_back(blocking_caller, 100 + i);
        }
    }
    for (auto& coroutine : coroutines) {
        coroutine.get();
    }
    EXPECT_EQ(wrong, 0);
}

// A caller that finds no flight may have looked into L1 before the key's flight stored its value there.
TEST_F(racing_callers, load_each_key_once_however_they_meet) {
    constexpr int count = 20'000;
    for (int round = 0; round < 8; ++round) {
        numbers all({.local = {.max_entries = count}});
        std::atomic<int> loads = 0;
        {
            std::vector<std::jthread> callers;
            for (int t = 0; t < 4; ++t) {
                callers.emplace_back([&] {
                    for (int key = 0; key < count; ++key) {
                        static_cast<void>(all.get_or_load(key, [&](int k) {
                            ++loads;
                            return k;
                        }));
                    }
                });
            }
        }
        ASSERT_EQ(loads, count);
    }
}

TEST_F(racing_callers, get_nothing_older_than_an_invalidation_that_has_returned) {
    std::atomic<int> version = 0;
    std::atomic<bool> is_over = false;
    const auto load = [&](int) { return version.load(); };
    std::vector<std::jthread> readers;
    for (int t = 0; t < 3; ++t) {
        readers.emplace_back([&, t] {
            while (!is_over) {
                static_cast<void>(shared->get_or_load(1, load));
                shared->put(10 + t, 0);  // a small cache: key 1 is evicted now and then
            }
        });
    }
    int stale = 0;
    for (int i = 1; i <= 5'000; ++i) {
        version = i;
        shared->invalidate(1);
        stale += shared->get_or_load(1, load) == i ? 0 : 1;
    }
    is_over = true;
    EXPECT_EQ(stale, 0);
}

TEST_F(racing_callers, may_be_cancelled_while_their_load_completes) {
    std::atomic<int> completions = 0;
    constexpr int rounds = 2'000;
    std::latch done(rounds);
    for (int i = 0; i < rounds; ++i) {
        // Handler and emission on one strand, as Asio asks of them; the load on other threads.
        auto strand = asio::make_strand(threads.get_executor());
        auto signal = std::make_shared<asio::cancellation_signal>();
        asio::post(strand, [&, strand, signal, key = 100 + i] {
            shared->async_get_or_load(
                key, plain_load,
                asio::bind_cancellation_slot(
                    signal->slot(),
                    asio::bind_executor(strand, [&, signal](std::exception_ptr, std::optional<int>) {
                        ++completions;
                        done.count_down();
                    })));
            asio::post(strand, [signal] { signal->emit(asio::cancellation_type::terminal); });
        });
    }
    done.wait();
    EXPECT_EQ(completions, rounds);
}

TEST_F(racing_callers, are_let_go_when_the_cache_is_destroyed_at_any_moment) {
    for (int round = 0; round < 100; ++round) {
        auto doomed = make();
        std::vector<std::future<std::optional<int>>> waiting;
        for (int key = 0; key < keys; ++key) {
            waiting.push_back(doomed->async_get_or_load(key, plain_load, asio::use_future));
            waiting.push_back(doomed->async_get_or_load(key, coroutine_load, asio::use_future));
        }
        for (int i = 0; i < round; ++i) {
            std::this_thread::yield();
        }
        doomed.reset();
        for (auto& future : waiting) {
            try {
                static_cast<void>(future.get());
            } catch (const std::system_error& e) {
                EXPECT_TRUE(e.code() == errc::closed || e.code() == errc::cancelled) << e.what();
            } catch (const std::runtime_error& e) {
                EXPECT_STREQ(e.what(), "this one always fails");
            }
        }
    }
}

}  // namespace
}  // namespace levee
