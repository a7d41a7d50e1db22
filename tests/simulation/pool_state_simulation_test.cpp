// G7 on the state machine alone: a million random events, every action checked against a model that knows
// who waits, who holds what, and which jobs are under way.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/pool/detail/pool_state.hpp"

namespace levee::pool_detail {
namespace {

using namespace std::chrono_literals;

struct model_waiter {
    waiter_id id;
    time_point deadline;
    bool wakes_itself;
};
struct model_job {
    std::uint32_t slot;
    std::uint64_t id;
    action_kind kind;
    bool is_stopped;
};

class driven_pool {
public:
    explicit driven_pool(std::uint64_t seed) : random_(seed) {}

    void event() {
        switch (below(16)) {
            case 0:
            case 1:
            case 2:
                acquire_fast();
                break;
            case 3:
            case 4:
                acquire();
                break;
            case 5:
                leave();
                break;
            case 6:
            case 7:
            case 8:
            case 9:
                release();
                break;
            case 10:
            case 11:
            case 12:
                end_job();
                break;
            case 13:
                finish_removal();
                break;
            case 14:
                pass_time(duration(static_cast<duration::rep>(below(20'000'000))));
                break;
            default:
                rare();
        }
        check();
    }

    /// No more callers: everything must come to rest, with nothing left behind.
    void finish() {
        state_.drain(now_, below(2) == 0, out_);
        carry_out();
        for (int i = 0; i < 10'000 && !state_.is_empty(); ++i) {
            release();
            end_job();
            finish_removal();
            pass_time(duration(static_cast<duration::rep>(below(20'000'000))));
            check();
        }
        EXPECT_TRUE(state_.is_empty());
        EXPECT_TRUE(queue_.empty());
        EXPECT_TRUE(leased_.empty());
        EXPECT_EQ(state_.leases(), 0U);
        EXPECT_EQ(state_.try_take(), idle_stack::none);
    }

    /// Nobody holds anything for ever: who waits is served or refused by the deadline.
    void settle() {
        for (int i = 0; i < 10'000 && !queue_.empty(); ++i) {
            release();
            end_job();
            finish_removal();
            pass_time(duration(static_cast<duration::rep>(below(20'000'000))));
            check();
        }
        EXPECT_TRUE(queue_.empty() || queue_.front().wakes_itself);
    }

    std::uint64_t grants = 0, handed_over = 0, refusals = 0, fast = 0, stopped = 0, removed = 0, events = 0;

private:
    std::uint64_t below(std::uint64_t bound) { return uniform_below(random_, bound); }

    void took(std::uint32_t slot) {
        EXPECT_TRUE(leased_.insert(slot).second) << "handed out twice";
        EXPECT_TRUE(busy_.count(slot) == 0) << "handed out while a job has it";
        EXPECT_EQ(state_.slot(slot).phase, slot_phase::open);
        EXPECT_GE(born_[slot], invalidated_) << "begun before invalidate_all";
        ++grants;
    }

    void acquire_fast() {
        const std::uint32_t slot = state_.try_take();
        if (slot == idle_stack::none) {
            return acquire();
        }
        EXPECT_TRUE(queue_.empty()) << "overtook " << queue_.size();
        if (state_.judge(state_.slot(slot), now_) != fitness::fit) {
            state_.unfit(now_, slot, out_);
            carry_out();
            return acquire();
        }
        state_.slot(slot).lease(now_, "fast");
        took(slot);
        ++fast;
    }

    void acquire() {
        const time_point deadline = now_ + duration(static_cast<duration::rep>(below(60'000'000)));
        const bool wakes_itself = below(2) == 0;
        const auto answer = state_.acquire(now_, deadline, wakes_itself, "slow", out_);
        if (answer.slot) {
            EXPECT_TRUE(queue_.empty()) << "overtook " << queue_.size();
            took(*answer.slot);
        } else if (answer.waiter) {
            queue_.push_back({*answer.waiter, deadline, wakes_itself});
        }
        carry_out();
    }

    void leave() {
        if (queue_.empty()) {
            return;
        }
        const auto who = queue_.begin() + static_cast<std::ptrdiff_t>(below(queue_.size()));
        leaving_ = who->id;
        EXPECT_TRUE(state_.leave(now_, leaving_, who->deadline <= now_, out_));
        carry_out();
        EXPECT_FALSE(state_.leave(now_, leaving_, true, out_)) << "left twice";
        carry_out();
    }

