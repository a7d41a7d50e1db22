#include "hit_ratio/policies.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <levee/core/random.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/policies/w_tinylfu.hpp"

namespace levee::lab {
namespace {

using ids = std::vector<std::uint32_t>;

ids letters(std::string_view text) {
    ids keys;
    for (const char c : text) {
        if (c != ' ') {
            keys.push_back(static_cast<std::uint32_t>(c - 'a'));
        }
    }
    return keys;
}

// What each request was: '+' a hit, '-' a miss.
std::string answers(policy& replayed, const ids& keys) {
    std::string result;
    for (const auto key : keys) {
        result += replayed.access(key, 1) ? '+' : '-';
    }
    return result;
}

std::string answers(std::string_view name, std::uint64_t capacity, const ids& keys) {
    const auto replayed = make_policy(name, {.capacity = capacity, .distinct = 256, .future = keys});
    return answers(*replayed, keys);
}

std::string answers(std::string_view name, std::uint64_t capacity, std::string_view text) {
    return answers(name, capacity, letters(text));
}

ids numbers(std::uint32_t from, std::uint32_t to) {
    ids keys;
    for (std::uint32_t i = from; i < to; ++i) {
        keys.push_back(i);
    }
    return keys;
}

ids operator+(ids left, const ids& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

ids repeated(const ids& keys, int times) {
    ids result;
    for (int i = 0; i < times; ++i) {
        result = result + keys;
    }
    return result;
}

ids random_trace(std::uint64_t seed, std::size_t requests, std::uint32_t distinct) {
    xoshiro256 random(seed);
    ids keys;
    for (std::size_t i = 0; i < requests; ++i) {  // the smaller of two draws: low ids are more popular
        keys.push_back(static_cast<std::uint32_t>(
            std::min(uniform_below(random, distinct), uniform_below(random, distinct))));
    }
    return keys;
}

std::size_t hits(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count(text, '+'));
}

TEST(fifo, evicts_the_oldest_however_often_it_was_used) {
    EXPECT_EQ(answers("fifo", 2, "a b a c a b"), "--+---");
}

TEST(lru, evicts_what_was_not_used_for_longest) {
    EXPECT_EQ(answers("lru", 2, "a b a c a b"), "--+-+-");
}

TEST(clock, gives_used_entries_another_round_in_the_order_of_the_ring) {
    EXPECT_EQ(answers("clock", 2, "a b a c a b"), "--+-+-");
    // All three are referenced: the hand clears all and evicts the first, where LRU evicts c.
    EXPECT_EQ(answers("clock", 3, "abc cba d b c a"), "---+++-++-");
    EXPECT_EQ(answers("lru", 3, "abc cba d b a c"), "---+++-++-");
}

TEST(clock, does_not_count_the_admission_as_a_use) {
    EXPECT_EQ(answers("clock", 2, "a b c a"), "----");
}

TEST(sieve, keeps_survivors_in_place_and_evicts_at_the_hand) {
    // d: a is spared, b goes, the hand stays at c; e: c goes; f: d goes although a is older.
    EXPECT_EQ(answers("sieve", 3, "abc a d e f a d"), "---+---+-");
    EXPECT_EQ(answers("clock", 3, "abc a d e f a d"), "---+-----");
}

TEST(sieve, starts_again_at_the_oldest_when_the_hand_has_passed_the_newest) {
    // All are visited: one round clears them, then a goes; then the hand goes on with b.
    EXPECT_EQ(answers("sieve", 3, "abc abc d c b e a"), "---+++-++--");
}

TEST(s3_fifo, moves_to_main_what_was_used_twice_in_the_small_queue) {
    // At capacity 10 the small queue gives way first: 0 was used once more and goes, 1 twice and stays.
    const ids start = ids{0, 0, 1, 1, 1} + numbers(2, 12);
    EXPECT_EQ(answers("s3-fifo", 10, start + ids{1, 0}), "-+-++" + std::string(10, '-') + "+-");
    EXPECT_EQ(answers("s3-fifo", 10, start + numbers(20, 40) + ids{1}).back(), '+');
}

TEST(s3_fifo, admits_a_ghost_to_main) {
    // 0 is evicted by 10, comes back while it is remembered, and outlives a scan.
    const ids returns = numbers(0, 11) + ids{0} + numbers(20, 40) + ids{0};
    EXPECT_EQ(answers("s3-fifo", 10, returns).substr(11, 1), "-");
    EXPECT_EQ(answers("s3-fifo", 10, returns).back(), '+');
    // Nine ghosts are remembered: after nine more evictions 0 is a stranger, and the scan takes it.
    const ids late = numbers(0, 11) + numbers(11, 20) + ids{0} + numbers(20, 40) + ids{0};
    EXPECT_EQ(answers("s3-fifo", 10, late).back(), '-');
}

TEST(s3_fifo, spares_an_entry_of_main_as_often_as_it_was_used_and_three_times_at_most) {
    // Each new key is asked for three times and so goes to main, which holds nine: a round of the sweep
    // takes nine or ten of them.
    const auto newcomers = [](std::uint32_t count) {
        ids keys;
        for (std::uint32_t i = 0; i < count; ++i) {
            keys = keys + repeated(ids{100 + i}, 3);
        }
        return keys;
    };
    const ids in_main = ids{0, 0, 0} + numbers(1, 11);
    EXPECT_EQ(answers("s3-fifo", 10, in_main + newcomers(20) + ids{0}).back(), '-');
    EXPECT_EQ(answers("s3-fifo", 10, in_main + ids{0, 0} + newcomers(20) + ids{0}).back(), '+');
    EXPECT_EQ(answers("s3-fifo", 10, in_main + repeated(ids{0}, 50) + newcomers(100) + ids{0}).back(), '-');
}

TEST(arc, lengthens_the_recent_list_after_a_hit_on_its_ghost) {
    // b is a ghost of the recent list: its return costs the frequent list a, not the recent list c.
    EXPECT_EQ(answers("arc", 2, "a b a c a b c a b"), "--+-+-+--");
}

TEST(arc, shortens_the_recent_list_after_a_hit_on_a_ghost_of_the_frequent_one) {
    // The second return of a takes the length back, so that the new key e costs d and not a.
    EXPECT_EQ(answers("arc", 2, "a b a c a b c a d e a"), "--+-+-+---+");
}

TEST(arc, lets_a_recent_list_of_just_its_length_give_way_to_a_ghost_of_the_frequent_one) {
    // When b returns the second time, d is all of the recent list, whose length should be one: d goes.
    EXPECT_EQ(answers("arc", 3, "b a b c d a c b d"), "--+------");
}

TEST(arc, keeps_what_was_used_twice_through_a_scan) {
    const ids keys = ids{0, 1, 0, 1} + numbers(10, 110) + ids{0, 1};
    EXPECT_EQ(hits(answers("arc", 4, keys)), 4U);
    EXPECT_EQ(hits(answers("lru", 4, keys)), 2U);
}

TEST(w_tinylfu, refuses_a_candidate_that_is_not_more_frequent_than_the_victim) {
    // Nine keys are asked for three times; a scan goes through the one entry of the window.
    const ids popular = repeated(numbers(0, 9), 3);
    const std::string all = answers("w-tinylfu-1", 10, popular + numbers(100, 140) + numbers(0, 9));
    EXPECT_EQ(hits(all.substr(popular.size() + 40)), 9U);
}

TEST(w_tinylfu, admits_a_candidate_that_is_more_frequent) {
    // Ten keys fill the cache; 20 stays in the window, is used there, and then beats 0, which was used once.
    const std::string all = answers("w-tinylfu-1", 10, numbers(0, 10) + ids{20, 20, 21, 20, 0});
    EXPECT_EQ(all.substr(10), "-+-+-");
}

TEST(w_tinylfu, loses_ties) {
    // 9 waits in the window; with one use each, the victim 0 stays and 9 goes.
    EXPECT_EQ(answers("w-tinylfu-1", 10, numbers(0, 10) + ids{20, 0, 9}).substr(10), "-+-");
}

TEST(w_tinylfu, protects_up_to_four_fifths_of_main_from_newcomers_to_it) {
    // 0 to 7 are used in main; seven of them are protected and 0 falls back, behind 8. The three newcomers
    // that follow cost 8, 0 and the first of themselves.
    const ids used = numbers(0, 10) + numbers(0, 8);
    const ids newcomers = repeated(ids{20}, 3) + repeated(ids{21}, 4) + repeated(ids{22}, 5) + ids{23};
    const std::string all = answers("w-tinylfu-1", 10, used + newcomers + numbers(1, 8) + ids{21, 22, 8});
    EXPECT_EQ(all.substr(used.size() + newcomers.size()), "+++++++++-");
    EXPECT_EQ(answers("w-tinylfu-1", 10, used + newcomers + ids{20}).back(), '-');
}

TEST(w_tinylfu, halves_all_counts_so_that_old_fame_fades) {
    // 0 to 8 are counted up to the limit. Without halving 20 could reach the same count, and lose the tie.
    const ids keys = repeated(numbers(0, 9), 20) + ids{30} + repeated(ids{20}, 200) + ids{21, 20};
    EXPECT_EQ(answers("w-tinylfu-1", 10, keys).back(), '+');
}

TEST(w_tinylfu, checks_the_window_share) {
    EXPECT_THROW(w_tinylfu({.capacity = 10, .distinct = 1}, 1.01), std::invalid_argument);
    EXPECT_THROW(w_tinylfu({.capacity = 10, .distinct = 1}, -0.01), std::invalid_argument);
}

TEST(w_tinylfu, with_a_window_of_all_is_lru) {
    const ids keys = random_trace(5, 2000, 60);
    w_tinylfu all({.capacity = 20, .distinct = 256}, 1.0);
    EXPECT_EQ(answers(all, keys), answers("lru", 20, keys));
}

TEST(opt, evicts_what_is_used_again_latest) {
    EXPECT_EQ(answers("opt", 2, "a b c a b"), "---+-");
}

TEST(opt, evicts_first_what_is_never_used_again) {
    EXPECT_EQ(answers("opt", 2, "a b c b d b c"), "---+-+-");
}

// The most hits that any choice of victims can reach.
std::size_t best_possible(const ids& keys, std::size_t capacity, std::size_t from,
                          const std::set<std::uint32_t>& held) {
    if (from == keys.size()) {
        return 0;
    }
    if (held.contains(keys[from])) {
        return 1 + best_possible(keys, capacity, from + 1, held);
    }
    auto next = held;
    next.insert(keys[from]);
    if (next.size() <= capacity) {
        return best_possible(keys, capacity, from + 1, next);
    }
    std::size_t best = 0;
    for (const auto victim : held) {
        auto without = next;
        without.erase(victim);
        best = std::max(best, best_possible(keys, capacity, from + 1, without));
    }
    return best;
}

TEST(opt, reaches_what_an_exhaustive_search_finds) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const ids keys = random_trace(seed, 14, 6);
        const std::size_t capacity = 2 + seed % 2;
        ASSERT_EQ(hits(answers("opt", capacity, keys)), best_possible(keys, capacity, 0, {})) << seed;
    }
}

