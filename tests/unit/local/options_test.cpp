#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache = local_cache<int, int>;
using options = local_cache_options<int, int>;

std::string refusal(options with) {
    try {
        cache made(std::move(with));
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

std::size_t unit_weight(const int&, const int&) {
    return 1;
}

TEST(local_cache_options, refuses_neither_bound) {
    EXPECT_EQ(
        refusal({}),
        "local_cache_options::max_entries is 0; it must be in [1, SIZE_MAX] while max_weight is 0, since a "
        "cache needs a bound");
}

TEST(local_cache_options, refuses_a_weight_bound_without_a_weigher) {
    EXPECT_EQ(refusal({.max_weight = 5}),
              "local_cache_options::weigher is null while max_weight is 5; a bound on weight needs one");
    EXPECT_EQ(refusal({.max_weight = 5, .weigher = unit_weight}), "accepted");
}

TEST(local_cache_options, refuses_negative_durations_by_name) {
    const std::string tail = " is -1 ns; it must be in [0 ns, duration::max()]";
    EXPECT_EQ(refusal({.max_entries = 1, .time_to_live = -1ns}), "local_cache_options::time_to_live" + tail);
    EXPECT_EQ(refusal({.max_entries = 1, .time_to_idle = -1ns}), "local_cache_options::time_to_idle" + tail);
    EXPECT_EQ(refusal({.max_entries = 1, .compute_timeout = -1ns}),
              "local_cache_options::compute_timeout" + tail);
}

TEST(local_cache_options, refuses_a_jitter_outside_its_range) {
    EXPECT_EQ(refusal({.max_entries = 1, .ttl_jitter = 1.5}),
              "local_cache_options::ttl_jitter is 1.5; it must be in [0, 1)");
    EXPECT_EQ(refusal({.max_entries = 1, .ttl_jitter = 1.0}),
              "local_cache_options::ttl_jitter is 1; it must be in [0, 1)");
    EXPECT_NE(refusal({.max_entries = 1, .ttl_jitter = -0.1}), "accepted");
    EXPECT_NE(refusal({.max_entries = 1, .ttl_jitter = std::numeric_limits<double>::quiet_NaN()}),
              "accepted");
    EXPECT_EQ(refusal({.max_entries = 1, .ttl_jitter = 0.999}), "accepted");
}

TEST(local_cache_options, refuses_zero_and_too_many_shards) {
    EXPECT_EQ(refusal({.max_entries = 1, .shards = 0}),
              "local_cache_options::shards is 0; it must be in [1, 4096]");
    EXPECT_EQ(refusal({.max_entries = 1, .shards = 4097}),
              "local_cache_options::shards is 4097; it must be in [1, 4096]");
    EXPECT_EQ(refusal({.max_entries = 1, .shards = 4096}), "accepted");
    EXPECT_EQ(refusal({.max_entries = 1'000'000, .shards = 3}), "accepted");
}

TEST(local_cache_options, takes_the_longest_durations) {
    EXPECT_EQ(refusal({.max_entries = 1,
                       .time_to_live = duration::max(),
                       .time_to_idle = duration::max(),
                       .compute_timeout = duration::max()}),
              "accepted");
}

static_assert(!std::is_copy_constructible_v<cache> && !std::is_move_constructible_v<cache>);
static_assert(!std::is_copy_assignable_v<cache> && !std::is_move_assignable_v<cache>);

}  // namespace
}  // namespace levee
