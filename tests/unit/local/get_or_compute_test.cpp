#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<int, int>;

/// Returns once the cache has counted `count` callers that wait for another's load.
void await_joined(const cache_type& cache, std::uint64_t count) {
    while (cache.stats().joined < count) {
        std::this_thread::yield();
    }
}

/// A `make` that has begun and does not end until it is told to.
class paused_make {
public:
    explicit paused_make(int value) : value_(value) {}

    int operator()(int) {
        begun_.count_down();
        go_on_.wait();
        return value_;
    }
    void await_begin() { begun_.wait(); }
    void finish() { go_on_.count_down(); }

private:
    std::latch begun_{1};
    std::latch go_on_{1};
    int value_;
};

/// The code of the levee::error that `call` throws.
template <class Call>
std::error_code code_of(Call call) {
    try {
        call();
    } catch (const error& thrown) {
        return thrown.code();
    }
    return {};
}

TEST(local_cache_get_or_compute, makes_once_and_then_hits) {
    cache_type cache({.max_entries = 10});
    int made = 0;
    const auto make = [&](const int& key) {
        ++made;
        return key * 10;
    };
    EXPECT_EQ(cache.get_or_compute(4, make), 40);
    EXPECT_EQ(cache.get_or_compute(4, make), 40);
    EXPECT_EQ(cache.get_or_compute(5, [] { return 55; }), 55);  // without the key
    EXPECT_EQ(made, 1);
    EXPECT_EQ(cache.stats().loads, 2U);
    EXPECT_EQ(cache.stats().hits, 1U);
}

TEST(local_cache_get_or_compute, runs_make_once_for_concurrent_callers) {
    cache_type cache({.max_entries = 10});
    constexpr std::size_t callers = 32;
    std::atomic<int> made = 0;
    std::vector<std::future<int>> answers;
    answers.reserve(callers);
    for (std::size_t i = 0; i < callers; ++i) {
        answers.push_back(std::async(std::launch::async, [&] {
            return cache.get_or_compute(1, [&] {
                ++made;
                await_joined(cache, callers - 1);
                return 7;
            });
        }));
    }
    for (auto& answer : answers) {
        EXPECT_EQ(answer.get(), 7);
    }
    EXPECT_EQ(made, 1);
    EXPECT_EQ(cache.stats().loads, 1U);
    EXPECT_EQ(cache.stats().joined, callers - 1);
}

TEST(local_cache_get_or_compute, gives_a_makes_error_to_all_and_then_makes_again) {
    cache_type cache({.max_entries = 10});
    constexpr std::size_t callers = 16;
    std::vector<std::future<int>> answers;
    answers.reserve(callers);
    for (std::size_t i = 0; i < callers; ++i) {
        answers.push_back(std::async(std::launch::async, [&] {
            return cache.get_or_compute(1, [&]() -> int {
                await_joined(cache, callers - 1);
                throw std::runtime_error("no database");
            });
        }));
    }
    for (auto& answer : answers) {
        EXPECT_THROW(answer.get(), std::runtime_error);
    }
    EXPECT_EQ(cache.stats().loads, 1U);
    EXPECT_EQ(cache.stats().load_failures, 1U);
    EXPECT_EQ(cache.peek(1), std::nullopt);
    EXPECT_EQ(cache.get_or_compute(1, [] { return 8; }), 8);
    EXPECT_EQ(cache.get(1), 8);
}

TEST(local_cache_get_or_compute, a_slow_make_blocks_no_other_key) {
    cache_type cache({.max_entries = 10, .shards = 1});
    paused_make slow(1);
    auto answer = std::async(std::launch::async, [&] { return cache.get_or_compute(1, slow); });
    slow.await_begin();
    EXPECT_EQ(cache.get_or_compute(2, [] { return 2; }), 2);
    cache.put(3, 3);
    EXPECT_EQ(cache.get(3), 3);
    EXPECT_EQ(cache.get(1), std::nullopt);  // a plain look-up does not wait, either
    cache.run_pending_work();
    slow.finish();
    EXPECT_EQ(answer.get(), 1);
}

TEST(local_cache_get_or_compute, a_waiter_gives_up_after_its_timeout) {
    cache_type cache({.max_entries = 10, .compute_timeout = 1ms});
    paused_make slow(1);
    auto answer = std::async(std::launch::async, [&] { return cache.get_or_compute(1, slow); });
    slow.await_begin();
    EXPECT_EQ(code_of([&] { (void)cache.get_or_compute(1, [] { return 2; }); }), errc::timeout);
    slow.finish();
    EXPECT_EQ(answer.get(), 1);
    EXPECT_EQ(cache.get(1), 1);  // the load itself went on
}

TEST(local_cache_get_or_compute, a_timeout_of_zero_does_not_wait) {
    cache_type cache({.max_entries = 10, .compute_timeout = 0ns});
    paused_make slow(1);
    auto answer = std::async(std::launch::async, [&] { return cache.get_or_compute(1, slow); });
    slow.await_begin();
    EXPECT_EQ(code_of([&] { (void)cache.get_or_compute(1, [] { return 2; }); }), errc::timeout);
    slow.finish();
    EXPECT_EQ(answer.get(), 1);
}

TEST(local_cache_get_or_compute, a_maximal_timeout_waits_for_the_make) {
    cache_type cache({.max_entries = 10, .compute_timeout = duration::max()});
    paused_make slow(1);
    auto leader = std::async(std::launch::async, [&] { return cache.get_or_compute(1, slow); });
    slow.await_begin();
    auto waiter = std::async(std::launch::async, [&] { return cache.get_or_compute(1, [] { return 2; }); });
    await_joined(cache, 1);
    slow.finish();
    EXPECT_EQ(leader.get(), 1);
    EXPECT_EQ(waiter.get(), 1);
}

