#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"
#include "support/removal_log.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<int, int>;
using log_type = test::removal_log<int, int>;
using record = log_type::record;
using records = std::vector<record>;

TEST(local_cache_removal, tells_each_cause_once) {
    test::manual_clock_stub clock;
    log_type log;
    cache_type cache({.max_entries = 3, .on_removal = log.listener(), .clock = &clock});
    cache.put(1, 10);
    EXPECT_EQ(log.take(), records());
    cache.put(1, 11);
    EXPECT_EQ(log.take(), records({{1, 10, removal_cause::replaced}}));
    cache.compute(1, [](std::optional<int> v) { return std::optional(*v + 1); });
    EXPECT_EQ(log.take(), records({{1, 11, removal_cause::replaced}}));
    cache.compute(1, [](std::optional<int>) { return std::optional<int>(); });
    EXPECT_EQ(log.take(), records({{1, 12, removal_cause::invalidated}}));
    cache.put(2, 20);
    cache.invalidate(2);
    cache.invalidate(2);
    EXPECT_EQ(log.take(), records({{2, 20, removal_cause::invalidated}}));
    cache.put(3, 30, 1s);
    clock.advance(1s);
    (void)cache.get(3);
    (void)cache.get(3);
    EXPECT_EQ(log.take(), records({{3, 30, removal_cause::expired}}));
    for (int i = 4; i <= 7; ++i) {
        cache.put(i, i);
    }
    EXPECT_EQ(log.take(), records({{4, 4, removal_cause::size}}));
    cache.invalidate_if([](int key, int) { return key == 5; });
    EXPECT_EQ(log.take(), records({{5, 5, removal_cause::invalidated}}));
    cache.clear();
    EXPECT_EQ(log.count(removal_cause::invalidated), 2U);
    EXPECT_EQ(log.take().size(), 2U);
}

TEST(local_cache_removal, tells_nobody_when_the_cache_is_destroyed) {
    log_type log;
    {
        cache_type cache({.max_entries = 3, .on_removal = log.listener()});
        cache.put(1, 1);
    }
    EXPECT_EQ(log.take(), records());
}

TEST(local_cache_removal, a_listener_may_use_the_cache) {
    cache_type* self = nullptr;
    int told = 0;
    cache_type cache({.max_entries = 2,
                      .on_removal =
                          [&](int key, int value, removal_cause cause) {
                              ++told;
                              if (cause == removal_cause::size && value < 100) {
                                  self->put(key, 100 + value);  // evicts another one, which is told, too
                              }
                              (void)self->get(key);
                              self->invalidate(-1);
                              self->set_max_entries(2);
                          },
                      .shards = 1});
    self = &cache;
    cache.put(1, 1);
    cache.put(2, 2);
    cache.put(3, 3);
    EXPECT_GE(told, 2);
    EXPECT_EQ(cache.estimated_size(), 2U);
    EXPECT_EQ(cache.stats().listener_failures, 0U);
}

TEST(local_cache_removal, a_throwing_listener_harms_nothing_and_is_counted) {
    cache_type cache({.max_entries = 4,
                      .on_removal = [](int, int, removal_cause) { throw std::runtime_error("listener"); }});
    for (int i = 0; i < 10; ++i) {
        EXPECT_NO_THROW(cache.put(i, i));
    }
    EXPECT_NO_THROW(cache.put(9, 10));
    EXPECT_EQ(cache.get(9), 10);
    EXPECT_NO_THROW(cache.invalidate(9));
    EXPECT_NO_THROW(cache.clear());
    EXPECT_EQ(cache.estimated_size(), 0U);
    EXPECT_EQ(cache.stats().listener_failures, 11U);  // 6 evicted, 1 replaced, 1 invalidated, 3 cleared
}

