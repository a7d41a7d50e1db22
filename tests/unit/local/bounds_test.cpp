#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <latch>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"
#include "support/removal_log.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<int, int>;
using log_type = test::removal_log<int, int>;
using record = log_type::record;

/// The value is its own weight.
std::size_t weight_of_value(const int&, const int& value) {
    return static_cast<std::size_t>(value);
}

TEST(local_cache_bounds, evicts_the_oldest_when_full) {
    cache_type cache({.max_entries = 3});
    for (int i = 1; i <= 4; ++i) {
        cache.put(i, i);
    }
    EXPECT_EQ(cache.peek(1), std::nullopt);
    EXPECT_EQ(cache.estimated_size(), 3U);
    EXPECT_EQ(cache.stats().evictions, 1U);
    EXPECT_EQ(cache.stats().evicted_weight, 1U);
}

TEST(local_cache_bounds, spares_what_was_used) {
    cache_type cache({.max_entries = 3});
    for (int i = 1; i <= 3; ++i) {
        cache.put(i, i);
    }
    (void)cache.get(1);
    (void)cache.peek(2);  // is no use
    cache.put(4, 4);
    EXPECT_TRUE(cache.peek(1));
    EXPECT_FALSE(cache.peek(2));
}

TEST(local_cache_bounds, fills_to_the_last_entry_before_evicting_however_many_shards) {
    for (const std::size_t shards : {1U, 16U, 256U}) {
        for (const std::size_t entries : {1U, 10U, 1000U, 5000U}) {
            cache_type cache({.max_entries = entries, .shards = shards});
            for (std::size_t i = 0; i < entries; ++i) {
                cache.put(static_cast<int>(i), 0);
            }
            EXPECT_EQ(cache.estimated_size(), entries);
            EXPECT_EQ(cache.stats().evictions, 0U) << entries << " entries, " << shards << " shards";
            cache.put(-1, 0);
            EXPECT_EQ(cache.estimated_size(), entries);
            EXPECT_EQ(cache.stats().evictions, 1U);
            EXPECT_TRUE(cache.peek(-1));
        }
    }
}

TEST(local_cache_bounds, admits_an_entry_as_heavy_as_the_whole_bound) {
    cache_type cache({.max_weight = 1000, .weigher = weight_of_value, .shards = 16});
    for (int i = 0; i < 100; ++i) {
        cache.put(i, 10);
    }
    EXPECT_EQ(cache.estimated_weight(), 1000U);
    cache.put(-1, 1000);  // far more than a sixteenth; evicts all the others, wherever they are
    EXPECT_EQ(cache.peek(-1), 1000);
    EXPECT_EQ(cache.estimated_size(), 1U);
    EXPECT_EQ(cache.stats().evicted_weight, 1000U);
}

TEST(local_cache_bounds, refuses_what_is_too_heavy_and_removes_the_older_value) {
    log_type log;
    cache_type cache({.max_weight = 100, .weigher = weight_of_value, .on_removal = log.listener()});
    cache.put(1, 10);
    cache.put(2, 90);
    cache.put(1, 101);
    EXPECT_EQ(cache.peek(1), std::nullopt);
    EXPECT_EQ(cache.peek(2), 90);  // nobody was evicted in vain
    EXPECT_EQ(log.take(), std::vector<record>({{1, 10, removal_cause::size}}));
    EXPECT_EQ(cache.stats().rejected, 1U);
    EXPECT_FALSE(cache.insert(3, 101));
    EXPECT_EQ(cache.stats().rejected, 2U);
    EXPECT_EQ(cache.get_or_compute(4, [] { return 101; }), 101);  // returned, not stored
    EXPECT_EQ(cache.compute(5, [](std::optional<int>) { return std::optional(101); }), 101);
    EXPECT_FALSE(cache.fill(cache.begin_fill(6), 6, 101));
    EXPECT_EQ(cache.stats().rejected, 5U);
    EXPECT_EQ(cache.estimated_size(), 1U);
    EXPECT_EQ(cache.estimated_weight(), 90U);
}

TEST(local_cache_bounds, never_evicts_entries_of_weight_zero) {
    cache_type cache({.max_entries = 4, .max_weight = 10, .weigher = weight_of_value});
    cache.put(1, 0);
    cache.put(2, 0);
    for (int i = 10; i < 50; ++i) {
        cache.put(i, 3);
        ASSERT_TRUE(cache.peek(1) && cache.peek(2));
        ASSERT_LE(cache.estimated_size(), 4U);
    }
    EXPECT_EQ(cache.estimated_size(), 4U);
    EXPECT_EQ(cache.estimated_weight(), 6U);
}

