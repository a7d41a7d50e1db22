// G1 to G4 over caches of three nodes, under faults and seeded interleavings; and that each defence of the
// protocol is needed: without it the same schedules go wrong.
#include <gtest/gtest.h>

#include <string>

#include "coherence_world.hpp"

namespace levee {
namespace {

using cache_detail::defences_off;

constexpr std::size_t length = 40;

void expect_no_violation(std::uint64_t first, std::uint64_t count) {
    coherence_tally tally;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const schedule steps = schedule::drawn(seed, length);
        const violation wrong = run(steps, {}, false, &tally);
        if (!wrong.empty()) {
            FAIL() << wrong << "\n" << to_text(shrunk(steps, {}, false));
        }
    }
    ::testing::Test::RecordProperty("answers", std::to_string(tally.answers));
    ::testing::Test::RecordProperty("fresh", std::to_string(tally.fresh));
    // The schedules are not idle.
    EXPECT_GT(tally.answers, 4 * count);
    EXPECT_GT(tally.fresh, 4 * count);
    EXPECT_GT(tally.loads, count);
    EXPECT_GT(tally.acknowledged, count);
    EXPECT_GT(tally.fills, count);
    EXPECT_GT(tally.refused, 0U);
    EXPECT_GT(tally.queued, 0U);
    EXPECT_GT(tally.suspects, 0U);
    EXPECT_GT(tally.gaps, 0U);
}

/// How many schedules until the hole shows; the shortest schedule is a few steps long.
void expect_found(const defences_off& hole, bool skips_store = false, std::uint64_t most = 20'000) {
    for (std::uint64_t seed = 1; seed <= most; ++seed) {
        const schedule steps = schedule::drawn(seed, length);
        if (!run(steps, hole, skips_store).empty()) {
            const schedule least = shrunk(steps, hole, skips_store);
            EXPECT_LT(least.steps.size(), 30U) << to_text(least);
            ::testing::Test::RecordProperty("seed", std::to_string(seed));
            ::testing::Test::RecordProperty("steps", std::to_string(least.steps.size()));
            return;
        }
    }
    FAIL() << "not found in " << most << " schedules";
}

TEST(coherence, holds_in_25000_schedules_a) {
    expect_no_violation(1, 25'000);
}
TEST(coherence, holds_in_25000_schedules_b) {
    expect_no_violation(100'000, 25'000);
}
TEST(coherence, holds_in_25000_schedules_c) {
    expect_no_violation(200'000, 25'000);
}
TEST(coherence, holds_in_25000_schedules_d) {
    expect_no_violation(300'000, 25'000);
}
TEST(coherence, long_holds_in_ten_million_schedules) {
    expect_no_violation(1'000'000, 10'000'000);
}

TEST(coherence, needs_the_fence_of_local_loads) {
    expect_found({.local_fence = true});
}
TEST(coherence, needs_the_check_of_tokens) {
    expect_found({.token_check = true});
}
TEST(coherence, needs_the_epoch) {
    expect_found({.epoch = true});
}
TEST(coherence, needs_the_time_of_the_link_at_each_hit) {
    expect_found({.link_time = true});
}
TEST(coherence, needs_the_guard_of_puts) {
    expect_found({.put_guard = true});
}
TEST(coherence, needs_the_protocol_of_write_through) {
    expect_found({.write_through = true});
}
TEST(coherence, needs_the_early_stamp_of_tags) {
    expect_found({.early_stamp = true});
}
TEST(coherence, needs_queued_removals_to_be_repeated) {
    expect_found({.replay = true});
}
TEST(coherence, needs_database_notifications_to_drop_the_key_in_the_store) {
    expect_found({}, true);
}

}  // namespace
}  // namespace levee
