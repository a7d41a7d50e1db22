#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <optional>
#include <string>

#include "levee/cache/cache.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using strings = cache<std::string, std::string>;
using answer = std::optional<std::string>;

/// The error code that a completion brought, none for a value.
std::error_code code_of(const std::exception_ptr& failure) {
    if (!failure) {
        return {};
    }
    try {
        std::rethrow_exception(failure);
    } catch (const std::system_error& e) {
        return e.code();
    }
}

/// All on one thread and on virtual time: what blocks is posted to the same executor.
struct an_async_cache : ::testing::Test {
    levee::testing::simulation world{1};
    strings texts{{.local = {.max_entries = 100, .clock = &world.clock()},
                   .executor = world.executor(),
                   .blocking_executor = world.executor(),
                   .defaults = {.ttl = 10s, .ttl_jitter = 0.0, .load_timeout = 5s},
                   .scheduler = world.scheduler()}};

    int loads = 0;
    int completions = 0;
    std::optional<answer> result;
    std::error_code code;

    /// A loader that takes a second.
    auto slow(std::string value) {
        return [this, value](std::string) -> asio::awaitable<std::string> {
            ++loads;
            co_await world.scheduler()->sleep_until(world.now() + 1s);
            co_return value;
        };
    }

    auto keep() {
        return asio::bind_executor(world.executor(), [this](const std::exception_ptr& failure, answer value) {
            ++completions;
            code = code_of(failure);
            result.emplace(std::move(value));
        });
    }
};

TEST_F(an_async_cache, loads_with_a_coroutine_and_then_has_it) {
    texts.async_get_or_load("a", slow("x"), keep());
    EXPECT_EQ(completions, 0) << "never inside the initiating call";
    world.run();
    EXPECT_EQ(result, answer("x"));
    EXPECT_EQ(world.now(), time_point(1h + 1s));
    texts.async_get_or_load("a", slow("y"), keep());
    EXPECT_EQ(completions, 1) << "never inside the initiating call, a hit neither";
    world.run();
    EXPECT_EQ(result, answer("x"));
    EXPECT_EQ(loads, 1);
}

TEST_F(an_async_cache, runs_a_plain_loader_on_the_blocking_executor) {
    texts.async_get_or_load("a", [](const std::string& key) { return key + "!"; }, keep());
    world.run();
    EXPECT_EQ(result, answer("a!"));
}

TEST_F(an_async_cache, completes_get_from_the_cache_alone) {
    texts.async_get("a", keep());
    world.run();
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(*result, std::nullopt);
    texts.put("a", "x");
    texts.async_get("a", keep());
    world.run();
    EXPECT_EQ(result, answer("x"));
}

TEST_F(an_async_cache, leaves_no_timer_behind) {
    texts.async_get_or_load("a", slow("x"), keep());
    world.run();
    EXPECT_EQ(world.sleeping(), 0U);
    EXPECT_EQ(world.now(), time_point(1h + 1s)) << "nothing waited for the load's deadline";
}

TEST_F(an_async_cache, serves_all_who_ask_meanwhile_from_one_load) {
    for (int i = 0; i < 100; ++i) {
        texts.async_get_or_load("a", slow("x"), keep());
    }
    world.run();
    EXPECT_EQ(completions, 100);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(texts.stats().joined, 99U);
}

TEST_F(an_async_cache, hands_a_coroutine_loaders_error_to_all_and_loads_again) {
    const auto failing = [this](std::string) -> asio::awaitable<std::string> {
        ++loads;
        co_await world.scheduler()->sleep_until(world.now() + 1s);
        throw error(errc::unavailable, "the database");
    };
    for (int i = 0; i < 10; ++i) {
        texts.async_get_or_load("a", failing, keep());
    }
    world.run();
    EXPECT_EQ(completions, 10);
    EXPECT_EQ(code, errc::unavailable);
    EXPECT_EQ(loads, 1);
    texts.async_get_or_load("a", slow("x"), keep());
    world.run();
    EXPECT_EQ(result, answer("x"));
    EXPECT_EQ(texts.stats().load_failures, 1U);
}

TEST_F(an_async_cache, ends_with_a_timeout_and_asks_the_loader_to_stop) {
    bool was_cancelled = false;
    const auto endless = [&](std::string, load_context& context) -> asio::awaitable<std::string> {
        EXPECT_EQ(context.deadline(), world.now() + 5s);
        try {
            co_await world.scheduler()->sleep_until(world.now() + 1h);
        } catch (const error& e) {
            was_cancelled = e.code() == errc::cancelled && context.is_cancelled();
            throw;
        }
        co_return "never";
    };
    texts.async_get_or_load("a", endless, keep());
    texts.async_get_or_load("a", endless, keep());
    world.run();
    EXPECT_EQ(completions, 2);
    EXPECT_EQ(code, errc::timeout);
    EXPECT_EQ(code, std::errc::timed_out);
    EXPECT_TRUE(was_cancelled);
    EXPECT_EQ(world.now(), time_point(1h + 5s));
    texts.async_get_or_load("a", slow("x"), keep());
    world.run();
    EXPECT_EQ(result, answer("x")) << "the next call starts anew";
}