    void release() {
        if (leased_.empty()) {
            return;
        }
        auto who = leased_.begin();
        std::advance(who, below(leased_.size()));
        const std::uint32_t slot = *who;
        leased_.erase(who);
        if (below(2) == 0) {
            state_.slot(slot).end_lease();
            state_.slot(slot).idle_since = now_;
            if (state_.judge(state_.slot(slot), now_) != fitness::dead && state_.try_give(slot)) {
                EXPECT_TRUE(queue_.empty()) << "missed " << queue_.size() << " who wait";
                return;
            }
        }
        constexpr std::array how{returned_as::clean, returned_as::clean, returned_as::to_reset,
                                 returned_as::discarded};
        state_.release(now_, slot, how[below(how.size())], out_);
        carry_out();
    }

    void end_job() {
        if (jobs_.empty()) {
            return;
        }
        const auto at = jobs_.begin() + static_cast<std::ptrdiff_t>(below(jobs_.size()));
        const model_job job = *at;
        jobs_.erase(at);
        bool counted = false;
        const bool is_good = below(4) != 0;
        if (!job.is_stopped) {
            busy_.erase(job.slot);
        }
        if (job.kind != action_kind::connect) {
            counted = state_.job_ended(now_, job.slot, job.id, is_good, out_);
        } else if (is_good) {
            counted = state_.connected(now_, job.slot, job.id, out_);
        } else {
            counted = state_.connect_failed(now_, job.slot, job.id, out_);
        }
        EXPECT_EQ(counted, !job.is_stopped);
        carry_out();
    }

    void finish_removal() {
        if (removals_.empty()) {
            return;
        }
        const std::uint32_t slot = removals_.front();
        removals_.pop_front();
        busy_.erase(slot);
        state_.removed(now_, slot, out_);
        carry_out();
    }

    void pass_time(duration span) {
        const time_point until = now_ + span;
        while (state_.next_wake() <= until) {
            now_ = (std::max)(now_, state_.next_wake());
            const time_point before = state_.next_wake();
            state_.tick(now_, out_);
            carry_out();
            EXPECT_TRUE(state_.next_wake() > before || state_.next_wake() > now_) << "time stands still";
            for (const model_waiter& waiter : queue_) {
                EXPECT_TRUE(waiter.wakes_itself || waiter.deadline > now_) << "waits past its deadline";
            }
        }
        now_ = until;
        for (const model_job& job : jobs_) {
            EXPECT_TRUE(job.is_stopped || state_.slot(job.slot).job_deadline > now_) << "runs past its time";
        }
    }

    void rare() {
        if (below(100) == 0) {
            invalidated_ = ++moment_;
            state_.invalidate_all(now_, out_);
            carry_out();
        } else {
            state_.tick(now_, out_);  // at a wrong moment, which must be harmless
            carry_out();
        }
    }

    void carry_out() {
        const pool_actions actions = std::exchange(out_, {});
        for (const pool_action& action : actions) {
            switch (action.kind) {
                case action_kind::grant:
                    ASSERT_FALSE(queue_.empty());
                    EXPECT_EQ(action.waiter, queue_.front().id) << "not the first in the queue";
                    queue_.pop_front();
                    took(action.slot);
                    ++handed_over;
                    break;
                case action_kind::refuse: {
                    const auto who = std::find_if(queue_.begin(), queue_.end(),
                                                  [&](const auto& w) { return w.id == action.waiter; });
                    ASSERT_NE(who, queue_.end()) << "refused somebody who does not wait";
                    EXPECT_TRUE(action.waiter == leaving_ || who->deadline <= now_ ||
                                action.failure == pool_failure::closed);
                    queue_.erase(who);
                    ++refusals;
                    break;
                }
                case action_kind::connect:
                case action_kind::check:
                case action_kind::reset:
                    EXPECT_TRUE(busy_.insert(action.slot).second);
                    EXPECT_EQ(leased_.count(action.slot), 0U);
                    if (action.kind == action_kind::connect) {
                        born_[action.slot] = ++moment_;
                    }
                    jobs_.push_back({action.slot, action.job, action.kind, false});
                    break;
                case action_kind::stop_job: {
                    const auto job = std::find_if(jobs_.begin(), jobs_.end(),
                                                  [&](const auto& j) { return j.id == action.job; });
                    ASSERT_NE(job, jobs_.end());
                    EXPECT_FALSE(std::exchange(job->is_stopped, true));
                    busy_.erase(action.slot);
                    ++stopped;
                    break;
                }
                case action_kind::remove:
                    EXPECT_TRUE(busy_.insert(action.slot).second);
                    EXPECT_EQ(leased_.count(action.slot), 0U) << "removed while in use";
                    removals_.push_back(action.slot);
                    ++removed;
                    break;
                case action_kind::leak:
                    EXPECT_EQ(leased_.count(action.slot), 1U);
                    break;
            }
        }
    }

