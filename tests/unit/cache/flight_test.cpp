#include "levee/cache/detail/flight.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"

namespace levee::cache_detail {
namespace {

struct recording_flight final : flight {
    recording_flight() : flight(time_point::max()) {}
    void on_stopping() noexcept override { ++stops; }
    void on_ended() noexcept override { ++ends; }
    int stops = 0;
    int ends = 0;
};

struct recording_waiter final : flight_waiter {
    void finish(flight_outcome outcome) noexcept override { outcomes.push_back(outcome); }
    std::vector<flight_outcome> outcomes;
};

using outcomes = std::vector<flight_outcome>;
using role = flight::role;
using joined = flight::joined;

struct a_flight : ::testing::Test {
    std::shared_ptr<recording_flight> f = std::make_shared<recording_flight>();
    recording_waiter leader, guest, other;

    void lead(role as = role::leader) {
        ASSERT_EQ(f->join(leader, as), joined::yes);
        ASSERT_TRUE(f->begin());
    }
};

TEST_F(a_flight, gives_every_waiter_the_result_once) {
    lead();
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    f->finish(true);
    f->finish(true);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::result});
    EXPECT_EQ(guest.outcomes, outcomes{flight_outcome::result});
    EXPECT_EQ(f->ends, 1);
    EXPECT_EQ(f->stops, 0);
}

TEST_F(a_flight, refuses_to_be_joined_once_it_has_ended) {
    lead();
    f->finish(true);
    EXPECT_EQ(f->join(guest, role::guest), joined::ended);
    EXPECT_TRUE(guest.outcomes.empty());
}

TEST_F(a_flight, lets_a_guest_go_at_once_and_goes_on_for_the_others) {
    lead();
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    f->leave(guest, flight_outcome::cancelled);
    EXPECT_EQ(guest.outcomes, outcomes{flight_outcome::cancelled});
    EXPECT_FALSE(f->is_stopping());
    f->finish(true);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::result});
    EXPECT_EQ(guest.outcomes.size(), 1U);
}

TEST_F(a_flight, goes_on_for_its_guests_when_the_leader_leaves) {
    lead();
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    f->leave(leader, flight_outcome::cancelled);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::cancelled});
    EXPECT_EQ(f->stops, 0);
    f->finish(true);
    EXPECT_EQ(guest.outcomes, outcomes{flight_outcome::result});
}

TEST_F(a_flight, stops_once_when_the_last_waiter_leaves) {
    lead();
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    f->leave(guest, flight_outcome::cancelled);
    f->leave(leader, flight_outcome::cancelled);
    f->leave(leader, flight_outcome::cancelled);
    EXPECT_EQ(f->stops, 1);
    EXPECT_TRUE(f->is_stopping());
    EXPECT_EQ(f->join(other, role::guest), joined::stopping);
    EXPECT_EQ(leader.outcomes.size(), 1U);
}

TEST_F(a_flight, is_not_stopped_by_guests_who_come_and_go_before_its_leader_has_joined) {
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    f->leave(guest, flight_outcome::cancelled);
    EXPECT_FALSE(f->is_stopping());
    lead();
    f->leave(leader, flight_outcome::cancelled);
    EXPECT_TRUE(f->is_stopping());
}

TEST_F(a_flight, keeps_the_loaders_owner_until_the_loader_has_ended) {
    lead(role::loader_owner);
    f->leave(leader, flight_outcome::cancelled);
    EXPECT_TRUE(leader.outcomes.empty()) << "its captures are still in use";
    EXPECT_EQ(f->stops, 1);
    f->finish(true);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::cancelled});
}

TEST_F(a_flight, lets_even_an_owner_go_before_the_loader_has_begun) {
    ASSERT_EQ(f->join(leader, role::loader_owner), joined::yes);
    f->expire();
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::timeout});
    EXPECT_FALSE(f->begin()) << "its captures may be gone";
}

TEST_F(a_flight, hands_a_late_success_to_an_owner_that_had_to_wait_for_it) {
    lead(role::loader_owner);
    f->expire();
    EXPECT_TRUE(leader.outcomes.empty());
    f->finish(true);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::result});
}

