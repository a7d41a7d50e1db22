#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/local/detail/timer_wheel.hpp"

namespace levee::local_detail {
namespace {

constexpr std::int64_t tick = std::int64_t{1} << 22;

/// The wheel beside a map: what has ended must come out, and nothing else.
class against_a_map {
public:
    explicit against_a_map(std::uint64_t seed, std::int64_t start)
        : random_(seed), wheel_(start), now_(start) {
        wheel_.reserve(ids);
    }

    void step() {
        const auto id = static_cast<entry_id>(uniform_below(random_, ids));
        switch (uniform_below(random_, 6)) {
            case 0:
                wheel_.cancel(id);
                ends_.erase(id);
                break;
            case 1:
                if (ends_.contains(id)) {
                    ends_[id] += some_time();  // as if it was used: the wheel finds out when it asks
                }
                break;
            case 2:
                advance(uniform_below(random_, 8) == 0 ? -some_time() : some_time());
                break;
            default:
                wheel_.cancel(id);
                ends_[id] = now_ + some_time();
                wheel_.schedule(id, ends_[id]);
        }
        for (const auto& [scheduled, end] : ends_) {
            ASSERT_TRUE(wheel_.contains(scheduled));
        }
    }

private:
    static constexpr entry_id ids = 40;

    /// From nothing over parts of a tick to years, all alike.
    std::int64_t some_time() {
        return static_cast<std::int64_t>(random_() >> (8 + uniform_below(random_, 56)));
    }

    void advance(std::int64_t by) {
        const bool is_too_far = by > 0 && now_ > std::numeric_limits<std::int64_t>::max() - by;
        const std::int64_t to = is_too_far ? now_ : now_ + by;
        const std::size_t budget = uniform_below(random_, 4) == 0 ? 3 : 1000;
        const bool is_complete = wheel_.advance(to, budget, [&](entry_id id) {
            const std::int64_t end = ends_.at(id);
            if (end <= to) {
                wheel_.cancel(id);
                ends_.erase(id);
            }
            return end;
        });
        now_ = by < 0 ? now_ : to;
        if (budget == 1000) {
            ASSERT_TRUE(is_complete);
        }
        if (is_complete && by >= 0) {
            for (const auto& [id, end] : ends_) {
                ASSERT_GT(end, now_) << id;
            }
        }
    }

    xoshiro256 random_;
    timer_wheel wheel_;
    std::int64_t now_;
    std::map<entry_id, std::int64_t> ends_{};
};

TEST(timer_wheel, agrees_with_a_map_over_random_times) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        against_a_map run(seed, seed % 2 == 0 ? 0 : -1'000'000'007);
        for (int i = 0; i < 1500 && !testing::Test::HasFatalFailure(); ++i) {
            run.step();
        }
    }
}

TEST(timer_wheel, finds_each_end_across_every_level) {
    for (const std::int64_t ticks :
         {1, 63, 64, 65, 4095, 4096, 262'143, 262'144, 16'777'216, 1'200'000'000}) {
        timer_wheel wheel(12'345);
        wheel.reserve(1);
        const std::int64_t end = 12'345 + ticks * tick;
        wheel.schedule(0, end);
        int asked = 0;
        int ended = 0;
        const auto ask = [&](std::int64_t now) {
            wheel.advance(now, 100, [&](entry_id id) {
                ++asked;
                if (now >= end) {
                    wheel.cancel(id);
                    ++ended;
                }
                return end;
            });
        };
        ask(end - 1);
        EXPECT_EQ(ended, 0) << ticks;
        ask(end);
        EXPECT_EQ(ended, 1) << ticks;
        EXPECT_LE(asked, 30) << ticks;  // it was not asked tick by tick
    }
}

}  // namespace
}  // namespace levee::local_detail