TEST(local_cache_bounds, refuses_when_pinned_entries_fill_the_cache) {
    cache_type cache({.max_entries = 2, .weigher = weight_of_value});
    cache.put(1, 0);
    cache.put(2, 0);
    cache.put(3, 1);
    cache.put(4, 0);
    EXPECT_EQ(cache.stats().rejected, 2U);
    EXPECT_EQ(cache.estimated_size(), 2U);
    cache.put(1, 5);  // pinned no more
    cache.put(3, 1);
    EXPECT_EQ(cache.peek(3), 1);
    EXPECT_EQ(cache.peek(1), std::nullopt);
    EXPECT_EQ(cache.peek(2), 0);
}

TEST(local_cache_bounds, pins_a_key_when_it_is_written_again_with_weight_zero) {
    cache_type cache({.max_entries = 2, .weigher = weight_of_value});
    cache.put(1, 1);
    cache.put(1, 0);
    for (int i = 2; i < 20; ++i) {
        cache.put(i, 1);
    }
    EXPECT_EQ(cache.peek(1), 0);
    EXPECT_EQ(cache.estimated_weight(), 1U);
}

TEST(local_cache_bounds, writing_a_key_again_evicts_nobody) {
    cache_type cache({.max_entries = 50, .max_weight = 500, .weigher = weight_of_value});
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 50; ++i) {
            cache.put(i, 10);
        }
    }
    EXPECT_EQ(cache.estimated_size(), 50U);
    EXPECT_EQ(cache.stats().evictions, 0U);
}

TEST(local_cache_bounds, a_key_that_grew_evicts_others_and_not_itself) {
    log_type log;
    cache_type cache({.max_weight = 100, .weigher = weight_of_value, .on_removal = log.listener()});
    cache.put(1, 50);
    cache.put(2, 50);
    cache.put(1, 60);
    EXPECT_EQ(cache.peek(1), 60);
    EXPECT_EQ(log.take(),
              std::vector<record>({{2, 50, removal_cause::size}, {1, 50, removal_cause::replaced}}));
    cache.put(1, 5);
    EXPECT_EQ(cache.estimated_weight(), 5U);
    cache.put(3, 95);
    EXPECT_EQ(cache.estimated_weight(), 100U);
    EXPECT_EQ(cache.stats().evictions, 1U);
}

TEST(local_cache_bounds, weighs_each_entry_one_without_a_weigher) {
    cache_type cache({.max_entries = 10});
    cache.put(1, 100);
    cache.put(2, 100);
    EXPECT_EQ(cache.estimated_weight(), 2U);
}

TEST(local_cache_bounds, hold_over_random_operations_and_add_up) {
    test::manual_clock_stub clock;
    cache_type cache({.max_entries = 200,
                      .max_weight = 3000,
                      .weigher = weight_of_value,
                      .time_to_live = 1s,
                      .clock = &clock,
                      .shards = 4});
    xoshiro256 random(2);
    for (int step = 0; step < 20'000; ++step) {
        const int key = static_cast<int>(uniform_below(random, 1000));
        const int weight = static_cast<int>(uniform_below(random, 64));
        switch (uniform_below(random, 8)) {
            case 0:
                cache.invalidate(key);
                break;
            case 1:
                (void)cache.get_or_compute(key, [&] { return weight; });
                break;
            case 2:
                cache.compute(key, [&](std::optional<int> v) {
                    return v && *v % 2 == 0 ? std::optional<int>() : std::optional(weight);
                });
                break;
            case 3:
                (void)cache.get(key);
                clock.advance(1ms);
                break;
            default:
                cache.put(key, weight == 0 ? 1 : weight);
        }
        ASSERT_LE(cache.estimated_size(), 200U);
        ASSERT_LE(cache.estimated_weight(), 3000U);
        if (step % 1000 == 0) {
            cache.run_pending_work();  // then no entry is expired: for_each sees all
            std::size_t entries = 0;
            std::size_t weights = 0;
            cache.for_each([&](int, int value) {
                ++entries;
                weights += static_cast<std::size_t>(value);
            });
            ASSERT_EQ(entries, cache.estimated_size());
            ASSERT_EQ(weights, cache.estimated_weight());
        }
    }
    EXPECT_GT(cache.stats().evictions, 0U);
    EXPECT_GT(cache.stats().expirations, 0U);
}