TEST(local_cache_removal, reports_a_long_chain_without_deep_recursion) {
    log_type log;
    cache_type cache({.max_entries = 300'000, .on_removal = log.listener(), .shards = 1});
    for (int i = 0; i < 300'000; ++i) {
        cache.put(i, i);
    }
    cache.clear();
    EXPECT_EQ(log.take().size(), 300'000U);
}

/// Uses its cache when it is destroyed, as a value may that owns something registered there.
struct reentrant {
    local_cache<int, std::shared_ptr<reentrant>>* cache;
    ~reentrant() { (void)cache->get(0); }
};

TEST(local_cache_removal, destroys_values_off_every_lock) {
    local_cache<int, std::shared_ptr<reentrant>> cache({.max_entries = 2, .shards = 1});
    const auto value = [&] { return std::make_shared<reentrant>(&cache); };
    for (int i = 1; i < 6; ++i) {
        cache.put(i, value());
        cache.put(i, value());
    }
    cache.insert(5, value());
    cache.invalidate(5);
    cache.clear();
    cache.put(1, value());
    cache.set_max_entries(1);
    cache.put(2, value());
    cache.invalidate_if([](int, const auto&) { return true; });
    EXPECT_GT(cache.stats().misses, 10U);  // each destruction looked up key 0
}

TEST(local_cache_removal, a_value_in_use_outlives_its_removal) {
    local_cache<int, std::vector<int>> cache({.max_entries = 1});
    cache.put(1, std::vector<int>(1000, 7));
    int sum = 0;
    cache.for_each([&](int key, const std::vector<int>& value) {
        cache.put(key, {});
        cache.invalidate(key);
        cache.put(2, {});
        for (const int x : value) {
            sum += x;
        }
    });
    EXPECT_EQ(sum, 7000);
}

/// Keeps what it is given until it is asked.
struct late_executor {
    std::vector<std::function<void()>> given{};

    [[nodiscard]] auto take() {
        return [this](std::function<void()> one) { given.push_back(std::move(one)); };
    }
    void run() {
        for (const auto& one : std::exchange(given, {})) {
            one();
        }
    }
};

template <class V>
class local_cache_removal_elsewhere : public testing::Test {};
using in_slot_and_behind_pointer = testing::Types<int, std::string>;
TYPED_TEST_SUITE(local_cache_removal_elsewhere, in_slot_and_behind_pointer);

template <class V>
V value_of(int number) {
    if constexpr (std::is_same_v<V, int>) {
        return number;
    } else {
        return std::string(100, 'x') + std::to_string(number);
    }
}

TYPED_TEST(local_cache_removal_elsewhere, is_told_when_the_executor_gets_to_it_also_after_the_cache) {
    using log = test::removal_log<int, TypeParam>;
    log told;
    late_executor later;
    {
        local_cache<int, TypeParam> cache(
            {.max_entries = 2, .on_removal = told.listener(), .executor = later.take()});
        cache.put(1, value_of<TypeParam>(10));
        EXPECT_TRUE(later.given.empty());
        cache.put(1, value_of<TypeParam>(11));
        cache.invalidate(1);
        EXPECT_EQ(told.take().size(), 0U);
        later.run();
        using told_of = typename log::record;
        EXPECT_EQ(told.take(),
                  std::vector<told_of>({{1, value_of<TypeParam>(10), removal_cause::replaced},
                                        {1, value_of<TypeParam>(11), removal_cause::invalidated}}));
        for (int i = 0; i < 10; ++i) {
            cache.put(i, value_of<TypeParam>(i));
        }
    }
    EXPECT_EQ(told.take().size(), 0U);
    later.run();
    EXPECT_EQ(told.take().size(), 8U);
}

TYPED_TEST(local_cache_removal_elsewhere, is_told_here_once_when_the_executor_throws) {
    test::removal_log<int, TypeParam> told;
    std::vector<std::function<void()>> kept;
    local_cache<int, TypeParam> cache(
        {.max_entries = 2, .on_removal = told.listener(), .executor = [&](std::function<void()> one) {
             kept.push_back(std::move(one));
             throw std::runtime_error("closed");
         }});
    cache.put(1, value_of<TypeParam>(10));
    cache.invalidate(1);
    EXPECT_EQ(told.take().size(), 1U);
    ASSERT_EQ(kept.size(), 1U);
    kept.front()();
    EXPECT_EQ(told.take().size(), 0U);
}

TYPED_TEST(local_cache_removal_elsewhere, is_let_go_of_when_the_executor_drops_it) {
    test::removal_log<int, TypeParam> told;
    local_cache<int, TypeParam> cache(
        {.max_entries = 2, .on_removal = told.listener(), .executor = [](const std::function<void()>&) {}});
    for (int i = 0; i < 100; ++i) {
        cache.put(i, value_of<TypeParam>(i));
    }
    EXPECT_EQ(told.take().size(), 0U);
}

}  // namespace
}  // namespace levee
