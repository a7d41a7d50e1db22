// g++ 12 destroys some temporaries inside co_await expressions twice; the address sanitizer sees it. What
// must not compile because of that is in tests/compile/must_not_compile/.
#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <optional>
#include <string>

#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/store/source_from.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;

/// Long enough not to be kept inside the string: freeing it twice shows.
const std::string long_text(100, 'x');

struct awaited_calls : ::testing::Test {
    runtime threads{1};
    cache<std::string, std::string> texts{{.local = {.max_entries = 100},
                                           .executor = threads.get_executor(),
                                           .blocking_executor = threads.blocking_executor()}};

    template <class Coroutine>
    auto run(Coroutine coroutine) {
        return asio::co_spawn(threads.get_executor(), std::move(coroutine), asio::use_future).get();
    }
};

TEST_F(awaited_calls, take_keys_made_in_the_expression) {
    auto load = [](const std::string& key) { return key; };
    const auto all = [&]() -> asio::awaitable<std::string> {
        auto a = co_await texts.async_get_or_load(std::string(100, 'a'), load, asio::use_awaitable);
        auto b = co_await texts.async_get_or_load(long_text + "b", load, asio::use_awaitable);
        auto c = co_await texts.async_get(long_text + "b", asio::use_awaitable);
        co_return a->substr(0, 1) + b->substr(100) + c->substr(100);
    };
    EXPECT_EQ(run(all), "abb");
}

TEST_F(awaited_calls, take_loaders_that_capture_by_reference_in_the_expression) {
    const std::string prefix = long_text;
    const auto all = [&]() -> asio::awaitable<std::string> {
        auto a = co_await texts.async_get_or_load(
            "a", [&](const std::string& key) { return prefix + key; }, asio::use_awaitable);
        co_return *a;
    };
    EXPECT_EQ(run(all), long_text + "a");
}

TEST_F(awaited_calls, take_named_loaders_options_and_detachable_loaders) {
    const auto all = [&]() -> asio::awaitable<std::string> {
        auto load = [prefix = long_text](const std::string& key) { return prefix + key; };
        auto a = co_await texts.async_get_or_load("a", load, asio::use_awaitable);
        const entry_options brief{.ttl = std::chrono::seconds(1)};
        auto b = co_await texts.async_get_or_load("b", load, brief, asio::use_awaitable);
        auto free_to_stay = detachable(load);
        auto c = co_await texts.async_get_or_load("c", free_to_stay, asio::use_awaitable);
        auto coroutine = [prefix = long_text](std::string key) -> asio::awaitable<std::string> {
            co_return prefix + key;
        };
        auto d = co_await texts.async_get_or_load("d", coroutine, asio::use_awaitable);
        co_return a->substr(100) + b->substr(100) + c->substr(100) + d->substr(100);
    };
    EXPECT_EQ(run(all), "abcd");
}

struct compound_key {
    std::string text;
    int number = 0;
    bool operator==(const compound_key&) const = default;
};
struct compound_hash {
    std::size_t operator()(const compound_key& key) const { return std::hash<std::string>()(key.text); }
};

TEST_F(awaited_calls, take_keys_that_are_aggregates_when_they_are_named) {
    cache<compound_key, std::string, compound_hash> compounds(
        {.local = {.max_entries = 100},
         .executor = threads.get_executor(),
         .blocking_executor = threads.blocking_executor()});
    const auto all = [&]() -> asio::awaitable<std::string> {
        auto load = [](const compound_key& key) { return key.text; };
        const compound_key key{long_text, 1};
        auto a = co_await compounds.async_get_or_load(key, load, asio::use_awaitable);
        co_return *a;
    };
    EXPECT_EQ(run(all), long_text);
}

TEST_F(awaited_calls, of_a_read_through_take_keys_made_in_the_expression) {
    const auto from = source_from<std::string, std::string>([](const std::string& key) { return key; });
    read_through<std::string, std::string> through(from, {.local = {.max_entries = 100},
                                                          .executor = threads.get_executor(),
                                                          .blocking_executor = threads.blocking_executor()});
    const auto all = [&]() -> asio::awaitable<std::string> {
        auto a = co_await through.async_get(long_text + "a", asio::use_awaitable);
        co_return *a;
    };
    EXPECT_EQ(run(all), long_text + "a");
}

}  // namespace
}  // namespace levee
