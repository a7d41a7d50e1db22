/// The policy as a shard uses it.
#include "local/adaptive_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "levee/core/random.hpp"
#include "support/policy_bench.hpp"

namespace levee::local_detail {
namespace {

using test::policy_bench;

/// Zipf with exponent 1 over `keys`, by inversion of the integral.
std::uint64_t skewed(xoshiro256& random, double keys) {
    return static_cast<std::uint64_t>(std::exp(uniform_unit(random) * std::log(keys)));
}

void expect_to_be_consistent(const adaptive_policy& policy, const policy_bench& cache, bool weighted) {
    const auto& clock = policy.clock();
    ASSERT_EQ(clock.size(), cache.by_key.size());
    ASSERT_EQ(clock.amount(), weighted ? cache.held_weight : cache.by_key.size());
    std::uint64_t window = 0;
    std::set<entry_id> seen;
    for (const auto* queue : {&clock.window(), &clock.main_part()}) {
        for (entry_id id = queue->oldest(); id != no_entry; id = clock.newer_than(id)) {
            ASSERT_TRUE(seen.insert(id).second);
            ASSERT_TRUE(clock.holds(id));
            ASSERT_GT(cache.entries[id].weight, 0u);
            window += queue == &clock.window() ? clock.amount_of(id) : 0;
        }
    }
    ASSERT_EQ(seen.size(), clock.size());
    ASSERT_EQ(clock.window_amount(), window);
}

TEST(adaptive_policy, regions_add_up_whatever_is_done) {
    for (const bool weighted : {false, true}) {
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            adaptive_policy policy(seed);
            const std::size_t bound = seed * 150;
            policy_bench cache(policy, bound, weighted ? bound * 8 : 0);
            xoshiro256 random(seed);
            for (int step = 0; step < 20'000; ++step) {
                const auto what = uniform_below(random, 100);
                if (what < 90 || cache.by_key.empty()) {
                    cache.access(skewed(random, 5000), weighted ? 1 + uniform_below(random, 30) : 1);
                } else {
                    auto id = static_cast<entry_id>(uniform_below(random, cache.entries.size()));
                    while (cache.entries[id].weight == 0) {
                        id = (id + 1) % static_cast<entry_id>(cache.entries.size());
                    }
                    if (what < 94) {
                        cache.remove(id, removal_cause::invalidated);
                    } else if (what < 96) {
                        cache.evict(nullptr, id);
                        ASSERT_GT(cache.entries[id].weight, 0u) << "it was to be kept";
                    } else if (weighted) {
                        const std::size_t weight = 1 + uniform_below(random, 30);
                        cache.held_weight += weight - cache.entries[id].weight;
                        cache.entries[id].weight = weight;
                        policy.reweigh(id, weight);
                    }
                }
                if (step % 500 == 0) {
                    expect_to_be_consistent(policy, cache, weighted);
                }
            }
            std::size_t sampled = 0;
            for (const auto& [key, id] : cache.by_key) {
                sampled += policy.samples(policy_bench::hash(key)) ? 1 : 0;
            }
            EXPECT_EQ(policy.sampled(), sampled);
        }
    }
}

// 500 light keys that are asked for again and again, beside heavy ones that nobody asks for twice.
TEST(adaptive_policy, heavy_entries_that_are_asked_for_once_do_not_push_out_light_ones) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 100'000, 6'000);
    xoshiro256 random(1);
    std::size_t hits = 0;
    constexpr std::size_t warm = 20'000, counted = 40'000;
    for (std::uint64_t n = 0; n < warm + counted; ++n) {
        hits += cache.access(uniform_below(random, 500), 10) && n >= warm ? 1 : 0;
        if (n % 8 == 0) {
            cache.access(1'000 + n, 600);
        }
    }
    EXPECT_GT(hits, counted * 95 / 100);
    EXPECT_GT(policy.report().admissions_refused, counted / 8 / 2);
}

