#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

/// Every key has the same hash: only Eq tells them apart.
struct constant_hash {
    std::size_t operator()(int) const noexcept { return 7; }
};

TEST(local_cache, returns_what_was_put) {
    local_cache<std::string, int> cache({.max_entries = 10});
    EXPECT_EQ(cache.get("a"), std::nullopt);
    cache.put("a", 1);
    EXPECT_EQ(cache.get("a"), 1);
    cache.put("a", 2);
    EXPECT_EQ(cache.get("a"), 2);
    EXPECT_EQ(cache.estimated_size(), 1U);
}

TEST(local_cache, insert_stores_only_when_absent) {
    local_cache<int, int> cache({.max_entries = 10});
    EXPECT_TRUE(cache.insert(1, 10));
    EXPECT_FALSE(cache.insert(1, 11));
    EXPECT_EQ(cache.get(1), 10);
}

TEST(local_cache, invalidate_removes_one_key) {
    local_cache<int, int> cache({.max_entries = 10});
    cache.put(1, 10);
    cache.put(2, 20);
    EXPECT_TRUE(cache.invalidate(1));
    EXPECT_FALSE(cache.invalidate(1));
    EXPECT_EQ(cache.get(1), std::nullopt);
    EXPECT_EQ(cache.get(2), 20);
    EXPECT_EQ(cache.estimated_size(), 1U);
}

TEST(local_cache, invalidate_if_removes_what_matches_and_counts_it) {
    local_cache<int, int> cache({.max_entries = 1000});
    for (int i = 0; i < 500; ++i) {
        cache.put(i, 2 * i);
    }
    EXPECT_EQ(cache.invalidate_if([](int key, int value) { return key % 5 == 0 && value == 2 * key; }), 100U);
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(cache.peek(i).has_value(), i % 5 != 0) << i;
    }
    EXPECT_EQ(cache.estimated_size(), 400U);
}

/// Small, with three bytes of padding, and aligned to less than its size.
struct price {
    bool known;
    float value;
};

TEST(local_cache, invalidate_if_removes_small_values_whatever_their_padding) {
    local_cache<std::uint64_t, price> cache({.max_entries = 1000, .shards = 1});
    for (std::uint64_t i = 0; i < 500; ++i) {
        cache.put(i, price{true, static_cast<float>(i)});
    }
    EXPECT_EQ(cache.invalidate_if([](std::uint64_t, const price& p) { return p.known; }), 500U);
    EXPECT_EQ(cache.get(7).has_value(), false);
    EXPECT_EQ(cache.estimated_size(), 0U);
}

TEST(local_cache, small_values_are_kept_where_they_can_be_read_without_a_lock) {
    using entry = local_detail::small_entry<int, price>;
    static_assert(local_detail::lies_in_slot<int, price>);
    static_assert(sizeof(entry) == 16);
    // By the type, not only where it lies: else clang calls a library that takes a lock.
    static_assert(alignof(decltype(entry::value)) == sizeof(price));
    local_cache<int, price> cache({.max_entries = 10});
    cache.put(1, {true, 1.5F});
    cache.put(1, {true, 2.5F});
    EXPECT_EQ(cache.get(1).value().value, 2.5F);
}

TEST(local_cache, clear_removes_everything_and_frees_the_bounds) {
    local_cache<int, int> cache(
        {.max_entries = 100, .max_weight = 300, .weigher = [](int, int) { return std::size_t{3}; }});
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 100; ++i) {
            cache.put(i, i);
        }
        EXPECT_EQ(cache.estimated_size(), 100U);
        EXPECT_EQ(cache.estimated_weight(), 300U);
        cache.clear();
        EXPECT_EQ(cache.estimated_size(), 0U);
        EXPECT_EQ(cache.estimated_weight(), 0U);
        EXPECT_EQ(cache.get(1), std::nullopt);
    }
    EXPECT_EQ(cache.stats().evictions, 0U);
}

TEST(local_cache, visit_passes_the_stored_value_itself) {
    local_cache<int, std::unique_ptr<int>> cache({.max_entries = 4});  // cannot be copied: `get` could not
    cache.put(1, std::make_unique<int>(41));
    int seen = 0;
    EXPECT_TRUE(cache.visit(1, [&](const std::unique_ptr<int>& value) { seen = *value + 1; }));
    EXPECT_FALSE(cache.visit(2, [&](const std::unique_ptr<int>&) { seen = -1; }));
    EXPECT_EQ(seen, 42);
}

TEST(local_cache, looks_up_by_types_that_hash_and_equality_take) {
    local_cache<std::string, int> cache({.max_entries = 4});
    const std::string_view text = "long enough to need an allocation of its own";
    cache.put(std::string(text), 1);
    EXPECT_EQ(cache.get(text), 1);
    EXPECT_EQ(cache.peek(text), 1);
    EXPECT_TRUE(cache.visit(text, [](int) {}));
    EXPECT_EQ(cache.get("absent"), std::nullopt);
    EXPECT_TRUE(cache.invalidate(text));
    EXPECT_FALSE(cache.invalidate("absent"));
    EXPECT_EQ(cache.estimated_size(), 0U);
}

