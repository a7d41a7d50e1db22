/// Counts of keys that left.
#include "local/key_history.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "levee/core/random.hpp"

namespace levee::local_detail {
namespace {

std::uint32_t hash(std::uint64_t key) {
    return static_cast<std::uint32_t>(hash_mix(key + 1) >> 32);
}

TEST(key_history, knows_nothing_before_it_has_a_size) {
    key_history history(1);
    history.put(hash(1), 3);
    EXPECT_EQ(history.take(hash(1)), 0u);
    EXPECT_EQ(history.memory(), 0u);
}

TEST(key_history, gives_a_count_back_once) {
    key_history history(1);
    history.resize(1000);
    history.put(hash(1), 3);
    history.put(hash(2), 99);
    history.put(hash(3), 0);
    EXPECT_EQ(history.take(hash(1)), 3u);
    EXPECT_EQ(history.take(hash(1)), 0u);
    EXPECT_EQ(history.take(hash(2)), key_history::most);
    EXPECT_EQ(history.take(hash(3)), 0u);
}

TEST(key_history, remembers_about_as_many_keys_as_it_was_made_for) {
    key_history history(1);
    history.resize(16'000);
    for (std::uint64_t key = 0; key < 16'000; ++key) {
        history.put(hash(key), 1);
    }
    std::size_t known = 0;
    for (std::uint64_t key = 0; key < 16'000; ++key) {
        known += history.take(hash(key)) == 1 ? 1 : 0;
    }
    EXPECT_GT(known, 13'500u);  // buckets fill unevenly
    EXPECT_EQ(history.memory(), 32'000u);
}

TEST(key_history, forgets_the_least_used_first) {
    key_history history(1);
    history.resize(1600);
    for (std::uint64_t key = 0; key < 500; ++key) {
        history.put(hash(key), 5);
    }
    for (std::uint64_t key = 500; key < 50'000; ++key) {
        history.put(hash(key), 1);
    }
    std::size_t known = 0;
    for (std::uint64_t key = 0; key < 500; ++key) {
        known += history.take(hash(key)) == 5 ? 1 : 0;
    }
    EXPECT_GT(known, 480u);
}

TEST(key_history, takes_one_key_for_another_less_than_once_in_a_hundred) {
    key_history history(1);
    history.resize(16'000);
    for (std::uint64_t key = 0; key < 16'000; ++key) {
        history.put(hash(key), 1);
    }
    std::size_t strangers = 0;
    for (std::uint64_t key = 100'000; key < 110'000; ++key) {
        strangers += history.take(hash(key)) != 0 ? 1 : 0;
    }
    EXPECT_LT(strangers, 100u);
}

TEST(key_history, ageing_halves_counts_and_forgets_ones) {
    key_history history(1);
    history.resize(160);
    history.put(hash(1), 9);
    history.put(hash(2), 1);
    history.put(hash(3), 2);
    for (std::size_t n = history.buckets(); n > 0; --n) {
        history.age(n);
    }
    EXPECT_EQ(history.take(hash(1)), 4u);
    EXPECT_EQ(history.take(hash(2)), 0u);
    EXPECT_EQ(history.take(hash(3)), 1u);
}

// Whoever found, by trying, keys that push out a victim's count under one seed has nothing under another.
TEST(key_history, keys_chosen_against_one_seed_do_no_harm_under_another) {
    constexpr std::uint64_t victim = 7;
    const auto pushes_out = [](std::uint64_t seed, const std::vector<std::uint64_t>& keys) {
        key_history history(seed);
        history.resize(3000);
        history.put(hash(victim), 2);
        for (const auto key : keys) {
            history.put(hash(key), 15);
        }
        return history.take(hash(victim)) == 0;
    };
    std::vector<std::uint64_t> chosen;
    for (std::uint64_t key = 1000; chosen.size() < 16; ++key) {  // those that share the victim's bucket
        key_history alone(11);
        alone.resize(3000);
        alone.put(hash(victim), 2);
        std::vector<std::uint64_t> same(20, key);
        for (const auto again : same) {
            alone.put(hash(again), 15);
        }
        if (alone.take(hash(victim)) == 0) {
            chosen.push_back(key);
        }
    }
    EXPECT_TRUE(pushes_out(11, chosen));
    EXPECT_FALSE(pushes_out(12, chosen));
}

}  // namespace
}  // namespace levee::local_detail
