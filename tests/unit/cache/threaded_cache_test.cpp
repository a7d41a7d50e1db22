// A cache on real threads: callers that block beside coroutines, and one load for many of both (G4, M4).
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/store/source_from.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using strings = cache<std::string, std::string>;

struct a_threaded_cache : ::testing::Test {
    runtime threads{2};
    strings texts{{.local = {.max_entries = 100},
                   .executor = threads.get_executor(),
                   .blocking_executor = threads.blocking_executor()}};
};

TEST_F(a_threaded_cache, refuses_to_block_a_thread_of_its_own_executor) {
    const auto load = [](const std::string& key) { return key; };
    const auto blocked = [&](const asio::any_io_executor& on) {
        return asio::co_spawn(
                   on,
                   [&]() -> asio::awaitable<std::error_code> {
                       try {
                           static_cast<void>(texts.get_or_load("a", load));
                       } catch (const error& e) {
                           co_return e.code();
                       }
                       co_return std::error_code();
                   },
                   asio::use_future)
            .get();
    };
    EXPECT_EQ(blocked(threads.get_executor()), errc::would_deadlock);
    EXPECT_EQ(blocked(asio::make_strand(threads.get_executor())), errc::would_deadlock);
    EXPECT_EQ(texts.stats().loads, 0U);
    texts.put("a", "there");
    EXPECT_EQ(blocked(threads.get_executor()), std::error_code()) << "a hit does not block";
}

TEST_F(a_threaded_cache, runs_a_coroutine_loader_for_a_blocking_caller) {
    const auto load = [](std::string key) -> asio::awaitable<std::string> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
        co_await timer.async_wait(asio::use_awaitable);
        co_return key + "!";
    };
    EXPECT_EQ(texts.get_or_load("a", load), "a!");
    EXPECT_EQ(texts.get("a"), "a!");
}

void expect_time_out(strings& of, const auto& load) {
    entry_options brief;
    brief.load_timeout = 10ms;
    try {
        static_cast<void>(of.get_or_load("a", load, brief));
        FAIL() << "it came back with a value";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
}

TEST_F(a_threaded_cache, times_a_blocking_caller_of_an_endless_coroutine_out) {
    const auto endless = [](std::string) -> asio::awaitable<std::string> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await timer.async_wait(asio::use_awaitable);
        co_return "never";
    };
    expect_time_out(texts, endless);
}

TEST_F(a_threaded_cache, times_a_blocking_caller_out_whose_coroutine_is_never_run) {
    asio::io_context never_run;
    strings stuck({.local = {.max_entries = 10}, .executor = never_run.get_executor()});
    const auto load = [](std::string key) -> asio::awaitable<std::string> { co_return key; };
    expect_time_out(stuck, load);
}