TEST(local_cache, keeps_keys_with_one_hash_apart) {
    local_cache<int, int, constant_hash> cache({.max_entries = 200});
    for (int i = 0; i < 200; ++i) {
        cache.put(i, 10 * i);
    }
    EXPECT_TRUE(cache.invalidate(7));
    EXPECT_EQ(cache.get_or_compute(8, [] { return -1; }), 80);
    cache.compute(9, [](std::optional<int> v) { return std::optional(*v + 1); });
    const fill_lease lease = cache.begin_fill(7);
    cache.put(10, 0);  // another key with the same hash: the lease is not concerned
    EXPECT_TRUE(cache.fill(lease, 7, 71));
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(cache.get(i), i == 7 ? 71 : i == 9 ? 91 : i == 10 ? 0 : 10 * i) << i;
    }
}

TEST(local_cache, for_each_visits_each_entry_once_and_may_use_the_cache) {
    local_cache<int, int> cache({.max_entries = 300});
    for (int i = 0; i < 300; ++i) {
        cache.put(i, -i);
    }
    std::map<int, int> seen;
    cache.for_each([&](int key, int value) {
        EXPECT_TRUE(seen.emplace(key, value).second) << key;
        cache.invalidate(key);
    });
    EXPECT_EQ(seen.size(), 300U);
    EXPECT_EQ(seen.at(299), -299);
    EXPECT_EQ(cache.estimated_size(), 0U);
}

TEST(local_cache, counts_hits_and_misses_of_look_ups_only) {
    local_cache<int, int> cache({.max_entries = 4});
    cache.put(1, 1);
    (void)cache.get(1);
    (void)cache.get(2);
    (void)cache.visit(1, [](int) {});
    (void)cache.visit(2, [](int) {});
    (void)cache.get_or_compute(1, [] { return 0; });
    (void)cache.get_or_compute(3, [] { return 0; });
    (void)cache.peek(1);
    (void)cache.peek(2);
    cache.for_each([](int, int) {});
    cache.insert(1, 1);
    cache.invalidate(1);
    const cache_stats stats = cache.stats();
    EXPECT_EQ(stats.hits, 3U);
    EXPECT_EQ(stats.misses, 3U);
    EXPECT_EQ(stats.loads, 1U);
    EXPECT_EQ(stats.hit_ratio(), 0.5);
}

TEST(local_cache, agrees_with_a_map_over_random_operations) {
    local_cache<int, int> cache({.max_entries = 4096});  // never full: 512 keys
    std::map<int, int> model;
    xoshiro256 random(1);
    for (int step = 0; step < 20'000; ++step) {
        const int key = static_cast<int>(uniform_below(random, 512));
        const auto found = model.find(key);
        const std::optional<int> expected =
            found == model.end() ? std::nullopt : std::optional<int>(found->second);
        switch (uniform_below(random, 8)) {
            case 0:
                cache.put(key, step);
                model[key] = step;
                break;
            case 1:
                EXPECT_EQ(cache.insert(key, step), model.emplace(key, step).second);
                break;
            case 2:
                EXPECT_EQ(cache.invalidate(key), model.erase(key) == 1);
                break;
            case 3:
                EXPECT_EQ(cache.get_or_compute(key, [&] { return step; }), expected.value_or(step));
                model.emplace(key, step);
                break;
            case 4:
                cache.compute(key, [&](std::optional<int> value) {
                    EXPECT_EQ(value, expected);
                    return value ? std::optional<int>() : std::optional<int>(step);
                });
                expected ? void(model.erase(key)) : void(model.emplace(key, step));
                break;
            case 5:
                EXPECT_EQ(cache.peek(key), expected);
                break;
            default:
                EXPECT_EQ(cache.get(key), expected);
        }
        ASSERT_EQ(cache.estimated_size(), model.size());
    }
    EXPECT_EQ(cache.stats().evictions, 0U);
}

TEST(cache_stats, has_no_hit_ratio_before_a_look_up) {
    EXPECT_EQ(cache_stats{}.hit_ratio(), std::nullopt);
}

TEST(cache_stats, adds_every_counter) {
    const cache_stats one{.hits = 1,
                          .misses = 2,
                          .loads = 3,
                          .load_failures = 4,
                          .joined = 5,
                          .evictions = 6,
                          .evicted_weight = 7,
                          .expirations = 8,
                          .rejected = 9,
                          .listener_failures = 10};
    const cache_stats twice{.hits = 2,
                            .misses = 4,
                            .loads = 6,
                            .load_failures = 8,
                            .joined = 10,
                            .evictions = 12,
                            .evicted_weight = 14,
                            .expirations = 16,
                            .rejected = 18,
                            .listener_failures = 20};
    EXPECT_EQ(one + one, twice);
}

}  // namespace
}  // namespace levee