TEST(adaptive_policy, a_heavy_entry_that_is_asked_for_much_is_kept_among_light_ones_asked_for_once) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 100'000, 10'000);
    std::size_t hits = 0;
    constexpr std::size_t warm = 20'000, counted = 40'000;
    for (std::uint64_t n = 0; n < warm + counted; ++n) {
        cache.access(1'000 + n, 10);
        if (n % 4 == 0) {
            hits += cache.access(1, 2'000) && n >= warm ? 1 : 0;
        }
    }
    EXPECT_GT(hits, counted / 4 * 95 / 100);
}

TEST(adaptive_policy, empties_when_asked_until_nothing_is_left) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 200);
    for (std::uint64_t key = 0; key < 1000; ++key) {
        cache.access(key);
    }
    std::size_t evicted = 0;
    while (cache.evict()) {
        ++evicted;
    }
    EXPECT_EQ(evicted, 200u);
    EXPECT_EQ(policy.clock().size(), 0u);
    EXPECT_EQ(policy.sampled(), 0u);
    EXPECT_FALSE(cache.access(5000));
    EXPECT_TRUE(cache.access(5000));
}

TEST(adaptive_policy, order_lists_each_entry_once_and_backwards_too) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 300);
    xoshiro256 random(1);
    for (int n = 0; n < 5000; ++n) {
        cache.access(skewed(random, 2000));
    }
    std::vector<entry_id> coldest(400), hottest(400);
    ASSERT_EQ(policy.order(cache, false, coldest.data(), 400), 300u);
    ASSERT_EQ(policy.order(cache, true, hottest.data(), 400), 300u);
    coldest.resize(300);
    hottest.resize(300);
    EXPECT_TRUE(std::equal(coldest.begin(), coldest.end(), hottest.rbegin()));
    EXPECT_EQ(std::set<entry_id>(coldest.begin(), coldest.end()).size(), 300u);
    EXPECT_EQ(policy.order(cache, false, hottest.data(), 10), 10u);
    EXPECT_TRUE(std::equal(coldest.begin(), coldest.begin() + 10, hottest.begin()));
}

TEST(adaptive_policy, asks_for_a_bounded_number_of_reference_bits_at_an_eviction) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 5000);
    cache.always_referenced = true;
    for (std::uint64_t key = 0; key < 40'000; ++key) {
        cache.access(key);
    }
    EXPECT_GT(cache.most_asked, 1u);
    EXPECT_LE(cache.most_asked, window_clock<entry_id>::most_moves + window_clock<entry_id>::most_chances);
}

TEST(adaptive_policy, looks_at_a_bounded_number_of_entries_at_an_eviction_also_when_its_sample_changes) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 40'000);
    for (std::uint64_t key = 0; key < 40'000; ++key) {
        cache.access(key);
    }
    policy.expect(400'000, 0);  // another sample
    for (std::uint64_t key = 40'000; key < 60'000; ++key) {
        cache.access(key);
    }
    EXPECT_LE(cache.most_looked_at, 200u);
    std::size_t sampled = 0;
    for (const auto& [key, id] : cache.by_key) {
        sampled += policy.samples(policy_bench::hash(key)) ? 1 : 0;
    }
    EXPECT_GT(sampled, 0u);
    EXPECT_EQ(policy.sampled(), sampled);
}

