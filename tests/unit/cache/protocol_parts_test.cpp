// The decisions of the multi-level cache, each alone: freshness, marks, leased loads, what is to be told.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "levee/cache/detail/freshness.hpp"
#include "levee/cache/detail/leased_load.hpp"
#include "levee/cache/detail/mark_table.hpp"
#include "levee/cache/detail/outbox.hpp"
#include "levee/cache/detail/trust.hpp"
#include "levee/core/random.hpp"

namespace levee::cache_detail {
namespace {

using namespace std::chrono_literals;

constexpr time_point start{1h};

/// Fresh for 10 s from `start`, kept for 60 s more.
held_entry a_value() {
    held_entry held;
    held.times = {.fresh_until = start + 10s, .stale_until = start + 70s, .life = 10s, .cost = 1s};
    return held;
}

const entry_options no_reserve{};
const entry_options reserves{.stale_while_revalidate = 20s, .stale_if_error = 60s};

TEST(freshness, is_as_its_table_says) {
    const held_entry value = a_value();
    EXPECT_EQ(judge(value, reserves, start + 9s, 0), freshness::fresh);
    EXPECT_EQ(judge(value, reserves, start + 10s, 0), freshness::stale);
    EXPECT_EQ(judge(value, reserves, start + 29s, 0), freshness::stale);
    EXPECT_EQ(judge(value, reserves, start + 30s, 0), freshness::reserve);
    EXPECT_EQ(judge(value, reserves, start + 69s, 0), freshness::reserve);
    EXPECT_EQ(judge(value, reserves, start + 70s, 0), freshness::absent) << "never beyond the limit (M5)";
    EXPECT_EQ(judge(value, no_reserve, start + 10s, 0), freshness::reserve) << "for the soft timeout";
}

TEST(freshness, keeps_to_the_back_off_after_a_failure) {
    held_entry value = a_value();
    value.times.retry_at = start + 35s;
    EXPECT_EQ(judge(value, reserves, start + 9s, 0), freshness::fresh);
    EXPECT_EQ(judge(value, reserves, start + 20s, 0), freshness::back_off);
    EXPECT_EQ(judge(value, reserves, start + 34s, 0), freshness::back_off) << "by stale_if_error";
    EXPECT_EQ(judge(value, reserves, start + 35s, 0), freshness::reserve);
    EXPECT_EQ(judge(value, no_reserve, start + 20s, 0), freshness::reserve) << "nothing may stand in";
}

TEST(freshness, of_what_may_have_been_missed_is_no_more_than_a_reserve) {
    held_entry value = a_value();
    value.is_suspect = true;
    value.suspect_until = start + 5s;
    EXPECT_EQ(judge(value, reserves, start + 4s, 0), freshness::reserve);
    EXPECT_EQ(judge(value, reserves, start + 5s, 0), freshness::absent);
    EXPECT_EQ(judge(value, reserves, start + 12s, 0), freshness::reserve) << "past its life, for errors";
    EXPECT_TRUE(value.has_grace(start + 4s));
    EXPECT_FALSE(value.has_grace(start + 5s));
    value.suspect_until = start + 40s;
    EXPECT_EQ(judge(value, reserves, start + 12s, 0), freshness::reserve);
    EXPECT_FALSE(value.has_grace(start + 12s)) << "known to be out of date: the source is asked";
    value.is_negative = true;
    EXPECT_EQ(judge(value, reserves, start + 4s, 0), freshness::absent);
}

TEST(freshness, of_a_key_known_not_to_exist_ends_with_its_life) {
    held_entry value = a_value();
    value.is_negative = true;
    EXPECT_EQ(judge(value, reserves, start + 9s, 0), freshness::fresh);
    EXPECT_EQ(judge(value, reserves, start + 10s, 0), freshness::absent);
}

TEST(refresh_ahead, by_fraction_begins_when_that_share_has_passed) {
    const entry_options ahead{.ahead = refresh_ahead::after_fraction(0.8)};
    const held_entry value = a_value();
    EXPECT_EQ(judge(value, ahead, start + 7900ms, 0), freshness::fresh);
    EXPECT_EQ(judge(value, ahead, start + 8100ms, 0), freshness::ahead);
    EXPECT_LE(calm_until(value.times, ahead), start + 8100ms);
    EXPECT_GE(calm_until(value.times, ahead), start + 7900ms);
    held_entry failed = value;
    failed.times.retry_at = start + 9s;
    EXPECT_EQ(judge(failed, ahead, start + 8500ms, 0), freshness::fresh) << "not again so soon";
}

// M6: the share of draws that refresh at t before the end is exp(-t / (beta * cost)).
TEST(refresh_ahead, by_chance_is_as_frequent_as_xfetch_says) {
    for (const auto& [beta, left] :
         {std::pair{1.0, 1000ms}, std::pair{1.0, 500ms}, std::pair{2.0, 1000ms}, std::pair{0.5, 2000ms}}) {
        const entry_options ahead{.ahead = refresh_ahead::probabilistic(beta)};
        const held_entry value = a_value();  // its load took 1 s
        const time_point now = value.times.fresh_until - left;
        splitmix64 random(7);
        constexpr int draws = 100'000;
        int refreshed = 0;
        for (int i = 0; i < draws; ++i) {
            refreshed += judge(value, ahead, now, uniform_unit(random)) == freshness::ahead ? 1 : 0;
        }
        const double expected = std::exp(-std::chrono::duration<double>(left).count() / beta);
        const double deviation = std::sqrt(expected * (1 - expected) / draws);
        EXPECT_NEAR(static_cast<double>(refreshed) / draws, expected, 5 * deviation) << beta;
    }
}

TEST(refresh_ahead, by_chance_is_not_thought_of_where_it_cannot_happen) {
    const entry_options ahead{.ahead = refresh_ahead::probabilistic()};
    held_entry value = a_value();
    value.times.cost = 10ms;
    const time_point calm = calm_until(value.times, ahead);
    EXPECT_GT(calm, start + 9s);
    EXPECT_EQ(judge(value, ahead, calm - 1ns, 0x1.fffffffffffffp-1), freshness::fresh);
}

TEST(marks, invalidate_what_was_stamped_before_them) {
    mark_table marks;
    marks.learn(mark_of_tag("red"), 5);
    const std::vector<std::string> red{"red"};
    EXPECT_FALSE(marks.is_valid(4, "k", red));
    EXPECT_TRUE(marks.is_valid(5, "k", red)) << "its filler had seen the mark";
    EXPECT_TRUE(marks.is_valid(4, "k", {})) << "it has not the tag";
    EXPECT_EQ(marks.count(), 5U);
}

// M8
TEST(marks, of_a_prefix_are_for_whole_parts_of_a_key) {
    mark_table marks;
    marks.learn(mark_of_prefix("user"), 2);
    EXPECT_FALSE(marks.is_valid(1, "user:1", {}));
    EXPECT_FALSE(marks.is_valid(1, "user:1:name", {}));
    EXPECT_TRUE(marks.is_valid(1, "users:1", {}));
    EXPECT_TRUE(marks.is_valid(1, "user", {}));
    EXPECT_TRUE(marks.is_valid(1, "x:user:1", {}));
    EXPECT_EQ(mark_of_prefix("user:"), mark_of_prefix("user"));
    EXPECT_NE(mark_of_prefix("a"), mark_of_tag("a:"));
}

TEST(marks, only_grow_whatever_the_order_in_which_they_are_heard) {
    mark_table marks;
    EXPECT_TRUE(marks.learn(mark_of_tag("a"), 7));
    EXPECT_FALSE(marks.learn(mark_of_tag("a"), 3));
    EXPECT_FALSE(marks.is_valid(6, "k", std::vector<std::string>{"a"}));
    EXPECT_TRUE(marks.learn("", 9));
    EXPECT_FALSE(marks.is_valid(8, "k", {}));
    EXPECT_FALSE(marks.learn(mark_of_tag("a"), 8)) << "covered by the mark of everything";
}

TEST(marks, that_are_too_many_become_one_of_everything) {
    mark_table marks(10);
    for (std::uint64_t i = 1; i <= 11; ++i) {
        marks.learn(mark_of_tag(std::to_string(i)), i);
    }
    EXPECT_FALSE(marks.is_valid(10, "k", {})) << "invalid that was not, never the other way round";
    EXPECT_TRUE(marks.is_valid(11, "k", {}));
}

class leased : public ::testing::Test {
protected:
    leased_load load{{.lease_wait = 100ms, .poll_first = 2ms, .poll_most = 50ms}, start, 1};