class every_policy : public testing::TestWithParam<policy_info> {
protected:
    [[nodiscard]] std::string name() const { return std::string(GetParam().name); }
};

TEST_P(every_policy, stays_within_its_capacity_and_misses_what_it_has_never_seen) {
    const ids keys = random_trace(1, 5000, 200);
    for (const std::uint64_t capacity : {1U, 2U, 3U, 7U, 10U, 50U, 100U}) {
        const auto replayed = make_policy(name(), {.capacity = capacity, .distinct = 256, .future = keys});
        std::set<std::uint32_t> seen;
        for (const auto key : keys) {
            const bool is_new = seen.insert(key).second;
            ASSERT_FALSE(replayed->access(key, 1) && is_new);
            ASSERT_LE(replayed->used(), capacity);
        }
        ASSERT_EQ(replayed->used(), capacity);
    }
}

TEST_P(every_policy, misses_each_key_once_when_all_fit) {
    const ids keys = random_trace(2, 5000, 200);
    const std::set<std::uint32_t> distinct(keys.begin(), keys.end());
    EXPECT_EQ(hits(answers(name(), 200, keys)), keys.size() - distinct.size());
}

TEST_P(every_policy, works_with_room_for_one) {
    EXPECT_EQ(answers(name(), 1, "a a b b a a b"), "-+-+-+-");
}

