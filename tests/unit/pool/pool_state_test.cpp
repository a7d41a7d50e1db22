// The state machine stepped by hand: events in, actions out.
#include "levee/pool/detail/pool_state.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace levee::pool_detail {
namespace {

using namespace std::chrono_literals;

struct a_pool_state : ::testing::Test {
    pool_options options{.max_size = 2, .backoff = {.initial = 10ms, .jitter = backoff_jitter::none}};
    time_point now{1h};
    pool_actions out;
    std::unique_ptr<pool_state> state;

    void open() { state = std::make_unique<pool_state>(options, 1); }
    pool_actions take() { return std::exchange(out, {}); }
    std::vector<action_kind> kinds() {
        std::vector<action_kind> all;
        for (const pool_action& each : take()) {
            all.push_back(each.kind);
        }
        return all;
    }
    waiter_id wait(duration patience = 1s) {
        return state->acquire(now, now + patience, false, "waiter", out).waiter.value();
    }
    /// A leased slot of a pool that has connected.
    std::uint32_t lease() {
        wait();
        const pool_action connect = take().at(0);
        state->connected(now, connect.slot, connect.job, out);
        EXPECT_EQ(kinds(), std::vector{action_kind::grant});
        return connect.slot;
    }
};

TEST_F(a_pool_state, connects_for_the_first_who_waits_and_grants_what_comes) {
    open();
    const waiter_id first = wait();
    const pool_actions begun = take();
    ASSERT_EQ(begun.size(), 1U);
    EXPECT_EQ(begun[0].kind, action_kind::connect);
    state->connected(now, begun[0].slot, begun[0].job, out);
    const pool_actions granted = take();
    ASSERT_EQ(granted.size(), 1U);
    EXPECT_EQ(granted[0].waiter, first);
    EXPECT_EQ(granted[0].slot, begun[0].slot);
}

TEST_F(a_pool_state, refuses_the_way_without_the_mutex_while_somebody_waits) {
    options.max_size = 1;
    open();
    const std::uint32_t slot = lease();
    const waiter_id waiter = wait();
    EXPECT_FALSE(state->try_give(slot)) << "it must be handed over";
    state->release(now, slot, returned_as::clean, out);
    const pool_actions actions = take();
    ASSERT_EQ(actions.size(), 1U);
    EXPECT_EQ(actions[0].waiter, waiter);
    EXPECT_TRUE(state->try_give(slot)) << "nobody waits any more";
    EXPECT_EQ(state->try_take(), slot);
}

// P3
TEST_F(a_pool_state, grants_or_refuses_a_waiter_once_whichever_comes_first) {
    options.max_size = 1;
    open();
    const std::uint32_t slot = lease();
    const waiter_id granted = wait();
    state->release(now, slot, returned_as::clean, out);
    now += 1s;
    EXPECT_FALSE(state->leave(now, granted, true, out)) << "its time-out came later";
    state->tick(now, out);
    EXPECT_EQ(kinds(), std::vector{action_kind::grant});

    const waiter_id refused = wait();
    now += 1s;
    state->tick(now, out);
    EXPECT_FALSE(state->leave(now, refused, true, out));
    EXPECT_EQ(kinds(), std::vector{action_kind::refuse});
    state->release(now, slot, returned_as::clean, out);
    EXPECT_TRUE(kinds().empty()) << "nobody is there to be granted it";
    EXPECT_EQ(state->try_take(), slot) << "and it is not lost";
}

TEST_F(a_pool_state, recognises_a_late_question_about_a_place_that_somebody_else_has_by_now) {
    options.max_size = 1;
    options.max_waiters = 1;
    open();
    lease();
    const waiter_id first = wait();
    EXPECT_TRUE(state->leave(now, first, false, out));
    const waiter_id second = wait();
    EXPECT_EQ(index_of(first), index_of(second));
    EXPECT_FALSE(state->leave(now, first, false, out));
    EXPECT_TRUE(state->leave(now, second, false, out));
}

TEST_F(a_pool_state, does_not_count_the_end_of_a_job_that_was_stopped) {
    options.connect_timeout = 100ms;
    open();
    wait();
    const pool_action job = take().at(0);
    now += 100ms;
    state->tick(now, out);
    const pool_actions stopped = take();
    ASSERT_FALSE(stopped.empty());
    EXPECT_EQ(stopped[0].kind, action_kind::stop_job);
    EXPECT_EQ(stopped[0].job, job.job);
    EXPECT_FALSE(state->connected(now, job.slot, job.job, out));
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(state->stats().connect_failures, 1U);
}

TEST_F(a_pool_state, tries_again_when_the_back_off_is_over_and_not_before) {
    open();
    wait();
    const pool_action first = take().at(0);
    state->connect_failed(now, first.slot, first.job, out);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(state->next_wake(), now + 10ms);
    now += 10ms - 1ns;
    state->tick(now, out);
    EXPECT_TRUE(take().empty());
    now += 1ns;
    state->tick(now, out);
    EXPECT_EQ(kinds(), std::vector{action_kind::connect});
}

TEST_F(a_pool_state, replaces_what_is_too_old_and_does_not_validate_it) {
    open();
    const std::uint32_t slot = lease();
    state->release(now, slot, returned_as::clean, out);
    now += 1h;
    wait();
    EXPECT_EQ(kinds(), (std::vector{action_kind::remove, action_kind::connect}));
}

TEST_F(a_pool_state, validates_what_is_stale_and_connects_only_for_the_others) {
    options.max_lifetime = 0s;
    options.idle_timeout = 0s;
    open();
    const std::uint32_t slot = lease();
    state->release(now, slot, returned_as::clean, out);
    now += 1h;
    wait();
    EXPECT_EQ(kinds(), std::vector{action_kind::check});
    wait();
    EXPECT_EQ(kinds(), std::vector{action_kind::connect});
}

TEST_F(a_pool_state, sweeps_in_time_again_after_it_was_empty) {
    options.connect_timeout = 1h;
    options.idle_timeout = 1s;
    open();
    const std::uint32_t first = lease();
    state->release(now, first, returned_as::discarded, out);
    state->removed(now, first, out);
    take();
    now = state->next_wake();
    state->tick(now, out);
    now += 1ms;
    ASSERT_TRUE(state->acquire(now, now + 1h, true, "a thread", out).waiter);
    const pool_action connect = take().at(0);
    const std::uint32_t second = connect.slot;
    state->connected(now, second, connect.job, out);
    take();
    state->release(now, second, returned_as::clean, out);
    const time_point limit = now + 2s;
    while (out.empty() && state->next_wake() <= limit) {
        now = state->next_wake();
        state->tick(now, out);
    }
    EXPECT_EQ(kinds(), std::vector{action_kind::remove}) << "idle, and the pool sleeps on";
}

// P8
TEST_F(a_pool_state, is_not_moved_by_a_wake_up_without_a_reason) {
    options.max_size = 1;
    open();
    lease();
    wait();
    const time_point wake = state->next_wake();
    for (int i = 0; i < 10; ++i) {
        state->tick(now, out);
    }
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(state->waiting(), 1U);
    EXPECT_LE(state->next_wake(), wake + 1s);
}

TEST_F(a_pool_state, wakes_for_the_earliest_deadline) {
    options.max_size = 1;
    options.max_lifetime = options.idle_timeout = 0s;
    open();
    lease();
    wait(900ms);
    wait(300ms);
    wait(600ms);
    EXPECT_EQ(state->next_wake(), now + 300ms);
    now += 300ms;
    state->tick(now, out);
    EXPECT_EQ(kinds(), std::vector{action_kind::refuse});
    EXPECT_EQ(state->next_wake(), now + 300ms);
}

}  // namespace
}  // namespace levee::pool_detail
