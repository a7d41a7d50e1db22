// Bulk and single callers of two caches over one shared level, on several threads, for the thread sanitizer.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/core/random.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using numbers = read_through<std::uint64_t, std::uint64_t>;

constexpr std::uint64_t keys = 8;

struct sharing_callers : ::testing::Test {
    runtime threads{3, 3};
    std::array<std::atomic<std::uint64_t>, keys> rows{};
    std::shared_ptr<memory_store> store = std::make_shared<memory_store>();
    std::shared_ptr<memory_backplane> bus = std::make_shared<memory_backplane>();
    std::atomic<int> old = 0;

    std::unique_ptr<numbers> make(const std::shared_ptr<source<std::uint64_t, std::uint64_t>>& from) {
        return std::make_unique<numbers>(from, cache_options<std::uint64_t, std::uint64_t>{
                                                   .name = "s",
                                                   .local = {.max_entries = 100},
                                                   .remote = store,
                                                   .backplane = bus,
                                                   .executor = threads.get_executor(),
                                                   .blocking_executor = threads.blocking_executor()});
    }

    /// What was invalidated before is not got by who asks afterwards (G1).
    void act(numbers& at, std::uint64_t seed) {
        xoshiro256 random(seed);
        for (int i = 0; i < 400; ++i) {
            const std::uint64_t key = uniform_below(random, keys);
            const std::uint64_t other = uniform_below(random, keys);
            if (uniform_below(random, 4) == 0) {
                const std::uint64_t changed = rows[key].fetch_add(1) + 1;
                if (i % 2 == 0) {
                    at.invalidate(key);
                } else {
                    auto changes = at.underlying().defer();
                    changes.invalidate(key);
                    changes.commit();
                }
                old += *at.get_many({key, other}).front() < changed ? 1 : 0;
            } else {
                static_cast<void>(at.get_many({key, other, key}));
                static_cast<void>(at.get(other));
            }
        }
    }

    asio::awaitable<void> act_as_coroutine(numbers& at, std::uint64_t seed) {
        xoshiro256 random(seed);
        for (int i = 0; i < 400; ++i) {
            const std::uint64_t key = uniform_below(random, keys);
            const std::uint64_t other = uniform_below(random, keys);
            const std::vector<std::uint64_t> wanted{other, key};
            if (uniform_below(random, 4) == 0) {
                const std::uint64_t changed = rows[key].fetch_add(1) + 1;
                co_await at.async_invalidate(key, asio::use_awaitable);
                const auto all = co_await at.async_get_many(wanted, asio::use_awaitable);
                old += *all.back() < changed ? 1 : 0;
            } else {
                const auto all = co_await at.async_get_many(wanted, asio::use_awaitable);
                const auto found = co_await at.underlying().async_lookup(key, asio::use_awaitable);
                old += found.state == entry_state::stale && all.empty() ? 1 : 0;
            }
        }
    }
};

TEST_F(sharing_callers, get_nothing_older_than_what_they_invalidated_in_bulk_or_alone) {
    const auto blocking = source_from<std::uint64_t, std::uint64_t>(
        [this](const std::uint64_t& key) { return rows[key].load(); });
    const auto coroutines = source_from<std::uint64_t, std::uint64_t>(
        [this](const std::uint64_t& key) -> asio::awaitable<std::uint64_t> { co_return rows[key].load(); });
    const auto a = make(blocking);
    const auto b = make(coroutines);
    std::vector<std::future<void>> coroutine_callers;
    std::vector<std::jthread> callers;
    std::uint64_t seed = 0;
    for (numbers* at : {a.get(), b.get()}) {
        for (int i = 0; i < 2; ++i) {
            callers.emplace_back([this, at, s = ++seed] { act(*at, s); });
            coroutine_callers.push_back(
                asio::co_spawn(threads.get_executor(), act_as_coroutine(*at, ++seed), asio::use_future));
        }
    }
    callers.clear();
    for (auto& each : coroutine_callers) {
        each.get();
    }
    EXPECT_EQ(old, 0);
}

}  // namespace
}  // namespace levee
