// The bound is changed while the cache is in use: what is held stays findable, and nothing else is found.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "levee/core/epoch.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<std::uint64_t, std::uint64_t>;

constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;

void fill(cache_type& cache, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t key = from; key < to; ++key) {
        cache.put(key, key * factor);
    }
}

/// Every entry is found with its own value, and as many as the cache says it holds.
void expect_whole(const cache_type& cache, std::uint64_t keys) {
    std::size_t found = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
        if (const auto value = cache.peek(key)) {
            ASSERT_EQ(*value, key * factor);
            ++found;
        }
    }
    EXPECT_EQ(found, cache.estimated_size());
    EXPECT_TRUE(cache.is_consistent());
}

TEST(local_cache_resize, entries_survive_a_first_life_soon_after_a_shrink) {
    cache_type cache({.max_entries = 100'000, .shards = 1});
    fill(cache, 0, 100'000);
    cache.set_max_entries(1600);
    cache.put(100'000, 100'000 * factor, 5min);  // slots with times: the table is made anew at once
    expect_whole(cache, 100'001);
    fill(cache, 100'001, 110'000);
    expect_whole(cache, 110'000);
    EXPECT_EQ(cache.estimated_size(), 1600U);
}

TEST(local_cache_resize, entries_survive_growth_soon_after_a_shrink) {
    cache_type cache({.max_entries = 100'000, .shards = 1});
    fill(cache, 0, 100'000);
    cache.set_max_entries(1600);
    cache.set_max_entries(100'000);
    for (std::uint64_t key = 100'000; key < 110'000; key += 500) {
        fill(cache, key, key + 500);
        ASSERT_TRUE(cache.is_consistent()) << key;
    }
    expect_whole(cache, 110'000);
    EXPECT_EQ(cache.estimated_size(), 11'600U);
}

TEST(local_cache_resize, counts_under_ageing_stand_a_shrink) {
    cache_type cache({.max_entries = 10'000, .shards = 1});
    fill(cache, 0, 10'000);
    for (std::uint64_t key = 0; key < 10'000; ++key) {
        (void)cache.get(key);
    }
    std::uint64_t fresh = 10'000;
    for (const std::size_t bound : {2000U, 1000U, 400U, 200U, 100U, 40U, 20U}) {
        cache.set_max_entries(bound);
        fill(cache, fresh, fresh + 5);  // many counts for so few entries: they are being halved from here on
        fresh += 5;
    }
    fill(cache, fresh, fresh + 1000);
    expect_whole(cache, fresh + 1000);
}

TEST(local_cache_resize, a_full_cache_is_moved_to_a_much_smaller_table_without_overfilling_it) {
    cache_type cache({.max_entries = 100'000, .shards = 1});
    fill(cache, 0, 100'000);
    cache.set_max_entries(1600);
    fill(cache, 100'000, 104'000);  // each evicts one that may not have been moved yet
    expect_whole(cache, 104'000);
    EXPECT_EQ(cache.estimated_size(), 1600U);
    cache.clear();
    EXPECT_TRUE(cache.is_consistent());
}

TEST(local_cache_resize, many_entries_survive_a_first_life_soon_after_a_shrink) {
    constexpr std::uint64_t keys = 250'000;
    cache_type cache({.max_entries = keys});
    fill(cache, 0, keys);
    cache.set_max_entries(4000);
    cache.put(keys, keys * factor, 5min);
    EXPECT_TRUE(cache.is_consistent());
    std::size_t found = 0;
    for (std::uint64_t key = 0; key <= keys; ++key) {
        found += cache.peek(key) == std::optional(key * factor) ? 1U : 0U;
    }
    EXPECT_EQ(found, 4000U);
}

TEST(local_cache_resize, stores_while_there_is_room_however_long_a_reader_stays) {
    cache_type cache({.max_entries = 100'000, .shards = 1});
    fill(cache, 0, 100'000);
    for (std::uint64_t key = 0; key < 60'000; ++key) {
        cache.invalidate(key);
    }
    cache.run_pending_work();
    const auto reader = epoch::pin();
    for (std::uint64_t key = 0; key < 20'000; ++key) {
        cache.put(key, key * factor);
        cache.invalidate(key);
    }
    EXPECT_EQ(cache.stats().rejected, 0U);
    EXPECT_EQ(cache.estimated_size(), 40'000U);
}

TEST(local_cache_resize, tables_that_were_replaced_are_freed_by_later_writes) {
    const auto expect_freed = [](auto& cache, auto&& store) {
        for (std::uint64_t key = 0; key < 20'000; ++key) {
            store(key);
        }
        for (std::uint64_t again = 0; again < 256; ++again) {
            store(19'000 + again);
        }
        const std::size_t before = cache.memory_usage();
        cache.run_pending_work();
        EXPECT_EQ(cache.memory_usage(), before);
    };
    local_cache<std::uint64_t, std::string> nodes({.max_entries = 100'000, .shards = 1});
    expect_freed(nodes, [&](std::uint64_t key) { nodes.put(key, "value"); });
    cache_type small({.max_entries = 100'000, .shards = 1});
    expect_freed(small, [&](std::uint64_t key) { small.put(key, key); });
}

TEST(local_cache_resize, a_handful_of_entries_that_becomes_many_gets_the_policy_of_many) {
    cache_type cache({.max_entries = 8, .shards = 1});
    fill(cache, 0, 8);
    cache.set_max_entries(500);
    expect_whole(cache, 8);
    std::size_t hits = 0;
    for (std::uint64_t n = 0; n < 60'000; ++n) {  // a loop of twice the size: CLOCK hits nothing of it
        const std::uint64_t key = n % 1000;
        if (cache.get(key)) {
            hits += n >= 50'000 ? 1U : 0U;
        } else {
            cache.put(key, key * factor);
        }
    }
    EXPECT_GT(hits, 4000U);
    EXPECT_GT(cache.replacement().window_share, 0.0);
    expect_whole(cache, 1000);
    EXPECT_EQ(cache.coldest(1000).size(), 500U);
}

}  // namespace
}  // namespace levee
