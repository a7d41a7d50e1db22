// What holds for the CLOCK engine only: another policy replaces this file.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <latch>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "levee/core/random.hpp"
#include "levee/local/detail/budget.hpp"
#include "levee/local/detail/clock_ring.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

/// CLOCK as the textbook has it, on a list.
struct textbook_clock {
    std::size_t capacity;
    std::list<std::pair<int, bool>> queue{};  // key, referenced

    bool hit(int key) {
        const auto at =
            std::find_if(queue.begin(), queue.end(), [&](auto& item) { return item.first == key; });
        if (at == queue.end()) {
            return false;
        }
        at->second = true;
        return true;
    }
    void insert(int key) {
        if (queue.size() == capacity) {
            while (queue.front().second) {
                queue.front().second = false;
                queue.splice(queue.end(), queue, queue.begin());
            }
            queue.pop_front();
        }
        queue.emplace_back(key, false);
    }
};

TEST(local_cache_clock, one_shard_equals_the_textbook_hit_by_hit) {
    textbook_clock model{50};
    local_cache<int, int> cache({.max_entries = 50, .shards = 1});
    xoshiro256 random(3);
    int hits = 0;
    for (int step = 0; step < 20'000; ++step) {
        const int key = static_cast<int>(400 * std::pow(uniform_unit(random), 3));  // skewed
        const bool is_hit = model.hit(key);
        ASSERT_EQ(cache.get(key).has_value(), is_hit) << step;
        hits += is_hit ? 1 : 0;
        if (!is_hit) {
            model.insert(key);
            cache.put(key, step);
        }
    }
    EXPECT_GT(hits, 5000);
    EXPECT_LT(hits, 15'000);
}

TEST(clock_ring, passes_over_used_entries_once) {
    local_detail::clock_ring ring;
    local_detail::entry_base items[3];
    for (auto& item : items) {
        ring.push_back(item);
    }
    items[0].referenced = items[1].referenced = items[2].referenced = true;
    EXPECT_EQ(ring.victim(time_point{}, nullptr), &items[0]);
    EXPECT_EQ(ring.victim(time_point{}, &items[0]), &items[1]);
    ring.remove(items[1]);
    ring.remove(items[1]);  // in no ring: nothing happens
    EXPECT_EQ(ring.victim(time_point{}, nullptr), &items[2]);
    ring.remove(items[2]);
    EXPECT_EQ(ring.victim(time_point{}, &items[0]), nullptr);
    ring.remove(items[0]);
    EXPECT_EQ(ring.victim(time_point{}, nullptr), nullptr);
}

TEST(clock_ring, an_entry_that_replaces_another_takes_its_place) {
    local_detail::clock_ring ring;
    local_detail::entry_base old;
    local_detail::entry_base other;
    local_detail::entry_base fresh;
    ring.push_back(old);
    ring.push_back(other);
    ring.replace(old, fresh);
    EXPECT_EQ(ring.victim(time_point{}, nullptr), &fresh);
    ring.remove(fresh);
    EXPECT_EQ(ring.victim(time_point{}, nullptr), &other);
}

TEST(budget, takes_all_or_nothing) {
    local_detail::budget budget(10, 100);
    EXPECT_TRUE(budget.try_take({10, 50}));
    EXPECT_FALSE(budget.try_take({1, 0}));
    EXPECT_TRUE(budget.try_take({0, 50}));
    budget.give({2, 0});
    EXPECT_FALSE(budget.try_take({1, 1}));  // and the entry it took first is back
    EXPECT_EQ(budget.held().entries, 8U);
    EXPECT_EQ(budget.held().weight, 100U);
    EXPECT_FALSE(budget.could_fit({1, 101}));
    budget.set_max_entries(3);
    EXPECT_EQ(budget.excess_entries(), 5U);
    EXPECT_FALSE(budget.try_take({1, 0}));
}

TEST(reservation, keeps_what_it_freed_and_gives_back_what_it_did_not_spend) {
    local_detail::budget budget(2, 0);
    ASSERT_TRUE(budget.try_take({2, 20}));
    {
        local_detail::reservation mine(budget);
        EXPECT_FALSE(mine.cover({1, 5}));
        mine.credit({1, 15});  // as if it had evicted
        EXPECT_TRUE(mine.cover({1, 5}));
        EXPECT_FALSE(budget.try_take({1, 0}));
        mine.spend({1, 5});
    }
    EXPECT_EQ(budget.held().entries, 2U);
    EXPECT_EQ(budget.held().weight, 10U);
}

TEST(reservation, works_alone_only_once_the_others_have_ended) {
    local_detail::budget budget(2, 0);
    std::optional<local_detail::reservation> other(std::in_place, budget);
    ASSERT_TRUE(other->cover({2, 2}));
    std::atomic<bool> other_ended = false;
    std::latch begun(1);
    std::jthread alone([&] {
        local_detail::reservation mine(budget);
        EXPECT_FALSE(mine.cover({1, 1}));
        begun.count_down();
        mine.work_alone();
        EXPECT_TRUE(other_ended);
        EXPECT_TRUE(mine.is_alone());
        EXPECT_TRUE(mine.cover({2, 2}));  // the other gave back what it had not spent
    });
    begun.wait();
    for (int i = 0; i < 1000; ++i) {
        std::this_thread::yield();  // time for a `work_alone` that does not wait to be found out
    }
    other_ended = true;
    other.reset();
}

}  // namespace
}  // namespace levee