TEST(local_cache_bounds, does_not_grow_while_few_keys_are_written_over_and_over) {
    cache_type cache({.max_entries = 8});
    for (int i = 0; i < 10'000; ++i) {
        cache.put(i % 12, i);
        ASSERT_LE(cache.estimated_size(), 8U);
    }
}

TEST(local_cache_bounds, expired_entries_go_before_live_ones_even_if_they_were_used) {
    test::manual_clock_stub clock;
    log_type log;
    cache_type cache({.max_entries = 3, .on_removal = log.listener(), .clock = &clock});
    cache.put(1, 1, 10s);
    cache.put(2, 2, 1s);
    cache.put(3, 3, 10s);
    for (int i = 1; i <= 3; ++i) {
        (void)cache.get(i);
    }
    clock.advance(1s);
    cache.put(4, 4);
    EXPECT_EQ(log.take(), std::vector<record>({{2, 2, removal_cause::expired}}));
    EXPECT_EQ(cache.stats().evictions, 0U);
}

TEST(local_cache_bounds, expired_pinned_entries_make_room) {
    test::manual_clock_stub clock;
    cache_type cache({.max_entries = 2, .weigher = weight_of_value, .time_to_live = 1s, .clock = &clock});
    cache.put(1, 0);
    cache.put(2, 0);
    clock.advance(1s);
    cache.put(3, 1);
    EXPECT_EQ(cache.peek(3), 1);
    EXPECT_EQ(cache.stats().rejected, 0U);
}

TEST(local_cache_bounds, set_max_entries_evicts_before_it_returns) {
    log_type log;
    cache_type cache({.max_entries = 5000, .on_removal = log.listener()});
    for (int i = 0; i < 5000; ++i) {
        cache.put(i, i);
    }
    cache.set_max_entries(37);
    EXPECT_EQ(cache.estimated_size(), 37U);
    EXPECT_EQ(log.count(removal_cause::size), 4963U);
    for (int i = 0; i < 100; ++i) {
        cache.put(i, i);
        ASSERT_LE(cache.estimated_size(), 37U);
    }
}

TEST(local_cache_bounds, set_max_entries_lets_the_cache_grow) {
    cache_type cache({.max_entries = 2});
    cache.set_max_entries(1000);
    for (int i = 0; i < 1000; ++i) {
        cache.put(i, i);
    }
    EXPECT_EQ(cache.estimated_size(), 1000U);
    EXPECT_EQ(cache.stats().evictions, 0U);
}

/// Read once in each attempt of a write: counts those of the thread that made it.
class counting_clock final : public levee::clock {
public:
    [[nodiscard]] time_point now() const noexcept override {
        if (std::this_thread::get_id() == writer_) {
            ++attempts;
            if (at_each) {
                at_each();
            }
        }
        return time_point(1h);
    }
    mutable unsigned attempts = 0;  // of the writer's thread
    std::function<void()> at_each{};

private:
    std::thread::id writer_ = std::this_thread::get_id();
};

/// Entries that end, so that writes read the clock.
local_cache_options<int, int> of_few_that_end(const levee::clock& clock) {
    return {.max_entries = 10, .time_to_live = 1h, .clock = &clock, .shards = 1};
}

/// A reader in the middle of a look-up, until `end`.
class reader_that_stays {
public:
    explicit reader_that_stays(cache_type& cache, int key) {
        thread_ = std::thread([this, &cache, key] {
            cache.visit(key, [this](int) {
                is_in_.count_down();
                may_go_.wait();
            });
        });
        is_in_.wait();
    }
    ~reader_that_stays() { end(); }
    void end() {
        if (thread_.joinable()) {
            may_go_.count_down();
            thread_.join();
        }
    }

private:
    std::latch is_in_{1}, may_go_{1};
    std::thread thread_{};
};