TEST_F(a_flight, tells_an_owner_whose_loader_failed_late_of_the_timeout) {
    lead(role::loader_owner);
    f->expire();
    f->finish(false);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::timeout});
}

TEST_F(a_flight, lets_all_but_the_owner_go_when_it_expires_or_is_closed) {
    lead(role::loader_owner);
    ASSERT_EQ(f->join(guest, role::guest), joined::yes);
    ASSERT_EQ(f->join(other, role::guest), joined::yes);
    f->close();
    EXPECT_EQ(guest.outcomes, outcomes{flight_outcome::closed});
    EXPECT_EQ(other.outcomes, outcomes{flight_outcome::closed});
    EXPECT_TRUE(leader.outcomes.empty());
    f->expire();
    f->finish(true);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::closed}) << "the first reason counts";
    EXPECT_EQ(f->stops, 1);
}

TEST_F(a_flight, does_nothing_more_after_its_end) {
    lead();
    f->finish(true);
    f->expire();
    f->close();
    f->leave(leader, flight_outcome::cancelled);
    EXPECT_EQ(leader.outcomes, outcomes{flight_outcome::result});
    EXPECT_EQ(f->stops, 0);
}

TEST_F(a_flight, wakes_threads_that_wait_for_it) {
    std::vector<std::jthread> threads;
    std::vector<flight_outcome> seen(8, flight_outcome::closed);
    std::vector<std::unique_ptr<blocking_waiter>> waiters;
    lead();
    for (auto& outcome : seen) {
        auto& waiter = *waiters.emplace_back(std::make_unique<blocking_waiter>());
        ASSERT_EQ(f->join(waiter, role::guest), joined::yes);
        threads.emplace_back([&] { outcome = waiter.wait(*f); });
    }
    f->finish(true);
    threads.clear();
    EXPECT_EQ(seen, outcomes(8, flight_outcome::result));
}

TEST(a_blocking_waiter, leaves_at_the_deadline) {
    struct expired final : flight {
        expired() : flight(time_point::min()) {}
    };
    const auto f = std::make_shared<expired>();
    blocking_waiter waiter;
    ASSERT_EQ(f->join(waiter, role::leader), joined::yes);
    EXPECT_EQ(waiter.wait(*f), flight_outcome::timeout);
    EXPECT_TRUE(f->is_stopping());
}

TEST(waiting_loads, are_refused_when_they_would_wait_in_a_circle) {
    const auto a = std::make_shared<recording_flight>();
    const auto b = std::make_shared<recording_flight>();
    const auto c = std::make_shared<recording_flight>();
    EXPECT_THROW(wait_edge(a, a), error);
    const wait_edge ab(a, b);
    const wait_edge bc(b, c);
    EXPECT_THROW(wait_edge(c, a), error);
    EXPECT_THROW(wait_edge(c, b), error);
    const wait_edge ac(a, c);  // a second way to the same place is no circle
}

TEST(waiting_loads, may_wait_the_other_way_round_afterwards) {
    const auto a = std::make_shared<recording_flight>();
    const auto b = std::make_shared<recording_flight>();
    {
        const wait_edge ab(a, b);
    }
    EXPECT_NO_THROW(wait_edge(b, a));
    const wait_edge nobody(nullptr, a);
    EXPECT_NO_THROW(wait_edge(a, b));
}

TEST(waiting_loads, forget_their_edges_when_they_end) {
    const auto a = std::make_shared<recording_flight>();
    const auto b = std::make_shared<recording_flight>();
    const wait_edge ab(a, b);
    a->finish(true);
    EXPECT_NO_THROW(wait_edge(b, a));
}

TEST(a_loading_scope, names_the_innermost_load_of_its_thread_alone) {
    const auto a = std::make_shared<recording_flight>();
    const auto b = std::make_shared<recording_flight>();
    EXPECT_EQ(flight::current(), nullptr);
    {
        const loading_scope outer(*a);
        {
            const loading_scope inner(*b);
            EXPECT_EQ(flight::current(), b.get());
            std::jthread([] { EXPECT_EQ(flight::current(), nullptr); });
        }
        EXPECT_EQ(flight::current(), a.get());
    }
    EXPECT_EQ(flight::current(), nullptr);
}

}  // namespace
}  // namespace levee::cache_detail
