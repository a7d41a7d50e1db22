// Code of the user within calls: destructors of keys run off every lock, clocks may pin the epoch.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "levee/core/epoch.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;

/// A key whose destructor does something.
struct loud_key {
    explicit loud_key(int n) : number(n) {}
    loud_key(const loud_key&) = default;
    loud_key(loud_key&& other) noexcept : number(std::exchange(other.number, 0)) {}
    loud_key& operator=(const loud_key&) = default;
    ~loud_key() {
        if (number != 0 && at_end) {
            at_end();
        }
    }
    friend bool operator==(const loud_key& a, const loud_key& b) { return a.number == b.number; }

    int number;
    static inline std::function<void()> at_end{};
};

struct loud_hash {
    std::size_t operator()(const loud_key& key) const { return static_cast<std::size_t>(key.number); }
};

class local_cache_user_code : public testing::Test {
protected:
    local_cache<loud_key, int, loud_hash> cache{{.max_entries = 100, .shards = 1}};
    std::vector<std::future<void>> asked{};
    int ended = 0;
    bool was_locked = false;

    // Another thread asks for the lock: if this one had it, asking itself would never end.
    void watch() {
        loud_key::at_end = [this] {
            ++ended;
            asked.push_back(std::async(std::launch::async, [this] { (void)cache.stats(); }));
            was_locked = was_locked || asked.back().wait_for(2s) != std::future_status::ready;
        };
    }
    void TearDown() override {
        loud_key::at_end = nullptr;
        asked.clear();
        EXPECT_GT(ended, 0);
        EXPECT_FALSE(was_locked);
    }
};

TEST_F(local_cache_user_code, runs_off_the_lock_when_a_lease_is_abandoned) {
    const fill_lease lease = cache.begin_fill(loud_key(1));
    watch();
    cache.abandon(lease);
}

TEST_F(local_cache_user_code, runs_off_the_lock_when_a_lease_is_voided) {
    const loud_key key(1);
    (void)cache.begin_fill(key);
    watch();
    cache.invalidate(key);
}

TEST_F(local_cache_user_code, runs_off_the_lock_when_a_lease_is_filled) {
    const fill_lease lease = cache.begin_fill(loud_key(1));
    loud_key key(1);
    watch();
    EXPECT_TRUE(cache.fill(lease, std::move(key), 1));
}

TEST_F(local_cache_user_code, runs_off_the_lock_when_all_leases_are_voided) {
    for (int n = 1; n < 4; ++n) {
        (void)cache.begin_fill(loud_key(n));
    }
    watch();
    cache.clear();
    EXPECT_EQ(ended, 3);
    loud_key::at_end = nullptr;
    (void)cache.begin_fill(loud_key(9));
    watch();
    cache.invalidate_if([](const loud_key&, int) { return false; });
    EXPECT_EQ(ended, 4);
}

TEST_F(local_cache_user_code, runs_off_the_lock_when_a_compute_ends) {
    cache.put(loud_key(1), 1);
    const loud_key key(1);
    watch();
    EXPECT_EQ(cache.compute(key, [](std::optional<int> value) { return value; }), 1);
    EXPECT_EQ(cache.compute(key, [](std::optional<int>) { return std::optional<int>(); }), std::nullopt);
}

TEST_F(local_cache_user_code, runs_off_the_lock_when_loads_end) {
    const loud_key key(1), other(2);
    watch();
    EXPECT_EQ(cache.get_or_compute(key, [] { return 1; }), 1);
    EXPECT_EQ(cache.get_or_compute(other,
                                   [&] {
                                       cache.clear();
                                       return 2;
                                   }),
              2);
}

/// A clock that pins the epoch, as one would that looks something up.
struct pinning_clock final : levee::clock {
    [[nodiscard]] time_point now() const noexcept override {
        tag = epoch::retire_tag();
        const auto nested = epoch::pin();
        return time_point(1h);
    }
    mutable epoch::tag tag = 0;
};

TEST(local_cache_look_up, stays_pinned_when_the_clock_pins_meanwhile) {
    pinning_clock clock;
    local_cache<int, int> cache({.max_entries = 10, .time_to_live = 1h, .clock = &clock});
    cache.put(1, 1);
    EXPECT_TRUE(epoch::has_passed(clock.tag));
    struct checking final : levee::clock {
        [[nodiscard]] time_point now() const noexcept override {
            const time_point at = inner.now();
            has_passed = epoch::has_passed(inner.tag);  // after the nested guard, in the look-up
            return at;
        }
        pinning_clock inner{};
        mutable bool has_passed = false;
    };
    checking checked;
    local_cache<int, int> other({.max_entries = 10, .time_to_live = 1h, .clock = &checked});
    other.put(1, 1);
    EXPECT_TRUE(other.visit(1, [](int) {}));
    EXPECT_FALSE(checked.has_passed);
    EXPECT_EQ(other.get(1), 1);  // a copy that was made before the clock was asked: nothing need be pinned
}

TEST(local_cache_look_up, leaves_a_pin_as_it_was) {
    local_cache<int, int> cache({.max_entries = 10});
    cache.put(1, 1);
    const auto look_up = [&] {
        EXPECT_EQ(cache.get(1), 1);
        EXPECT_EQ(cache.get(2), std::nullopt);
    };
    {
        const auto pinned = epoch::pin();
        const epoch::tag tag = epoch::retire_tag();
        look_up();
        EXPECT_FALSE(epoch::has_passed(tag));
    }
    const epoch::tag tag = epoch::retire_tag();
    look_up();
    EXPECT_TRUE(epoch::has_passed(tag));
    std::thread(look_up).join();  // the first pin of a thread
    EXPECT_TRUE(epoch::has_passed(epoch::retire_tag()));
}

}  // namespace
}  // namespace levee