TEST_F(a_threaded_cache, does_not_pass_a_hanging_plain_load_on_to_those_who_come_after_its_deadline) {
    entry_options brief;
    brief.load_timeout = 10ms;
    std::latch hangs(1);
    std::latch go_on(1);
    std::jthread hanging([&] {
        static_cast<void>(texts.get_or_load(
            "a",
            [&](const std::string&) {
                hangs.count_down();
                go_on.wait();
                return std::string("late");
            },
            brief));
    });
    hangs.wait();
    const auto load = [](const std::string&) { return std::string("new"); };
    try {
        static_cast<void>(texts.get_or_load("a", load));
        FAIL() << "it did not wait for the load under way";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
    EXPECT_EQ(texts.get_or_load("a", load), "new");
    go_on.count_down();
}

TEST_F(a_threaded_cache, serves_awaitable_future_deferred_and_callback_tokens) {
    auto load = [](const std::string& key) { return key; };
    auto future = texts.async_get_or_load("future", load, asio::use_future);
    EXPECT_EQ(future.get(), "future");
    auto both = asio::co_spawn(
        threads.get_executor(),
        [&]() -> asio::awaitable<std::string> {
            auto first = co_await texts.async_get_or_load("awaitable", load, asio::use_awaitable);
            auto operation = texts.async_get_or_load("deferred", load, asio::deferred);
            auto second = co_await std::move(operation)(asio::use_awaitable);
            co_return *first + *second;
        },
        asio::use_future);
    EXPECT_EQ(both.get(), "awaitabledeferred");
}

constexpr int callers_of_each_kind = 32;
constexpr std::uint64_t others = 2 * callers_of_each_kind - 1;

struct many_callers : a_threaded_cache {
    std::atomic<int> loads = 0;

    // Spinning on the statistics, not on time: it goes on when all the others wait.
    void wait_for_the_others(const auto& of) const {
        while (of.stats().joined < others) {
            std::this_thread::yield();
        }
    }

    /// The outcome of `block()` on 32 threads and of `co_await suspend()` in 32 coroutines.
    template <class Block, class Suspend>
    std::vector<std::string> outcomes(Block block, Suspend suspend) {
        std::vector<std::string> all(2 * callers_of_each_kind);
        std::vector<std::jthread> blocked;
        std::vector<std::future<void>> suspended;
        for (int i = 0; i < callers_of_each_kind; ++i) {
            blocked.emplace_back([&all, &block, i] {
                try {
                    all[static_cast<std::size_t>(i)] = *block();
                } catch (const std::exception& e) {
                    all[static_cast<std::size_t>(i)] = std::string("! ") + e.what();
                }
            });
            auto coroutine = [](std::string& out, Suspend& wait) -> asio::awaitable<void> {
                try {
                    auto value = co_await wait();
                    out = *value;
                } catch (const std::exception& e) {
                    out = std::string("! ") + e.what();
                }
            };
            suspended.push_back(
                asio::co_spawn(threads.get_executor(),
                               coroutine(all[static_cast<std::size_t>(callers_of_each_kind + i)], suspend),
                               asio::use_future));
        }
        blocked.clear();
        for (auto& f : suspended) {
            f.get();
        }
        return all;
    }
};

using all_of = std::vector<std::string>;

TEST_F(many_callers, of_one_absent_key_get_the_value_of_one_plain_load) {
    const auto load = [&](const std::string& key) {
        ++loads;
        wait_for_the_others(texts);
        return key + "!";
    };
    EXPECT_EQ(outcomes([&] { return texts.get_or_load("a", load); },
                       [&] { return texts.async_get_or_load("a", load, asio::use_awaitable); }),
              all_of(2 * callers_of_each_kind, "a!"));
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(texts.stats().loads, 1U);
    EXPECT_EQ(texts.stats().joined, others);
}

TEST_F(many_callers, of_one_absent_key_get_the_value_of_one_coroutine_load) {
    // The coroutine itself must not block its executor, so a thread tells it when all are there.
    const auto load = [&](std::string key) -> asio::awaitable<std::string> {
        ++loads;
        auto arrived = [this] { wait_for_the_others(texts); };
        co_await asio::co_spawn(
            threads.blocking_executor(),
            [](auto wait) -> asio::awaitable<void> {
                wait();
                co_return;
            }(arrived),
            asio::use_awaitable);
        co_return key + "!";
    };
    EXPECT_EQ(outcomes([&] { return texts.get_or_load("a", load); },
                       [&] { return texts.async_get_or_load("a", load, asio::use_awaitable); }),
              all_of(2 * callers_of_each_kind, "a!"));
    EXPECT_EQ(loads, 1);
}

TEST_F(many_callers, all_get_the_loaders_error_and_the_next_call_loads_again) {
    const auto failing = [&](const std::string&) -> std::string {
        ++loads;
        wait_for_the_others(texts);
        throw std::runtime_error("no database");
    };
    EXPECT_EQ(outcomes([&] { return texts.get_or_load("a", failing); },
                       [&] { return texts.async_get_or_load("a", failing, asio::use_awaitable); }),
              all_of(2 * callers_of_each_kind, "! no database"));
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(texts.get_or_load("a", [](const std::string&) { return std::string("back"); }), "back");
}

TEST_F(many_callers, of_a_read_through_ask_its_source_once) {
    read_through<std::string, std::string>* asked = nullptr;
    const auto from = source_from<std::string, std::string>([&](const std::string& key) {
        ++loads;
        wait_for_the_others(*asked);
        return key + "!";
    });
    read_through<std::string, std::string> through(from, {.local = {.max_entries = 100},
                                                          .executor = threads.get_executor(),
                                                          .blocking_executor = threads.blocking_executor()});
    asked = &through;
    EXPECT_EQ(outcomes([&] { return through.get("a"); },
                       [&] { return through.async_get("a", asio::use_awaitable); }),
              all_of(2 * callers_of_each_kind, "a!"));
    EXPECT_EQ(loads, 1);
}

TEST_F(many_callers, all_get_closed_when_the_cache_is_destroyed_with_their_load_in_flight) {
    auto doomed = std::make_unique<strings>(
        cache_options<std::string, std::string>{.local = {.max_entries = 100},
                                                .executor = threads.get_executor(),
                                                .blocking_executor = threads.blocking_executor()});
    strings& cache = *doomed;
    std::latch all_wait(1);
    std::latch is_destroyed(1);
    const auto load = [&](const std::string& key) {
        ++loads;
        wait_for_the_others(cache);
        all_wait.count_down();
        is_destroyed.wait();
        return key;
    };
    std::jthread destroyer([&] {
        all_wait.wait();
        doomed.reset();
        is_destroyed.count_down();
    });
    const auto seen = outcomes([&] { return cache.get_or_load("a", load); },
                               [&] { return cache.async_get_or_load("a", load, asio::use_awaitable); });
    const std::string closed = std::string("! ") + error(errc::closed, "waiting for a load").what();
    EXPECT_EQ(seen, all_of(2 * callers_of_each_kind, closed));
}

TEST_F(many_callers, of_keys_that_load_each_other_on_two_threads_are_not_left_waiting) {
    std::latch both_load(2);
    std::atomic<int> refused = 0;
    const auto asking_for = [&](const std::string& other) {
        return [&, other](const std::string&) -> std::string {
            both_load.arrive_and_wait();
            return *texts.get_or_load(other, [](const std::string&) { return std::string("never"); });
        };
    };
    const auto caller = [&](const std::string& key, const std::string& other) {
        try {
            static_cast<void>(texts.get_or_load(key, asking_for(other)));
        } catch (const error& e) {
            refused += e.code() == errc::recursive_load ? 1 : 0;
        }
    };
    {
        const std::jthread a(caller, "a", "b");
        const std::jthread b(caller, "b", "a");
    }
    EXPECT_EQ(refused, 2) << "the one that was told, and the one whose load failed because of it";
}

}  // namespace
}  // namespace levee
