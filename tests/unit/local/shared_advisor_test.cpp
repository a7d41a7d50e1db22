/// What the shards of a cache learn from each other.
#include "local/shared_advisor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "levee/core/random.hpp"
#include "local/adaptive_policy.hpp"
#include "support/policy_bench.hpp"

namespace levee::local_detail {
namespace {

using test::policy_bench;

// A cache of equal shards, keys spread by other bits of the hash than policies see.
struct sharded {
    sharded(std::size_t shards, std::size_t entries) : advisor(make_shared_advisor(7, shards)) {
        for (std::size_t i = 0; i < shards; ++i) {
            policies.push_back(std::make_unique<adaptive_policy>(i, advisor));
            benches.push_back(std::make_unique<policy_bench>(*policies.back(), entries / shards));
        }
    }
    bool access(std::uint64_t key) { return benches[hash_mix(key) % benches.size()]->access(key); }

    std::shared_ptr<shared_advisor> advisor;
    std::vector<std::unique_ptr<adaptive_policy>> policies{};
    std::vector<std::unique_ptr<policy_bench>> benches{};
};

double window_share(const adaptive_policy& policy) {
    return policy.report().window_share;
}

TEST(shared_advisor, samples_as_many_keys_as_one_cache_would_however_many_shards_there_are) {
    for (const std::size_t shards : {1U, 4U, 16U}) {
        sharded cache(shards, 16'000);
        EXPECT_EQ(cache.advisor->current().generation, 1u);
        division_advisor alone(1);
        alone.resize(16'000, false);
        EXPECT_EQ(cache.advisor->current().sample_bits, alone.sample_bits());
        EXPECT_LT(cache.advisor->memory_of_a_shard() * shards, alone.memory() + 1024);
    }
}

TEST(shared_advisor, all_shards_follow_what_it_says) {
    sharded cache(8, 4000);
    for (int n = 0; n < 200'000; ++n) {
        cache.access(static_cast<std::uint64_t>(n % 8000));  // a loop
    }
    for (const auto& policy : cache.policies) {
        EXPECT_LT(window_share(*policy), 0.05);
    }
    for (int n = 0; n < 200'000; ++n) {  // each key twice, 2000 requests apart
        cache.access(static_cast<std::uint64_t>(1'000'000 + (n % 2 == 0 ? n : n - 2001)));
    }
    for (const auto& policy : cache.policies) {
        EXPECT_GT(window_share(*policy), 0.3);
    }
}

TEST(shared_advisor, a_loop_is_held_as_well_by_many_shards_as_by_one) {
    const auto hits = [](std::size_t shards) {
        sharded cache(shards, 4000);
        int count = 0;
        for (int n = 0; n < 400'000; ++n) {
            count += cache.access(static_cast<std::uint64_t>(n % 8000)) && n >= 200'000 ? 1 : 0;
        }
        return count / 200'000.0;
    };
    EXPECT_GT(hits(1), 0.45);
    EXPECT_GT(hits(8), hits(1) - 0.02);
}

TEST(shared_advisor, a_sample_changed_by_one_shard_is_counted_anew_by_all) {
    sharded cache(4, 4000);
    xoshiro256 random(1);
    const auto ask = [&](int times) {
        for (int n = 0; n < times; ++n) {
            cache.access(uniform_below(random, 10'000));
        }
    };
    ask(20'000);
    cache.policies[2]->expect(100'000, 0);
    EXPECT_EQ(cache.advisor->current().generation, 2u);
    ask(40'000);
    for (std::size_t i = 0; i < cache.policies.size(); ++i) {
        std::size_t sampled = 0;
        for (const auto& [key, id] : cache.benches[i]->by_key) {
            sampled += cache.policies[i]->samples(policy_bench::hash(key)) ? 1 : 0;
        }
        EXPECT_EQ(cache.policies[i]->sampled(), sampled);
    }
}

TEST(shared_advisor, ages_at_eviction_are_of_the_whole_cache) {
    const auto median = [](std::size_t shards) {
        sharded cache(shards, 4000);
        for (std::uint64_t key = 0; key < 40'000; ++key) {
            cache.access(key);
        }
        return cache.advisor->ages()->median;
    };
    EXPECT_NEAR(median(8), median(1), median(1) / 4);
}

TEST(age_histogram, tells_quantiles_within_an_eighth_and_forgets_what_was_long_ago) {
    age_histogram ages;
    EXPECT_EQ(ages.quantile(0.5), 0);
    for (std::uint64_t age = 1; age <= 3000; ++age) {
        ages.add(age);
    }
    EXPECT_NEAR(ages.quantile(0.1), 300, 300 / 8);
    EXPECT_NEAR(ages.quantile(0.5), 1500, 1500 / 8);
    EXPECT_NEAR(ages.quantile(0.9), 2700, 2700 / 8);
    for (int n = 0; n < 20'000; ++n) {
        ages.add(std::uint64_t{1} << 63);
    }
    EXPECT_NEAR(ages.quantile(0.2) / static_cast<double>(std::uint64_t{1} << 63), 1, 0.126);
    EXPECT_LE(ages.count(), 4096u);
}

TEST(shared_advisor, one_thread_has_the_same_advice_each_time) {
    const auto hits = [] {
        sharded cache(4, 2000);
        xoshiro256 random(3);
        int count = 0;
        for (int n = 0; n < 100'000; ++n) {
            count += cache.access(uniform_below(random, 1 + uniform_below(random, 20'000))) ? 1 : 0;
        }
        return count;
    };
    EXPECT_EQ(hits(), hits());
}

TEST(shared_advisor, hears_of_several_threads_what_it_hears_of_one) {
    sharded cache(4, 2000);
    std::array<std::mutex, 4> locks;
    std::atomic<int> next{0}, hits{0};
    const auto work = [&] {
        constexpr int requests = 400'000, chunk = 64;
        for (int begin = 0; (begin = next.fetch_add(chunk)) < requests;) {
            for (int n = begin; n < begin + chunk; ++n) {
                const auto key = static_cast<std::uint64_t>(n % 4000);
                const std::lock_guard lock(locks[hash_mix(key) % locks.size()]);
                hits += cache.access(key) && n >= requests / 2 ? 1 : 0;
            }
        }
    };
    std::thread first(work), second(work);
    first.join();
    second.join();
    EXPECT_GT(hits / 200'000.0, 0.40);  // the optimum is 0.5; LRU has none
}

TEST(shared_advisor, shards_come_and_go_while_others_tell) {
    const auto advisor = make_shared_advisor(7, 2);
    const auto work = [&](std::uint64_t seed) {
        for (int round = 0; round < 5; ++round) {
            adaptive_policy policy(seed, advisor);
            policy_bench cache(policy, 200);
            xoshiro256 random(seed);
            for (int n = 0; n < 3000; ++n) {
                cache.access(uniform_below(random, 1000));
            }
            policy.expect(2000, 0);  // another sample, for all
            EXPECT_TRUE(cache.evict());
        }
    };
    std::thread first(work, 1), second(work, 2);
    first.join();
    second.join();
    adaptive_policy policy(1, advisor);
    policy_bench cache(policy, 200);
    int hits = 0;
    for (int n = 0; n < 40'000; ++n) {
        hits += cache.access(static_cast<std::uint64_t>(n % 400)) ? 1 : 0;
    }
    EXPECT_GT(hits, 40'000 / 4);
}

}  // namespace
}  // namespace levee::local_detail
