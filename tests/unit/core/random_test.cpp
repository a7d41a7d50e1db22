#include "levee/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using levee::splitmix64;
using levee::uniform_below;
using levee::uniform_unit;
using levee::xoshiro256;

static_assert(std::uniform_random_bit_generator<splitmix64>);
static_assert(std::uniform_random_bit_generator<xoshiro256>);

// Answers one number for ever.
struct constant {
    std::uint64_t value;
    std::uint64_t operator()() const { return value; }
};

TEST(splitmix64, gives_the_published_sequence) {
    splitmix64 generator(1234567);
    for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                         4593380528125082431U, 16408922859458223821U}) {
        EXPECT_EQ(generator(), expected);
    }
}

// The reference algorithm of Blackman and Vigna, as published, over a state filled as levee fills it.
TEST(xoshiro256, follows_the_reference_algorithm) {
    std::array<std::uint64_t, 4> s{};
    splitmix64 fill(42);
    std::generate(s.begin(), s.end(), std::ref(fill));
    const auto rotl = [](std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
    xoshiro256 generator(42);
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t expected = rotl(s[1] * 5, 7) * 9;
        const std::uint64_t t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotl(s[3], 45);
        ASSERT_EQ(generator(), expected) << i;
    }
}

TEST(xoshiro256, repeats_with_the_seed_and_differs_without) {
    xoshiro256 one(1);
    xoshiro256 same(1);
    xoshiro256 other(2);
    const std::uint64_t first = one();
    EXPECT_EQ(first, same());
    EXPECT_NE(first, other());
}

TEST(xoshiro256, works_from_seed_zero) {
    xoshiro256 generator(0);
    std::vector<std::uint64_t> drawn(1000);
    std::generate(drawn.begin(), drawn.end(), std::ref(generator));
    std::sort(drawn.begin(), drawn.end());
    EXPECT_EQ(std::adjacent_find(drawn.begin(), drawn.end()), drawn.end());
    EXPECT_NE(drawn.front(), 0U);
}

TEST(uniform_unit, stays_below_one_and_reaches_both_ends) {
    constant highest{xoshiro256::max()};
    constant lowest{0};
    EXPECT_LT(uniform_unit(highest), 1.0);
    EXPECT_GT(uniform_unit(highest), 1.0 - 1e-15);
    EXPECT_EQ(uniform_unit(lowest), 0.0);
}

TEST(uniform_unit, has_the_mean_and_variance_of_an_even_distribution) {
    xoshiro256 generator(7);
    constexpr int draws = 200'000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < draws; ++i) {
        const double u = uniform_unit(generator);
        sum += u;
        squares += u * u;
    }
    const double mean = sum / draws;
    EXPECT_NEAR(mean, 0.5, 0.004);  // six standard deviations
    EXPECT_NEAR(squares / draws - mean * mean, 1.0 / 12, 0.002);
}

TEST(uniform_below, stays_below_its_bound_and_reaches_its_ends) {
    constant highest{xoshiro256::max()};
    constant lowest{0};
    for (const std::uint64_t bound :
         {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{1000}, xoshiro256::max()}) {
        EXPECT_EQ(uniform_below(highest, bound), bound - 1);
        EXPECT_EQ(uniform_below(lowest, bound), 0U);
    }
    EXPECT_EQ(uniform_below(highest, 0), 0U);
}

TEST(uniform_below, draws_each_number_equally_often) {
    xoshiro256 generator(11);
    constexpr int draws = 120'000;
    std::array<int, 12> counts{};
    for (int i = 0; i < draws; ++i) {
        ++counts[uniform_below(generator, counts.size())];
    }
    for (const int count : counts) {
        EXPECT_NEAR(count, 10'000, 6 * std::sqrt(10'000.0));
    }
}

}  // namespace