TEST_F(an_async_cache, lets_a_cancelled_caller_go_and_loads_on_for_the_others) {
    asio::cancellation_signal signal;
    std::error_code cancelled;
    texts.async_get_or_load("a", slow("x"), keep());
    texts.async_get_or_load(
        "a", slow("y"),
        asio::bind_cancellation_slot(signal.slot(),
                                     asio::bind_executor(world.executor(), [&](std::exception_ptr e, answer) {
                                         cancelled = code_of(e);
                                     })));
    world.run_for(500ms);
    signal.emit(asio::cancellation_type::total);
    world.run_for(0ms);
    EXPECT_EQ(cancelled, errc::cancelled);
    EXPECT_EQ(completions, 0);
    world.run();
    EXPECT_EQ(result, answer("x"));
}

TEST_F(an_async_cache, loads_on_for_the_others_when_the_leader_is_cancelled) {
    asio::cancellation_signal signal;
    std::error_code cancelled;
    bool is_done = false;
    auto leader = asio::bind_cancellation_slot(
        signal.slot(), asio::bind_executor(world.executor(), [&](std::exception_ptr e, answer) {
            is_done = true;
            cancelled = code_of(e);
        }));
    texts.async_get_or_load("a", slow("x"), leader);
    texts.async_get_or_load("a", slow("y"), keep());
    world.run_for(500ms);
    signal.emit(asio::cancellation_type::terminal);
    world.run_for(100ms);
    EXPECT_FALSE(is_done) << "the load runs his loader, whose captures must stay";
    world.run();
    EXPECT_EQ(cancelled, errc::cancelled);
    EXPECT_EQ(result, answer("x"));
    EXPECT_EQ(loads, 1);
}

TEST_F(an_async_cache, lets_the_leader_of_a_detachable_load_go_at_once) {
    asio::cancellation_signal signal;
    bool is_done = false;
    auto load = detachable(slow("x"));
    texts.async_get_or_load(
        "a", load,
        asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(world.executor(), [&](std::exception_ptr, answer) { is_done = true; })));
    texts.async_get_or_load("a", slow("y"), keep());
    world.run_for(500ms);
    signal.emit(asio::cancellation_type::terminal);
    world.run_for(0ms);
    EXPECT_TRUE(is_done);
    world.run();
    EXPECT_EQ(result, answer("x"));
}

TEST_F(an_async_cache, stops_the_load_when_all_are_cancelled) {
    asio::cancellation_signal signals[3];
    int cancelled = 0;
    for (auto& signal : signals) {
        texts.async_get_or_load(
            "a", slow("x"),
            asio::bind_cancellation_slot(
                signal.slot(), asio::bind_executor(world.executor(), [&](std::exception_ptr e, answer) {
                    cancelled += code_of(e) == errc::cancelled ? 1 : 0;
                })));
    }
    world.run_for(500ms);
    for (auto& signal : signals) {
        signal.emit(asio::cancellation_type::terminal);
    }
    world.run();
    EXPECT_EQ(cancelled, 3);
    EXPECT_EQ(world.now(), time_point(1h + 500ms)) << "the loader slept on";
    EXPECT_EQ(texts.get("a"), std::nullopt);
}

TEST_F(an_async_cache, does_not_store_a_load_that_an_invalidation_overtook) {
    texts.async_get_or_load("a", slow("old"), keep());
    world.run_for(500ms);
    texts.invalidate("a");
    texts.async_get_or_load("a", slow("new"), keep());
    world.run_for(500ms);
    EXPECT_EQ(result, answer("old")) << "who asked before gets what he asked for";
    EXPECT_EQ(texts.get("a"), std::nullopt);
    world.run();
    EXPECT_EQ(result, answer("new"));
    EXPECT_EQ(texts.get("a"), "new");
    EXPECT_EQ(loads, 2);
}

