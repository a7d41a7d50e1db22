#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"
#include "support/removal_log.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<int, int>;
using log_type = test::removal_log<int, int>;
using record = log_type::record;

class local_cache_expiry : public testing::Test {
protected:
    test::manual_clock_stub clock;
    log_type log;

    local_cache_options<int, int> options() {
        return {.max_entries = 20'000, .on_removal = log.listener(), .clock = &clock};
    }
};

TEST_F(local_cache_expiry, ends_a_life_to_the_nanosecond_of_the_clock) {
    auto with = options();
    with.time_to_live = 5s;
    cache_type cache(with);
    cache.put(1, 10);
    clock.advance(5s - 1ns);
    EXPECT_EQ(cache.get(1), 10);  // reading does not extend it
    clock.advance(1ns);
    EXPECT_EQ(cache.peek(1), std::nullopt);
    EXPECT_EQ(cache.get(1), std::nullopt);
    EXPECT_EQ(log.take(), std::vector<record>({{1, 10, removal_cause::expired}}));
    EXPECT_EQ(cache.estimated_size(), 0U);
    EXPECT_EQ(cache.stats().expirations, 1U);
    EXPECT_EQ(cache.stats().misses, 1U);
}

TEST_F(local_cache_expiry, an_idle_time_beyond_the_end_of_time_does_not_end) {
    test::manual_clock_stub early(time_point(1ns));
    for (const duration idle : {duration::max() - 1ns, duration::max() - 2ns}) {
        auto with = options();
        with.time_to_idle = idle;
        with.clock = &early;
        cache_type cache(with);
        cache.put(1, 1);
        // Of these two the first ends at time_point::max(), which is never; the other one a moment before.
        const bool is_endless = idle == duration::max() - 1ns;
        EXPECT_EQ(cache.visit_at(1, time_point::max(), [](int) {}), is_endless);
        EXPECT_EQ(cache.peek(1).has_value(), is_endless);
        EXPECT_TRUE(cache.is_consistent());
    }
}

TEST_F(local_cache_expiry, writing_begins_a_new_life) {
    auto with = options();
    with.time_to_live = 5s;
    cache_type cache(with);
    cache.put(1, 10);
    clock.advance(4s);
    cache.put(1, 11);
    clock.advance(4s);
    EXPECT_EQ(cache.get(1), 11);
    cache.compute(1, [](std::optional<int> v) { return v; });
    clock.advance(4s);
    EXPECT_EQ(cache.get(1), 11);
}

TEST_F(local_cache_expiry, a_life_given_with_the_value_comes_before_the_option) {
    auto with = options();
    with.time_to_live = 5s;
    cache_type cache(with);
    cache.put(1, 1, 1s);
    cache.put(2, 2, 9s);
    cache.put(3, 3, 0s);
    cache.put(4, 4, duration::max());
    cache.put(5, 5, duration::max() - 1ns);
    clock.advance(1s);
    EXPECT_FALSE(cache.get(1));
    clock.advance(5s);
    EXPECT_TRUE(cache.get(2));
    clock.advance(std::chrono::hours(24 * 365 * 100));
    EXPECT_FALSE(cache.get(2));
    EXPECT_TRUE(cache.get(3));
    EXPECT_TRUE(cache.get(4));
    EXPECT_TRUE(cache.get(5));
}

TEST_F(local_cache_expiry, refuses_a_negative_life_and_keeps_the_older_value) {
    cache_type cache(options());
    cache.put(1, 1);
    EXPECT_THROW(cache.put(1, 2, -1ns), std::invalid_argument);
    EXPECT_EQ(cache.get(1), 1);
    const fill_lease lease = cache.begin_fill(1);
    EXPECT_THROW(cache.fill(lease, 1, 2, -1ns), std::invalid_argument);
    EXPECT_EQ(cache.get(1), 1);
}

TEST_F(local_cache_expiry, zero_and_maximal_options_never_end_a_life) {
    for (const duration never : {duration::zero(), duration::max()}) {
        auto with = options();
        with.time_to_live = with.time_to_idle = never;
        with.ttl_jitter = 0.9;
        cache_type cache(with);
        cache.put(1, 1);
        clock.advance(std::chrono::hours(24 * 365 * 100));
        EXPECT_EQ(cache.get(1), 1);
    }
}

TEST_F(local_cache_expiry, a_life_below_the_clocks_tick_still_ends) {
    auto with = options();
    with.time_to_live = 1ns;
    with.ttl_jitter = 0.99;  // cannot cut it to nothing
    cache_type cache(with);
    cache.put(1, 1);
    EXPECT_EQ(cache.get(1), 1);
    clock.advance(4ms);
    EXPECT_EQ(cache.get(1), std::nullopt);
}

TEST_F(local_cache_expiry, each_use_extends_the_time_to_idle) {
    auto with = options();
    with.time_to_idle = 5s;
    cache_type cache(with);
    cache.put(1, 1);
    cache.put(2, 2);
    for (int i = 0; i < 4; ++i) {
        clock.advance(4s);
        EXPECT_EQ(cache.get(1), 1);
    }
    EXPECT_EQ(cache.get(2), std::nullopt);
    clock.advance(4s);
    (void)cache.peek(1);  // is no use
    clock.advance(1s);
    EXPECT_EQ(cache.get(1), std::nullopt);
}

TEST_F(local_cache_expiry, whichever_of_live_and_idle_ends_first_counts) {
    auto with = options();
    with.time_to_live = 10s;
    with.time_to_idle = 4s;
    cache_type cache(with);
    cache.put(1, 1);
    for (int i = 0; i < 3; ++i) {
        clock.advance(3s);
        EXPECT_TRUE(cache.get(1));
    }
    clock.advance(1s);
    EXPECT_FALSE(cache.get(1));
}

TEST_F(local_cache_expiry, an_expired_entry_counts_as_absent) {
    auto with = options();
    with.time_to_live = 1s;
    cache_type cache(with);
    cache.put(1, 1);
    cache.put(2, 2);
    cache.put(3, 3);
    cache.put(4, 4);
    cache.put(5, 5);
    clock.advance(1s);
    EXPECT_TRUE(cache.insert(1, 10));
    EXPECT_FALSE(cache.invalidate(2));
    EXPECT_EQ(cache.get_or_compute(3, [] { return 30; }), 30);
    cache.compute(4, [](std::optional<int> v) {
        EXPECT_EQ(v, std::nullopt);
        return std::optional(40);
    });
    cache.put(5, 50);
    const auto causes = log.take();
    EXPECT_EQ(causes.size(), 5U);
    for (const auto& [key, value, cause] : causes) {
        EXPECT_EQ(cause, removal_cause::expired) << key;
        EXPECT_EQ(key, value);
    }
    EXPECT_EQ(cache.get(1), 10);
}

TEST_F(local_cache_expiry, run_pending_work_removes_what_nobody_touches) {
    auto with = options();
    cache_type cache(with);
    for (int i = 0; i < 10'000; ++i) {
        cache.put(i, i, i % 2 == 0 ? 1s : 1h);
    }
    clock.advance(1s);
    std::size_t live = 0;
    cache.for_each([&](int key, int) { live += static_cast<std::size_t>(key % 2); });
    EXPECT_EQ(live, 5000U);
    EXPECT_EQ(cache.estimated_size(), 10'000U);
    cache.run_pending_work();
    EXPECT_EQ(cache.estimated_size(), 5000U);
    EXPECT_EQ(log.count(removal_cause::expired), 5000U);
    cache.run_pending_work();
    EXPECT_EQ(cache.stats().expirations, 5000U);
}

/// Lives of 10,000 entries, in ms of a time to live of 1 s, rounded up to 5 ms.
std::vector<int> measured_lives(double jitter, bool as_argument) {
    test::manual_clock_stub clock;
    constexpr int count = 10'000;
    cache_type cache({.max_entries = count,
                      .time_to_live = as_argument ? duration::zero() : duration(1s),
                      .ttl_jitter = jitter,
                      .clock = &clock});
    for (int i = 0; i < count; ++i) {
        as_argument ? cache.put(i, i, 1s) : cache.put(i, i);
    }
    std::vector<int> lives;
    for (int elapsed = 5; elapsed <= 1005; elapsed += 5) {
        clock.advance(5ms);
        cache.run_pending_work();
        const std::size_t dead = count - cache.estimated_size();
        lives.resize(dead, elapsed);
    }
    return lives;
}

TEST_F(local_cache_expiry, jitter_spreads_lives_evenly_and_never_lengthens_one) {
    for (const bool as_argument : {false, true}) {
        const std::vector<int> lives = measured_lives(0.4, as_argument);
        ASSERT_EQ(lives.size(), 10'000U);
        EXPECT_GE(lives.front(), 600);
        EXPECT_LE(lives.back(), 1000);
        EXPECT_NEAR(lives[2500], 700, 16);  // quartiles of an even spread over [600, 1000]
        EXPECT_NEAR(lives[5000], 800, 16);
        EXPECT_NEAR(lives[7500], 900, 16);
    }
}

TEST_F(local_cache_expiry, without_jitter_all_lives_are_alike) {
    const std::vector<int> lives = measured_lives(0.0, false);
    ASSERT_EQ(lives.size(), 10'000U);
    EXPECT_EQ(lives.front(), 1000);
    EXPECT_EQ(lives.back(), 1000);
}

/// A clock on which something happens once, just when it is read.
class interrupted_clock final : public levee::clock {
public:
    [[nodiscard]] time_point now() const noexcept override {
        if (happens) {
            std::exchange(happens, nullptr)();
        }
        return time_point(1h + since);
    }
    mutable std::function<void()> happens{};
    duration since{};
};

template <class Value>
class local_cache_refresh : public testing::Test {};
using refreshed_values = testing::Types<int, std::array<int, 8>>;  // in the index, and behind a pointer
TYPED_TEST_SUITE(local_cache_refresh, refreshed_values, );

TYPED_TEST(local_cache_refresh, just_before_the_end_of_a_life_is_seen_by_who_reads_the_time_after) {
    interrupted_clock clock;
    local_cache<int, TypeParam> cache({.max_entries = 10, .time_to_live = 5s, .clock = &clock});
    const auto refresh = [&] {
        cache.put(1, TypeParam{});
        clock.since += 1s;  // now the first life has ended, and the second has not
    };
    const auto nearly_over = [&] {
        cache.put(1, TypeParam{});
        clock.since += 5s - 1ns;
        clock.happens = refresh;
    };
    nearly_over();
    EXPECT_TRUE(cache.get(1));
    nearly_over();
    EXPECT_TRUE(cache.peek(1));
    nearly_over();
    EXPECT_TRUE(cache.visit(1, [](const TypeParam&) {}));
    EXPECT_EQ(cache.stats().misses, 0U);
    EXPECT_EQ(cache.stats().hits, 2U);
    clock.since += 5s;
    EXPECT_FALSE(cache.peek(1));
    EXPECT_FALSE(cache.get(1));
}

}  // namespace
}  // namespace levee