TEST(adaptive_policy, needs_a_bounded_amount_of_memory) {
    for (const std::size_t entries : {500, 5000, 50'000}) {
        adaptive_policy policy(1);
        policy_bench cache(policy, entries);
        for (std::uint64_t key = 0; key < 2 * entries; ++key) {
            cache.access(key);
        }
        // 4 of links, 1 of marks, 4 of history; and shadows that grow with the cache, to a limit
        EXPECT_LE(policy.memory(), entries * 12 + 31 * 1024) << entries;
    }
}

template <class Cache, class Keys>
double hit_ratio(Cache& cache, int requests, Keys&& key) {
    int hits = 0;
    for (int n = 0; n < requests; ++n) {
        hits += cache.access(key(n)) ? 1 : 0;
    }
    return static_cast<double>(hits) / requests;
}

TEST(adaptive_policy, holds_most_of_a_loop_that_is_larger_than_the_cache) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 500);
    const auto loop = [](int n) { return static_cast<std::uint64_t>(n % 1000); };
    hit_ratio(cache, 50'000, loop);
    EXPECT_GT(hit_ratio(cache, 50'000, loop), 0.48);  // an optimal cache: 0.50; LRU: 0
}

TEST(adaptive_policy, hits_what_comes_again_soon_and_never_later) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 500);
    // Each key three times within 300 requests.
    const auto burst = [](int n) {
        return static_cast<std::uint64_t>(n / 3 * 1000 + 1'000'000 - (n % 3) * 100 * 1000);
    };
    hit_ratio(cache, 30'000, burst);
    EXPECT_GT(hit_ratio(cache, 30'000, burst), 0.65);  // an optimal cache: 0.667
}

TEST(adaptive_policy, recovers_when_the_workload_changes) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 500);
    const auto loop = [](int n) { return static_cast<std::uint64_t>(n % 1000); };
    const auto burst = [](int n) {
        return static_cast<std::uint64_t>(n / 3 * 1000 + 1'000'000 - (n % 3) * 100 * 1000);
    };
    for (int round = 0; round < 2; ++round) {
        hit_ratio(cache, 60'000, loop);
        EXPECT_GT(hit_ratio(cache, 30'000, loop), 0.45);
        hit_ratio(cache, 60'000, burst);
        EXPECT_GT(hit_ratio(cache, 30'000, burst), 0.64);
    }
}

TEST(adaptive_policy, a_scan_of_ten_times_the_cache_costs_little) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 1000);
    xoshiro256 random(1);
    const auto wanted = [&](int) { return skewed(random, 20'000); };
    hit_ratio(cache, 100'000, wanted);
    const double before = hit_ratio(cache, 100'000, wanted);
    hit_ratio(cache, 10'000, [](int n) { return static_cast<std::uint64_t>(1'000'000 + n); });
    EXPECT_GT(hit_ratio(cache, 20'000, wanted), before - 0.01);
}

TEST(adaptive_policy, tells_what_half_and_twice_the_size_would_miss) {
    const auto misses = [](std::size_t entries, adaptive_policy& policy) {
        policy_bench cache(policy, entries);
        xoshiro256 random(1);
        return 1 - hit_ratio(cache, 400'000, [&](int) { return skewed(random, 50'000); });
    };
    adaptive_policy here(1), smaller(1), larger(1);
    const double now = misses(2000, here);
    const auto factors = here.advisor().factors();
    ASSERT_TRUE(factors);
    EXPECT_NEAR(now * factors->at_half, misses(1000, smaller), 0.03);
    EXPECT_NEAR(now * factors->at_twice, misses(4000, larger), 0.03);
}

TEST(adaptive_policy, tells_how_old_entries_are_when_they_are_evicted) {
    adaptive_policy policy(1);
    policy_bench cache(policy, 1000);
    for (std::uint64_t key = 0; key < 1000; ++key) {
        cache.access(key);
    }
    EXPECT_FALSE(policy.report().ages_at_eviction);
    for (std::uint64_t key = 1000; key < 5000;
         ++key) {  // none comes again: all pass the window and are refused
        cache.access(key);
    }
    const auto ages = policy.report().ages_at_eviction;
    ASSERT_TRUE(ages);
    EXPECT_NEAR(ages->median, 1000 * policy.report().window_share, 30);
    EXPECT_LE(ages->tenth, ages->median);
    EXPECT_LE(ages->median, ages->ninetieth);
    cache.remove(0, removal_cause::invalidated);
    EXPECT_EQ(policy.report().ages_at_eviction->median, ages->median) << "only evictions count";
}

}  // namespace
}  // namespace levee::local_detail
