/// An enemy who knows the policy, but not its seed, asks for keys of its own: what it costs the others.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <list>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_map>

#include "levee/core/random.hpp"
#include "local/adaptive_policy.hpp"
#include "support/policy_bench.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t capacity = 1000;
constexpr double victims_keys = 10'000;

/// Zipf with exponent 1, by inversion of the integral.
std::uint64_t victims_key(xoshiro256& random) {
    return static_cast<std::uint64_t>(std::exp(uniform_unit(random) * std::log(victims_keys)));
}

class lru {
public:
    bool access(std::uint64_t key) {
        if (const auto found = where_.find(key); found != where_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            return true;
        }
        if (order_.size() == capacity) {
            where_.erase(order_.back());
            order_.pop_back();
        }
        order_.push_front(key);
        where_[key] = order_.begin();
        return false;
    }

private:
    std::list<std::uint64_t> order_{};
    std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> where_{};
};

/// The enemy's nth key.
using keys = std::uint64_t (*)(std::uint64_t n);

constexpr std::uint64_t mixed(std::uint64_t n) {
    return hash_mix(n) >> 11;
}
std::uint64_t in_pairs(std::uint64_t n, std::uint64_t apart) {  // each key twice, `apart` requests between
    return n % 2 == 0 ? n : n - 2 * (apart / 2) - 1;
}
std::uint64_t swinging(std::uint64_t n, std::uint64_t phase) {  // what a small window suits, and a large one
    return n / phase % 2 == 0 ? n % 4000 : 10'000'000 + in_pairs(n, 600);
}

struct attack {
    std::string_view name;
    keys key;
    /// Points of hit ratio that the victim may lose beyond what it loses with LRU.
    double excess = 2.0;
};

void PrintTo(const attack& one, std::ostream* out) {
    *out << one.name;
}

/// In per cent; `rate` of the enemy's requests for each of the victim's, which an enemy of null has not.
template <class Cache>
double victims_hit_ratio(Cache&& cache, keys enemy, int rate) {
    constexpr int requests = 40'000;
    xoshiro256 random(5);
    std::uint64_t asked = 10'000;  // so that what a key is derived from is never below zero
    int hits = 0;
    for (int n = 0; n < requests; ++n) {
        for (int i = 0; enemy != nullptr && i < rate; ++i) {
            cache.access(1'000'000 + enemy(asked++));
        }
        hits += cache.access(victims_key(random)) ? 1 : 0;
    }
    return 100.0 * hits / requests;
}

double ours(keys enemy, int rate) {
    adaptive_policy policy(3);
    return victims_hit_ratio(test::policy_bench(policy, capacity), enemy, rate);
}

class attacks : public testing::TestWithParam<attack> {};

TEST_P(attacks, harm_the_victim_hardly_more_than_they_would_with_lru) {
    const attack& one = GetParam();
    static const double calm = ours(nullptr, 0);
    static const double calm_lru = victims_hit_ratio(lru(), nullptr, 0);
    for (const int rate : {1, 4}) {
        const double left = ours(one.key, rate), left_by_lru = victims_hit_ratio(lru(), one.key, rate);
        const double excess = (calm - left) - (calm_lru - left_by_lru);
        EXPECT_LE(excess, one.excess) << "leaves " << left << " of " << calm << ", LRU " << left_by_lru
                                      << " of " << calm_lru << "; rate " << rate;
        EXPECT_GE(left, left_by_lru - 3) << "rate " << rate;
        RecordProperty("excess_at_rate_" + std::to_string(rate), std::to_string(excess));
    }
}

INSTANTIATE_TEST_SUITE_P(
    keys_for_show, attacks,
    testing::Values(
        attack{"unique_keys", [](std::uint64_t n) { return n; }},
        attack{"each_five_times", [](std::uint64_t n) { return n / 5; }},
        attack{"each_twice_at_once", [](std::uint64_t n) { return n / 2; }},
        attack{"each_twice_within_the_cache", [](std::uint64_t n) { return in_pairs(n, 600); }},
        attack{"each_again_when_just_forgotten", [](std::uint64_t n) { return in_pairs(n, 3000); }},
        attack{"each_again_when_its_memory_fades", [](std::uint64_t n) { return in_pairs(n, 6000); }},
        attack{"a_little_more_than_a_window", [](std::uint64_t n) { return n % 120; }},
        attack{"a_little_more_than_the_largest_window", [](std::uint64_t n) { return n % 750; }},
        attack{"fast_swings", [](std::uint64_t n) { return swinging(n, 2000); }},
        attack{"swings", [](std::uint64_t n) { return swinging(n, 8000); }},
        attack{"slow_swings", [](std::uint64_t n) { return swinging(n, 30'000); }}),
    [](const auto& row) { return std::string(row.param.name); });
// Keys that are really asked for, again and again, more often than most of the victim's, are what a cache is
// for: one that held the thousand most asked for would leave the victim 36, 43 and 40 % of its requests at a
// rate of 4 (the first two loops, the crowd), LRU leaves it 40, 40 and 43, and this policy 38, 40 and 41.
// Without the enemy it hits 6 points more than LRU, which it loses besides: so these three, of fifteen, are
// above 2.
INSTANTIATE_TEST_SUITE_P(
    keys_asked_for, attacks,
    testing::Values(attack{"a_loop_of_the_caches_size", [](std::uint64_t n) { return n % 1000; }, 9.0},
                    attack{"a_loop_of_twice_the_caches_size", [](std::uint64_t n) { return n % 2000; }, 7.0},
                    attack{"fame_of_a_thousand_keys_at_a_time",
                           [](std::uint64_t n) { return n / 15'000 * 1000 + n % 1000; }},
                    attack{"a_crowd_of_keys", [](std::uint64_t n) { return mixed(n) % 1500; }, 9.5}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace levee::local_detail