TEST_F(an_async_cache, refuses_a_coroutine_that_asks_for_its_own_key_without_its_context) {
    auto inner = slow("never");
    std::function<asio::awaitable<std::string>(std::string)> self =
        [&](std::string key) -> asio::awaitable<std::string> {
        auto value = co_await texts.async_get_or_load(key, inner, asio::use_awaitable);
        co_return *value;
    };
    texts.async_get_or_load("a", self, keep());
    world.run();
    EXPECT_EQ(code, errc::recursive_load);
    EXPECT_EQ(world.now(), time_point(1h)) << "at once, not by the timeout";
}

TEST_F(an_async_cache, refuses_coroutines_that_wait_for_each_other_in_a_circle) {
    using loader = std::function<asio::awaitable<std::string>(std::string, load_context&)>;
    loader load;
    load = [&](std::string key, load_context& context) -> asio::awaitable<std::string> {
        const std::string next = key == "a" ? "b" : key == "b" ? "c" : "a";
        auto value = co_await texts.async_get_or_load(next, load, context, asio::use_awaitable);
        co_return *value;
    };
    texts.async_get_or_load("a", load, keep());
    texts.async_get_or_load("b", load, keep());
    world.run();
    EXPECT_EQ(completions, 2);
    EXPECT_EQ(code, errc::recursive_load);
    EXPECT_EQ(world.now(), time_point(1h));
}

TEST_F(an_async_cache, refuses_a_plain_loader_that_asks_for_its_own_key_on_the_blocking_executor) {
    asio::io_context blocking;
    strings other({.local = {.max_entries = 10},
                   .executor = world.executor(),
                   .blocking_executor = blocking.get_executor(),
                   .scheduler = world.scheduler()});
    const auto self = [&](const std::string& key) -> std::string {
        return *other.get_or_load(key, [](const std::string&) { return std::string(); });
    };
    other.async_get_or_load("a", self, keep());
    blocking.run();
    world.run();
    EXPECT_EQ(code, errc::recursive_load);
}

TEST_F(an_async_cache, ends_with_closed_when_it_is_destroyed_with_loads_in_flight) {
    auto doomed = std::make_unique<strings>(cache_options<std::string, std::string>{
        .local = {.max_entries = 10}, .executor = world.executor(), .scheduler = world.scheduler()});
    bool loader_was_cancelled = false;
    const auto load = [&](std::string) -> asio::awaitable<std::string> {
        try {
            co_await world.scheduler()->sleep_until(world.now() + 1h);
        } catch (const error&) {
            loader_was_cancelled = true;
            throw;
        }
        co_return "never";
    };
    doomed->async_get_or_load("a", load, keep());
    doomed->async_get_or_load("a", load, keep());
    doomed->async_get_or_load("b", load, keep());
    doomed->invalidate("b");  // a detached load is closed like the others
    world.run_for(1s);
    doomed.reset();
    world.run();
    EXPECT_EQ(completions, 3);
    EXPECT_EQ(code, errc::closed);
    EXPECT_TRUE(loader_was_cancelled);
    EXPECT_EQ(world.now(), time_point(1h + 1s));
}

TEST_F(an_async_cache, says_which_executor_is_missing) {
    strings bare({.name = "bare", .local = {.max_entries = 10}});
    std::string said;
    const auto complain = [&](const std::exception_ptr& failure, answer) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::invalid_argument& e) {
            said = e.what();
        }
    };
    bare.async_get_or_load("a", slow("x"), asio::bind_executor(world.executor(), complain));
    world.run();
    EXPECT_EQ(said,
              "cache_options::executor of 'bare' is empty; it must be an executor for a coroutine loader");
    bare.async_get_or_load(
        "a", [](const std::string& k) { return k; }, asio::bind_executor(world.executor(), complain));
    world.run();
    EXPECT_NE(said.find("blocking_executor"), std::string::npos) << said;
    EXPECT_THROW(static_cast<void>(bare.get_or_load("a", slow("x"))), std::invalid_argument);
}

TEST_F(an_async_cache, lets_go_of_everything_when_its_executor_goes_first) {
    asio::io_context other;
    strings local(
        {.local = {.max_entries = 10}, .executor = world.executor(), .scheduler = world.scheduler()});
    std::error_code seen;
    {
        levee::testing::simulation brief(1);
        strings on_brief(
            {.local = {.max_entries = 10}, .executor = brief.executor(), .scheduler = brief.scheduler()});
        const auto load = [&](std::string) -> asio::awaitable<std::string> {
            co_await brief.scheduler()->sleep_until(brief.now() + 1h);
            co_return "never";
        };
        on_brief.async_get_or_load(
            "a", load,
            asio::bind_executor(world.executor(), [&](std::exception_ptr e, answer) { seen = code_of(e); }));
        brief.run_for(1s);
    }
    world.run();
    EXPECT_EQ(seen, errc::closed);
}

}  // namespace
}  // namespace levee
