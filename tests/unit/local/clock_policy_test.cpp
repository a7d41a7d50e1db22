// What holds for the CLOCK engine only: another policy replaces this file.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <latch>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/local/detail/budget.hpp"
#include "levee/local/detail/policy.hpp"
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
    textbook_clock model{15};  // small enough for CLOCK
    local_cache<int, int> cache({.max_entries = 15, .shards = 1});
    xoshiro256 random(3);
    int hits = 0;
    for (int step = 0; step < 20'000; ++step) {
        const int key = static_cast<int>(120 * std::pow(uniform_unit(random), 3));  // skewed
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

/// A shard of which only the reference bits matter.
class bits_only : public local_detail::policy_host {
public:
    std::vector<bool> referenced = std::vector<bool>(256);

    bool take_reference(local_detail::entry_id id) noexcept override {
        const bool was = referenced[id];
        referenced[id] = false;
        return was;
    }
    bool is_referenced(local_detail::entry_id id) const noexcept override { return referenced[id]; }
    std::uint32_t hash_of(local_detail::entry_id) const noexcept override { return 0; }
    std::size_t weight_of(local_detail::entry_id) const noexcept override { return 1; }
    void prefetch(local_detail::entry_id) const noexcept override {}
};

TEST(clock_policy, passes_over_used_entries_once) {
    bits_only host;
    const auto policy = local_detail::make_clock_policy();
    policy->reserve(256);
    for (const local_detail::entry_id id : {0U, 70U, 200U}) {
        policy->insert(id, 0, 1);
        host.referenced[id] = true;
    }
    const auto victim = [&](local_detail::entry_id keep) { return policy->victim(host, nullptr, keep); };
    EXPECT_EQ(victim(local_detail::no_entry), 0U);
    EXPECT_EQ(victim(local_detail::no_entry), 70U);
    policy->erase(70, removal_cause::size);
    EXPECT_EQ(victim(0), 200U);
    policy->erase(200, removal_cause::size);
    EXPECT_EQ(victim(0), local_detail::no_entry);
    EXPECT_EQ(victim(local_detail::no_entry), 0U);
    policy->erase(0, removal_cause::size);
    EXPECT_EQ(victim(local_detail::no_entry), local_detail::no_entry);
}

TEST(clock_policy, tells_the_order_in_which_it_would_evict) {
    bits_only host;
    const auto policy = local_detail::make_clock_policy();
    policy->reserve(256);
    for (local_detail::entry_id id = 0; id < 5; ++id) {
        policy->insert(id * 50, 0, 1);
    }
    host.referenced[0] = host.referenced[100] = true;
    std::array<local_detail::entry_id, 5> ids{};
    EXPECT_EQ(policy->order(host, false, ids.data(), 5), 5U);
    EXPECT_EQ(ids, (std::array<local_detail::entry_id, 5>{50, 150, 200, 0, 100}));
    EXPECT_EQ(policy->order(host, true, ids.data(), 3), 3U);
    EXPECT_EQ(ids[0], 100U);
    EXPECT_EQ(ids[1], 0U);
    EXPECT_EQ(ids[2], 200U);
    EXPECT_EQ(policy->victim(host, nullptr, local_detail::no_entry), 50U);
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
        mine.enter();
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
    other->enter();
    ASSERT_TRUE(other->cover({2, 2}));
    std::atomic<bool> other_ended = false;
    std::latch begun(1);
    std::jthread alone([&] {
        local_detail::reservation mine(budget);
        mine.enter();
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