    void check() {
        ++events;
        ASSERT_EQ(state_.waiting(), queue_.size());
        const auto connecting = std::count_if(jobs_.begin(), jobs_.end(), [](const model_job& job) {
            return job.kind == action_kind::connect && !job.is_stopped;
        });
        EXPECT_LE(connecting, static_cast<std::ptrdiff_t>(options_.max_connecting));
        const pool_stats stats = state_.stats();
        ASSERT_EQ(stats.in_use, leased_.size());
        ASSERT_LE(stats.in_use + stats.idle + stats.connecting + stats.checking, options_.max_size);
        EXPECT_EQ(stats.acquired, grants);
        EXPECT_EQ(stats.waits.count(), grants);
        // Whoever waits waits for something that will happen.
        const bool is_all_in_use = leased_.size() + busy_.size() == options_.max_size;
        const bool backs_off =
            state_.next_wake() < (time_point::max)() && state_.connect_failures_in_row() > 0;
        EXPECT_TRUE(queue_.empty() || is_all_in_use || !busy_.empty() || backs_off) << "waits for nothing";
        // Nobody waits beside an idle connection, unless it is stale and others are being checked.
        EXPECT_TRUE(queue_.empty() || stats.idle == 0 || stats.checking >= queue_.size());
    }

    pool_options make_options() {
        pool_options options;
        options.max_size = 1 + below(5);
        options.min_idle = below(options.max_size + 1);
        options.max_waiters = below(8);
        options.idle_timeout = 50ms;
        options.max_lifetime = below(2) == 0 ? 0ms : 200ms;
        options.validate_after_idle = duration(static_cast<duration::rep>(below(10'000'000)));
        options.validation_timeout = 10ms;
        options.reset_timeout = 10ms;
        options.connect_timeout = 30ms;
        options.max_connecting = 1 + below(3);
        options.error_gate = below(3);
        options.leak_threshold = 100ms;
        return options;
    }

    xoshiro256 random_;
    const pool_options options_ = make_options();
    pool_state state_{options_, random_()};
    pool_actions out_;
    time_point now_{1h};
    std::deque<model_waiter> queue_;
    std::set<std::uint32_t> leased_;
    std::set<std::uint32_t> busy_;  // slots with a job or a removal under way
    std::vector<model_job> jobs_;
    std::deque<std::uint32_t> removals_;
    std::map<std::uint32_t, std::uint64_t> born_;  // when each slot's connection was begun, in `moment_`s
    std::uint64_t moment_ = 0, invalidated_ = 0;
    waiter_id leaving_ = 0;
};

TEST(pool_state_under_random_events, is_fair_loses_nothing_and_keeps_deadlines) {
    std::uint64_t events = 0, grants = 0, handed_over = 0, refusals = 0, fast = 0, stopped = 0, removed = 0;
    for (std::uint64_t seed = 1; events < 1'000'000; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        driven_pool pool(seed);
        for (int i = 0; i < 5'000; ++i) {
            pool.event();
            if (testing::Test::HasFailure()) {
                return;
            }
        }
        pool.settle();
        pool.finish();
        events += pool.events;
        grants += pool.grants;
        handed_over += pool.handed_over;
        refusals += pool.refusals;
        fast += pool.fast;
        stopped += pool.stopped;
        removed += pool.removed;
        if (testing::Test::HasFailure()) {
            return;
        }
    }
    RecordProperty("events", std::to_string(events));
    // Every kind of thing happened often.
    EXPECT_GT(grants, 50'000U);
    EXPECT_GT(handed_over, 10'000U);
    EXPECT_GT(refusals, 10'000U);
    EXPECT_GT(fast, 10'000U);
    EXPECT_GT(stopped, 1'000U);
    EXPECT_GT(removed, 10'000U);
}

}  // namespace
}  // namespace levee::pool_detail