TEST(local_cache_bounds, a_write_waits_for_a_reader_that_was_stopped_in_a_look_up) {
    counting_clock clock;
    cache_type cache(of_few_that_end(clock));
    cache.put(0, 0);
    reader_that_stays reader(cache, 0);
    unsigned most_attempts = 0;
    clock.at_each = [&] {
        most_attempts = std::max(most_attempts, clock.attempts);
        if (clock.attempts == 60) {
            reader.end();
        }
    };
    for (int i = 1; i < 2000; ++i) {
        clock.attempts = 0;
        cache.put(i, i);
    }
    EXPECT_EQ(most_attempts, 60U);  // the one that finds the reader gone
    EXPECT_EQ(cache.stats().rejected, 0U);
}

TEST(local_cache_bounds, a_reader_that_stays_is_waited_for_once) {
    counting_clock clock;
    cache_type cache(of_few_that_end(clock));
    cache.put(0, 0);
    reader_that_stays reader(cache, 0);
    int key = 0;
    while (cache.stats().rejected == 0) {
        clock.attempts = 0;
        ++key;
        cache.put(key, key);
    }
    EXPECT_GT(clock.attempts, 60U);
    for (int round = 0; round < 3; ++round) {
        cache.put(key - 1, 0);  // in place: needs no slot, and tells nothing of the reader
        clock.attempts = 0;
        cache.put(key + round, 0);
        EXPECT_EQ(clock.attempts, 2U);  // an attempt and the refusal
    }
    EXPECT_EQ(cache.stats().rejected, 4U);
    reader.end();
    cache.put(key, 0);
    EXPECT_EQ(cache.stats().rejected, 4U);
    EXPECT_TRUE(cache.is_consistent());
}

TEST(local_cache_bounds, a_write_within_a_look_up_does_not_wait_for_itself) {
    counting_clock clock;
    cache_type cache(of_few_that_end(clock));
    cache.put(0, 0);
    local_cache<int, int> looked_at({.max_entries = 10});
    looked_at.put(0, 0);
    looked_at.visit(0, [&](int) {
        for (int i = 1; cache.stats().rejected == 0; ++i) {
            clock.attempts = 0;
            cache.put(i, i);
        }
        EXPECT_EQ(clock.attempts, 2U);
    });
    cache.put(-1, 0);
    EXPECT_EQ(cache.stats().rejected, 1U);
}

TEST(local_cache_bounds, a_bound_beyond_any_memory_refuses_nothing) {
    constexpr auto all = std::numeric_limits<std::size_t>::max();
    for (const std::size_t entries : {all, all - 2, all / 2, all / 2 + 1, all / 64, std::size_t{1} << 37}) {
        for (const std::size_t shards : {1U, 4U}) {
            cache_type cache({.max_entries = entries, .shards = shards});
            for (int i = 0; i < 20'000; ++i) {
                cache.put(i, i);
            }
            EXPECT_EQ(cache.estimated_size(), 20'000U) << entries << " entries, " << shards << " shards";
            EXPECT_EQ(cache.stats().rejected, 0U);
            cache.set_max_entries(1000);
            cache.set_max_entries(entries);
            for (int i = 0; i < 20'000; ++i) {
                cache.put(-i, i);
            }
            EXPECT_EQ(cache.stats().rejected, 0U) << entries << " entries, " << shards << " shards";
        }
    }
}

TEST(local_cache_bounds, set_max_entries_leaves_pinned_entries) {
    cache_type cache({.max_entries = 10, .weigher = weight_of_value});
    for (int i = 0; i < 10; ++i) {
        cache.put(i, i < 4 ? 0 : 1);
    }
    cache.set_max_entries(2);
    EXPECT_EQ(cache.estimated_size(), 4U);
    cache.put(20, 1);  // no room, and nothing to evict
    EXPECT_EQ(cache.estimated_size(), 4U);
    EXPECT_EQ(cache.stats().rejected, 1U);
    cache.put(3, 0);  // takes no more room than it had
    EXPECT_EQ(cache.peek(3), 0);
}

TEST(local_cache_bounds, set_max_entries_of_zero_needs_another_bound) {
    cache_type unbounded({.max_entries = 2});
    EXPECT_THROW(unbounded.set_max_entries(0), std::invalid_argument);
    cache_type weighed({.max_entries = 2, .max_weight = 100, .weigher = weight_of_value});
    weighed.set_max_entries(0);
    for (int i = 0; i < 100; ++i) {
        weighed.put(i, 1);
    }
    EXPECT_EQ(weighed.estimated_size(), 100U);
}

}  // namespace
}  // namespace levee