    static lease_answer entry(duration fresh_left) {
        lease_answer answer;
        answer.what = fresh_left > 0s ? lease_outcome::entry : lease_outcome::busy;
        answer.entry.emplace();
        answer.entry->fresh_left = fresh_left;
        return answer;
    }
    static lease_answer granted() { return {.what = lease_outcome::granted, .token = 7}; }
    static lease_answer busy() { return {.what = lease_outcome::busy}; }
};

TEST_F(leased, takes_a_usable_entry) {
    EXPECT_EQ(load.on_answer(entry(1s), true, false, start), leased_load::step::use_entry);
    EXPECT_EQ(load.token(), 0U);
}

TEST_F(leased, asks_once_more_for_a_lease_over_an_entry_that_is_of_no_use) {
    EXPECT_FALSE(load.even_if_fresh());
    EXPECT_EQ(load.on_answer(entry(1s), false, false, start), leased_load::step::ask);
    EXPECT_TRUE(load.even_if_fresh());
    EXPECT_EQ(load.on_answer(entry(1s), false, false, start), leased_load::step::load) << "and no more";
}

TEST_F(leased, loads_with_the_token_it_was_granted) {
    EXPECT_EQ(load.on_answer(granted(), false, false, start), leased_load::step::load);
    EXPECT_EQ(load.token(), 7U);
}

TEST_F(leased, waits_longer_each_time_and_not_beyond_its_patience) {
    duration before{};
    time_point now = start;
    int waits = 0;
    while (load.on_answer(busy(), false, false, now) == leased_load::step::wait) {
        EXPECT_GT(load.wait_for(), 0s);
        EXPECT_LE(load.wait_for(), 50ms);
        now += load.wait_for();
        before += load.wait_for();
        ++waits;
    }
    EXPECT_EQ(before, 100ms);
    EXPECT_GE(waits, 5);
    EXPECT_EQ(load.on_answer(busy(), false, false, now), leased_load::step::time_out);
    EXPECT_EQ(load.on_answer(busy(), false, true, now), leased_load::step::use_reserve);
}

TEST_F(leased, asks_the_source_alone_when_there_is_no_answer) {
    EXPECT_EQ(load.on_no_answer(false), leased_load::step::load);
    EXPECT_EQ(load.token(), 0U);
    EXPECT_EQ(load.on_no_answer(true), leased_load::step::use_reserve) << "what is suspect stands in";
}

TEST(an_outbox, holds_each_key_once_until_it_is_confirmed) {
    outbox box(10);
    box.add_erasure("a");
    box.add_erasure("a");
    box.add_announcement("b");
    EXPECT_EQ(box.size(), 2U);
    EXPECT_TRUE(box.holds("a"));
    EXPECT_FALSE(box.holds("b")) << "the store may be asked about it";
    for (const auto& letter : box.next(10)) {
        box.confirm(letter);
    }
    EXPECT_TRUE(box.is_empty());
}

TEST(an_outbox, keeps_what_came_while_the_same_was_told) {
    outbox box(10);
    box.add_erasure("a");
    const auto told = box.next(1);
    box.add_erasure("a");
    box.confirm(told.front());
    EXPECT_TRUE(box.holds("a"));
}

TEST(an_outbox, that_is_full_becomes_one_mark_of_everything) {
    outbox box(3);
    for (const char* key : {"a", "b", "c", "d"}) {
        box.add_erasure(key);
    }
    const auto letters = box.next(10);
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_TRUE(letters.front().is_mark);
    EXPECT_EQ(letters.front().name, "");
    EXPECT_TRUE(box.holds("z")) << "nothing is asked until it is told";
    box.add_erasure("e");
    box.confirm(letters.front());
    EXPECT_FALSE(box.is_empty()) << "e came after it";
}

/// A link that says what a test wants it to say.
struct told_link final : backplane {
    boost::asio::awaitable<void> async_publish(backplane_message /*unused*/) override { co_return; }
    [[nodiscard]] backplane_subscription subscribe(message_handler /*unused*/,
                                                   gap_handler /*unused*/) override {
        return {};
    }
    [[nodiscard]] time_point fresh_until() const noexcept override { return until; }
    time_point until = (time_point::min)();
};

TEST(trust_in_a_link, that_says_at_once_that_it_is_cut_leaves_what_is_suspect_its_grace) {
    const auto link = std::make_shared<told_link>();
    const trust trusted(link, 30s);
    link->until = start + 5s;
    EXPECT_TRUE(trusted.is_linked(start));
    link->until = (time_point::min)();
    EXPECT_TRUE(trusted.is_linked(start + 4s)) << "what it said stands";
    EXPECT_FALSE(trusted.is_linked(start + 7s));
    EXPECT_EQ(trusted.suspect_until(), start + 35s);
    EXPECT_FALSE(trusted.is_linked(start + 20s));
    EXPECT_EQ(trusted.suspect_until(), start + 35s) << "looking again prolongs nothing";
    link->until = start + 26s;
    EXPECT_TRUE(trusted.is_linked(start + 21s));
    EXPECT_EQ(trusted.suspect_until(), start + 56s);
}

TEST(trust_in_a_link, that_never_stood_gives_the_grace_from_the_first_look_on) {
    const auto link = std::make_shared<told_link>();
    const trust trusted(link, 30s);
    EXPECT_FALSE(trusted.is_linked(start));
    EXPECT_FALSE(trusted.is_linked(start + 10s));
    EXPECT_EQ(trusted.suspect_until(), start + 30s);
}

}  // namespace
}  // namespace levee::cache_detail
