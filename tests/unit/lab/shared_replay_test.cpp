#include "hit_ratio/shared_replay.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/synthetic.hpp"

namespace levee::lab {
namespace {

TEST(shared_replay, counts_what_a_replay_by_one_thread_counts) {
    const trace input = make_synthetic_trace({.seed = 3});
    EXPECT_EQ(count_shared_lru_hits(input, 500, 1), count_hits(input, "lru", 500, false));
}

TEST(shared_replay, gives_each_request_to_one_thread) {
    const trace input = make_synthetic_trace({.seed = 3});
    const auto distinct = static_cast<std::uint64_t>(input.distinct());
    // All fit: each key is missed by the first that asks, and by those that ask before it was put.
    EXPECT_EQ(count_shared_lru_hits(input, distinct, 4), input.requests() - distinct);
    EXPECT_EQ(count_shared_hits(input, 2 * distinct, 1, 1), input.requests() - distinct);
    const std::uint64_t hits = count_shared_hits(input, 2 * distinct, 4, 16);
    EXPECT_LE(hits, input.requests() - distinct);
    EXPECT_GE(hits, input.requests() - 4 * distinct);
}

TEST(shared_replay, refuses_what_makes_no_sense) {
    const trace input{.keys = {0}, .sizes = {}, .names = {"a"}};
    EXPECT_THROW((void)count_shared_hits(input, 0, 1, 1), std::invalid_argument);
    EXPECT_THROW((void)count_shared_hits(input, 1, 0, 1), std::invalid_argument);
    EXPECT_THROW((void)count_shared_hits(input, 1, 1, 0), std::invalid_argument);
    EXPECT_THROW((void)count_shared_lru_hits(input, 0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace levee::lab
