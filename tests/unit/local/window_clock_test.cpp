/// Window, admission, main part, and the shadows that run the same code.
#include "local/window_clock.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "levee/core/random.hpp"
#include "local/division_advisor.hpp"
#include "local/shadow_cache.hpp"

namespace levee::local_detail {
namespace {

using clock_type = window_clock<std::uint16_t>;

struct host {
    std::set<std::uint16_t> used{};
    std::size_t asked = 0;
    bool all_used = false;
    bool take_reference(std::uint16_t id) {
        ++asked;
        return used.erase(id) != 0 || all_used;
    }
};

std::uint32_t hash(std::uint64_t key) {
    return static_cast<std::uint32_t>(hash_mix(key + 1) >> 32);
}

// Ids 0 to n - 1, each its own key.
clock_type filled(std::uint16_t n, const admission& by) {
    clock_type clock(1);
    clock.reserve(n + 10U, false);
    clock.remember(3U * n);
    clock.divide(by);
    for (std::uint16_t id = 0; id < n; ++id) {
        clock.insert(id, hash(id), 1);
        clock.overflow();
    }
    return clock;
}

TEST(window_clock, keeps_the_window_at_its_share) {
    auto clock = filled(100, {0.25, 0, 15});
    EXPECT_NEAR(static_cast<double>(clock.window().size()), 25, 1);
    host nobody;
    for (std::uint16_t n = 0; n < 300; ++n) {
        const auto gone = clock.victim(nobody, 1, clock_type::none);
        ASSERT_NE(gone, clock_type::none);
        clock.erase(gone, hash(gone));
        clock.insert(gone, hash(1000U + n), 1);
        EXPECT_EQ(clock.window().size(), 25u);
        EXPECT_EQ(clock.size(), 100u);
    }
}

TEST(window_clock, follows_when_the_window_is_made_smaller_and_larger) {
    auto clock = filled(200, {0.70, 0, 15});
    host nobody;
    const auto turn_over = [&](int times) {
        for (int n = 0; n < times; ++n) {
            const auto gone = clock.victim(nobody, 1, clock_type::none);
            clock.erase(gone, hash(gone));
            clock.insert(gone, hash(gone + 1000U * static_cast<unsigned>(n)), 1);
        }
    };
    turn_over(50);
    EXPECT_EQ(clock.window().size(), 140u);
    clock.divide({0.01, 0, 15});
    turn_over(20);
    EXPECT_EQ(clock.window().size(), 2u);
    clock.divide({0.70, 0, 15});
    turn_over(150);
    EXPECT_EQ(clock.window().size(), 140u);
}

TEST(window_clock, ages_what_is_left_of_its_memory_when_that_shrinks_meanwhile) {
    auto clock = filled(2000, {0.25, 0, 15});
    host everybody;
    everybody.all_used = true;
    const auto count_up = [&] { static_cast<void>(clock.victim(everybody, 1, clock_type::none)); };
    while (clock.count(1999) < key_history::most) {
        count_up();
    }
    while (clock.count(1999) == key_history::most) {  // until counts are being halved, the last one first
        count_up();
    }
    clock.remember(16);
    for (int n = 0; n < 200; ++n) {
        count_up();
    }
    EXPECT_EQ(clock.size(), 2000u);
}

TEST(window_clock, gives_a_used_entry_another_round) {
    auto clock = filled(100, {0.25, 0, 15});
    const auto oldest = clock.window().oldest();
    host one{.used = {oldest}};
    const auto gone = clock.victim(one, 1, clock_type::none);
    EXPECT_NE(gone, oldest);
    EXPECT_EQ(clock.window().newest(), oldest);
    EXPECT_EQ(clock.count(oldest), 2u);
}

TEST(window_clock, evicts_the_less_often_asked_for_of_candidate_and_rival) {
    for (const unsigned margin : {0U, 1U}) {
        auto clock = filled(100, {0.25, margin, 15});
        host nobody;
        const auto first = clock.victim(nobody, 1, clock_type::none);
        EXPECT_FALSE(clock.main_part().oldest() == first) << "a tie is the candidate's loss";
        clock.erase(first, hash(first));
        clock.insert(first, hash(first), 1);  // the same key comes back: its count is 2
        EXPECT_EQ(clock.count(first), 2u);
        for (;;) {  // until it is the candidate
            const bool is_next = clock.window().oldest() == first;
            const auto rival = clock.main_part().oldest();
            const auto gone = clock.victim(nobody, 1, clock_type::none);
            if (is_next) {
                EXPECT_EQ(gone, margin == 0 ? rival : first);
                break;
            }
            clock.erase(gone, hash(gone));
            clock.insert(gone, hash(gone + 1000U), 1);
        }
    }
}

TEST(window_clock, never_answers_the_one_to_keep) {
    auto clock = filled(3, {0.35, 0, 15});
    host nobody;
    std::set<std::uint16_t> gone;
    for (int n = 0; n < 2; ++n) {
        const auto victim = clock.victim(nobody, 1, 1);
        ASSERT_NE(victim, clock_type::none);
        EXPECT_NE(victim, 1);
        EXPECT_TRUE(gone.insert(victim).second);
        clock.erase(victim, hash(victim));
    }
    EXPECT_EQ(clock.victim(nobody, 1, 1), clock_type::none);
    EXPECT_EQ(clock.victim(nobody, 1, clock_type::none), 1);
}

TEST(window_clock, looks_at_a_bounded_number_of_entries_even_when_all_are_used) {
    host everybody{.all_used = true};
    for (const auto& by : division_advisor::divisions) {
        auto clock = filled(5000, by);
        for (int n = 0; n < 2000; ++n) {
            everybody.asked = 0;
            const auto gone = clock.victim(everybody, 1, clock_type::none);
            ASSERT_NE(gone, clock_type::none);
            EXPECT_LE(everybody.asked, clock_type::most_moves + clock_type::most_chances);
            clock.erase(gone, hash(gone));
            clock.insert(gone, hash(10'000U + static_cast<unsigned>(n)), 1);
        }
    }
}

TEST(window_clock, prefers_the_lighter_of_two_asked_for_as_often) {
    clock_type clock(1);
    clock.reserve(10, true);
    clock.divide({0.5, 0, 15});
    clock.insert(0, hash(0), 10);
    clock.overflow();
    clock.insert(1, hash(1), 1);
    clock.overflow();  // the heavy one is in the main part now
    ASSERT_EQ(clock.main_part().oldest(), 0);
    host nobody;
    EXPECT_EQ(clock.victim(nobody, 10, clock_type::none), 0);
    EXPECT_EQ(clock.amount(), 11u);
}

TEST(window_clock, lets_a_heavy_newcomer_in_that_is_asked_for_by_weight_or_has_proved_itself) {
    constexpr unsigned asked = clock_type::always_let_in;
    clock_type clock(1);
    clock.reserve(110, true);
    clock.remember(300);
    clock.divide({0.10, 0, 15});
    for (std::uint16_t id = 0; id < 100; ++id) {
        clock.insert(id, hash(id), 10);
        clock.overflow();
    }
    host nobody;
    const auto is_refused = [&](std::uint64_t key, std::uint64_t weight) {
        return clock.refuses(nobody, hash(key), weight, clock_type::none);
    };
    for (std::uint64_t key = 2'000; key < 2'100; ++key) {
        EXPECT_FALSE(is_refused(1'001, 500)) << "nothing is known yet";
        const auto gone = clock.victim(nobody, 10, clock_type::none);
        clock.erase(gone, hash(gone));
        clock.insert(gone, hash(key), 10);
    }
    EXPECT_FALSE(is_refused(1'000, 20));  // not heavy
    const auto before = clock.refused();
    for (unsigned n = 1; n < asked; ++n) {
        EXPECT_TRUE(is_refused(1'001, 500)) << n;
    }
    EXPECT_EQ(clock.refused() - before, asked - 1);
    EXPECT_FALSE(is_refused(1'001, 500));
    EXPECT_FALSE(is_refused(1'001, 500)) << "being asked again changes nothing";
    EXPECT_TRUE(is_refused(1'002, 21));
    EXPECT_TRUE(is_refused(1'002, 21));
    EXPECT_FALSE(is_refused(1'002, 21)) << "three requests for 21, one for 10";
    EXPECT_FALSE(filled(100, {0.10, 0, 15}).refuses(nobody, hash(1'003), 1'000, clock_type::none));
}

TEST(shadow_cache, holds_no_more_than_its_capacity_in_entries_and_weight) {
    shadow_cache shadow(1, 100, true);
    shadow.divide(division_advisor::divisions[1]);
    shadow.set_capacity(80, 1000);
    xoshiro256 random(1);
    for (int n = 0; n < 20'000; ++n) {
        shadow.access(hash(uniform_below(random, 300)), 1 + uniform_below(random, 60));
        ASSERT_LE(shadow.size(), 80u);
        ASSERT_LE(shadow.weight(), 1000u);
    }
    shadow.set_capacity(5, 100);
    EXPECT_LE(shadow.size(), 5u);
    EXPECT_LE(shadow.weight(), 100u);
    EXPECT_FALSE(shadow.access(hash(1000), 101)) << "too heavy";
    EXPECT_FALSE(shadow.access(hash(1000), 101)) << "it was not stored";
}

TEST(shadow_cache, finds_what_it_holds) {
    shadow_cache shadow(1, 64, false);
    for (std::uint64_t key = 0; key < 64; ++key) {
        EXPECT_FALSE(shadow.access(hash(key), 1));
    }
    for (std::uint64_t key = 0; key < 64; ++key) {
        EXPECT_TRUE(shadow.access(hash(key), 1));
    }
}

TEST(division_advisor, samples_a_share_of_the_keys_that_grows_less_than_the_cache) {
    for (const std::size_t entries : {100, 1000, 10'000, 1'000'000}) {
        division_advisor advisor(1);
        EXPECT_FALSE(advisor.samples(hash(1)));
        advisor.resize(entries, false);
        std::size_t sampled = 0;
        constexpr std::size_t asked = 1 << 18;
        for (std::uint64_t key = 0; key < asked; ++key) {
            sampled += advisor.samples(hash(key)) ? 1 : 0;
        }
        const auto expected = static_cast<double>(asked) / static_cast<double>(advisor.sample());
        EXPECT_NEAR(static_cast<double>(sampled), expected, expected / 10) << entries;
        EXPECT_LE(advisor.memory(), entries * 8 + 32 * 1024) << entries;
    }
}

TEST(division_advisor, finds_the_small_window_in_a_loop_and_the_large_one_in_bursts) {
    division_advisor advisor(1);
    advisor.resize(128, false);
    ASSERT_EQ(advisor.sample(), 1u);
    for (unsigned n = 0; n < 20'000; ++n) {
        advisor.access(hash(n % 150), 1, 128, 128);
    }
    EXPECT_LT(advisor.divisions[advisor.chosen()].window_share, 0.05);
    for (unsigned n = 0; n < 40'000; ++n) {  // each key twice, forty requests apart
        advisor.access(hash(1000 + (n % 2 == 0 ? n : n - 41)), 1, 128, 128);
    }
    EXPECT_GT(advisor.divisions[advisor.chosen()].window_share, 0.3);
}

}  // namespace
}  // namespace levee::local_detail