TEST_P(every_policy, never_beats_the_optimum) {
    for (const std::uint64_t capacity : {5U, 20U, 60U}) {
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
            const ids keys = random_trace(seed, 3000, 150);
            ASSERT_LE(hits(answers(name(), capacity, keys)), hits(answers("opt", capacity, keys)) + 60)
                << "a policy that may decline to admit can be a little better, not 2 %";
        }
    }
}

TEST_P(every_policy, refuses_a_capacity_of_zero) {
    EXPECT_THROW((void)make_policy(name(), {.capacity = 0, .distinct = 1}), std::invalid_argument);
}

TEST_P(every_policy, says_whether_it_can_be_bounded_by_bytes) {
    if (GetParam().by_size) {
        EXPECT_NE(make_policy(name(), {.capacity = 1, .by_size = true, .distinct = 1}), nullptr);
    } else {
        EXPECT_THROW((void)make_policy(name(), {.capacity = 1, .by_size = true, .distinct = 1}),
                     std::invalid_argument);
    }
}

std::string case_name(const testing::TestParamInfo<policy_info>& info) {
    std::string name(info.param.name);
    std::ranges::replace(name, '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(lab, every_policy, testing::ValuesIn(known_policies()), case_name);

class by_size : public every_policy {};

TEST_P(by_size, evicts_until_the_new_entry_fits) {
    const auto p = make_policy(name(), {.capacity = 10, .by_size = true, .distinct = 8});
    EXPECT_FALSE(p->access(0, 4));
    EXPECT_FALSE(p->access(1, 4));
    EXPECT_FALSE(p->access(2, 9));  // both must go
    EXPECT_EQ(p->used(), 9U);
    EXPECT_TRUE(p->access(2, 9));
    EXPECT_FALSE(p->access(3, 1));
    EXPECT_EQ(p->used(), 10U);
}

TEST_P(by_size, never_admits_what_is_larger_than_all_and_evicts_nothing_for_it) {
    const auto p = make_policy(name(), {.capacity = 10, .by_size = true, .distinct = 8});
    EXPECT_FALSE(p->access(0, 10));
    EXPECT_FALSE(p->access(1, 11));
    EXPECT_FALSE(p->access(1, 11));
    EXPECT_TRUE(p->access(0, 10));
}

TEST_P(by_size, keeps_the_size_of_the_admission) {
    const auto p = make_policy(name(), {.capacity = 10, .by_size = true, .distinct = 8});
    EXPECT_FALSE(p->access(0, 2));
    EXPECT_TRUE(p->access(0, 9));
    EXPECT_EQ(p->used(), 2U);
}

TEST_P(by_size, counts_an_empty_value_as_one_byte) {
    const auto p = make_policy(name(), {.capacity = 2, .by_size = true, .distinct = 8});
    for (std::uint32_t id = 0; id < 4; ++id) {
        EXPECT_FALSE(p->access(id, 0));
        EXPECT_LE(p->used(), 2U);
    }
    EXPECT_EQ(p->used(), 2U);
}

std::vector<policy_info> sized_policies() {
    std::vector<policy_info> result;
    std::ranges::copy_if(known_policies(), std::back_inserter(result), &policy_info::by_size);
    return result;
}

INSTANTIATE_TEST_SUITE_P(lab, by_size, testing::ValuesIn(sized_policies()), case_name);

TEST(policies, lru_and_opt_hit_no_less_when_they_grow) {
    const ids keys = random_trace(3, 4000, 200);
    for (const std::string_view name : {"lru", "opt"}) {
        std::size_t before = 0;
        for (std::uint64_t capacity = 1; capacity <= 60; ++capacity) {
            const std::size_t now = hits(answers(name, capacity, keys));
            ASSERT_GE(now, before) << name << ' ' << capacity;
            before = now;
        }
    }
}

TEST(policies, fifo_may_hit_less_when_it_grows) {  // Belady's anomaly, his own example
    EXPECT_EQ(hits(answers("fifo", 3, "abcd abe abcde")), 3U);
    EXPECT_EQ(hits(answers("fifo", 4, "abcd abe abcde")), 2U);
}

TEST(policies, an_unknown_name_is_refused_with_the_known_ones) {
    try {
        (void)make_policy("mru", {.capacity = 1, .distinct = 1});
        FAIL();
    } catch (const std::invalid_argument& problem) {
        EXPECT_NE(std::string(problem.what()).find("'mru'"), std::string::npos);
        EXPECT_NE(std::string(problem.what()).find(policy_names()), std::string::npos);
    }
    EXPECT_EQ(policy_names(true), "fifo,lru,clock,sieve,adaptive,levee");
}

}  // namespace
}  // namespace levee::lab
