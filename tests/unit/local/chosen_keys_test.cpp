/// Keys that an enemy chose because their hashes collide.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

// The key that `hash_mix` maps to `hash`.
std::uint64_t unmixed(std::uint64_t hash) {
    const auto unshift = [](std::uint64_t x, unsigned by) {
        std::uint64_t found = x;
        for (unsigned n = by; n < 64; n += by) {
            found = x ^ (found >> by);
        }
        return found;
    };
    const auto inverse = [](std::uint64_t odd) {
        std::uint64_t found = odd;
        for (int n = 0; n < 6; ++n) {
            found *= 2 - odd * found;
        }
        return found;
    };
    return unshift(unshift(unshift(hash, 31) * inverse(0x94d049bb133111eb), 27) * inverse(0xbf58476d1ce4e5b9),
                   30);
}

TEST(chosen_keys, with_equal_low_bits_of_their_hashes_harm_others_no_more_than_any_keys) {
    const auto victims_hit_ratio = [](bool collide) {
        local_cache<std::uint64_t, int> cache({.max_entries = 1000});
        xoshiro256 random(1);
        std::uint64_t fresh = 0;
        int hits = 0;
        constexpr int requests = 40'000;
        for (int n = 0; n < requests; ++n) {
            for (int i = 0; i < 2; ++i) {
                ++fresh;
                const std::uint64_t key = collide ? unmixed(fresh << 32 | 0x12345678) : 1'000'000 + fresh;
                if (!cache.get(key)) {
                    cache.put(key, 0);
                }
            }
            const auto key = static_cast<std::uint64_t>(std::exp(uniform_unit(random) * std::log(10'000)));
            if (cache.get(key)) {
                ++hits;
            } else {
                cache.put(key, 0);
            }
        }
        return static_cast<double>(hits) / requests;
    };
    ASSERT_EQ(hash<std::uint64_t>{}(unmixed(42)), 42u);
    EXPECT_GT(victims_hit_ratio(true), victims_hit_ratio(false) - 0.02);
}

}  // namespace
}  // namespace levee