TEST(local_cache_get_or_compute, refuses_a_make_that_asks_for_its_own_key) {
    cache_type cache({.max_entries = 10});
    const auto own = [&](const int& key) { return cache.get_or_compute(key, [] { return 0; }); };
    EXPECT_EQ(code_of([&] { (void)cache.get_or_compute(1, own); }), errc::recursive_load);
    EXPECT_EQ(cache.get_or_compute(1, [] { return 1; }), 1);  // nothing is left behind
}

TEST(local_cache_get_or_compute, refuses_a_circle_of_makes) {
    cache_type cache({.max_entries = 10});
    const auto third = [&] { return cache.get_or_compute(1, [] { return 0; }); };
    const auto second = [&] { return cache.get_or_compute(3, third); };
    const auto first = [&] { return cache.get_or_compute(2, second); };
    EXPECT_EQ(code_of([&] { (void)cache.get_or_compute(1, first); }), errc::recursive_load);
    EXPECT_EQ(cache.estimated_size(), 0U);
    EXPECT_EQ(cache.stats().load_failures, 3U);
}

TEST(local_cache_get_or_compute, refuses_its_own_key_also_after_invalidating_it) {
    cache_type cache({.max_entries = 10});
    const auto own = [&](const int& key) {
        cache.invalidate(key);  // nobody may join this make any more, but it still runs
        return cache.get_or_compute(key, [] { return 0; });
    };
    EXPECT_EQ(code_of([&] { (void)cache.get_or_compute(1, own); }), errc::recursive_load);
}

TEST(local_cache_get_or_compute, lets_a_make_use_other_keys_and_other_caches) {
    cache_type cache({.max_entries = 10});
    cache_type other({.max_entries = 10});
    const auto sum = [&](const int& key) {
        return cache.get_or_compute(key + 1, [] { return 10; }) + other.get_or_compute(key, [] { return 5; });
    };
    EXPECT_EQ(cache.get_or_compute(1, sum), 15);
    EXPECT_EQ(cache.get(2), 10);
    EXPECT_EQ(other.get(1), 5);
}

/// What may happen to a key while its value is being made, and what is cached in the end.
struct interference {
    std::string name;
    void (*happen)(cache_type&);
    std::optional<int> afterwards;
};

class local_cache_make_interfered_with : public testing::TestWithParam<interference> {};

TEST_P(local_cache_make_interfered_with, keeps_its_callers_but_stores_nothing) {
    cache_type cache(
        {.max_entries = 10, .compute_timeout = 5s});  // joining the old make would end by timeout
    paused_make old(1);
    auto leader = std::async(std::launch::async, [&] { return cache.get_or_compute(1, old); });
    old.await_begin();
    auto waiter = std::async(std::launch::async, [&] { return cache.get_or_compute(1, [] { return -1; }); });
    await_joined(cache, 1);

    GetParam().happen(cache);
    EXPECT_EQ(cache.peek(1), GetParam().afterwards);
    int later = 0;
    EXPECT_NO_THROW(later = cache.get_or_compute(1, [] { return 3; }));  // does not join the old make
    EXPECT_EQ(later, GetParam().afterwards.value_or(3));

    old.finish();
    EXPECT_EQ(leader.get(), 1);
    EXPECT_EQ(waiter.get(), 1);
    EXPECT_EQ(cache.get(1), later);
}

INSTANTIATE_TEST_SUITE_P(
    all, local_cache_make_interfered_with,
    testing::Values(
        interference{"invalidate", [](cache_type& c) { c.invalidate(1); }, {}},
        interference{
            "invalidate_if", [](cache_type& c) { c.invalidate_if([](int, int) { return false; }); }, {}},
        interference{"clear", [](cache_type& c) { c.clear(); }, {}},
        interference{"put", [](cache_type& c) { c.put(1, 2); }, 2},
        interference{"insert", [](cache_type& c) { c.insert(1, 2); }, 2},
        interference{"compute",
                     [](cache_type& c) { c.compute(1, [](std::optional<int>) { return std::optional(2); }); },
                     2},
        interference{
            "compute_to_nothing",
            [](cache_type& c) { c.compute(1, [](std::optional<int>) { return std::optional<int>(); }); },
            {}},
        interference{"fill", [](cache_type& c) { c.fill(c.begin_fill(1), 1, 2); }, 2}),
    [](const auto& one) { return one.param.name; });

TEST(local_cache_get_or_compute, is_not_disturbed_by_what_happens_to_other_keys) {
    cache_type cache({.max_entries = 10, .shards = 1});
    paused_make slow(1);
    auto leader = std::async(std::launch::async, [&] { return cache.get_or_compute(1, slow); });
    slow.await_begin();
    cache.put(2, 2);
    cache.invalidate(2);
    cache.invalidate(3);
    slow.finish();
    EXPECT_EQ(leader.get(), 1);
    EXPECT_EQ(cache.get(1), 1);
}

TEST(local_cache_get_or_compute, stores_nothing_when_the_make_itself_wrote_the_key) {
    cache_type cache({.max_entries = 10});
    const auto make = [&](const int& key) {
        cache.put(key, 5);
        return 6;
    };
    EXPECT_EQ(cache.get_or_compute(1, make), 6);
    EXPECT_EQ(cache.get(1), 5);
}

}  // namespace
}  // namespace levee
