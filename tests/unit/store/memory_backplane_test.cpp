#include "levee/store/memory_backplane.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using levee::backplane_message;
using levee::backplane_subscription;
using levee::change;
using levee::memory_backplane;

backplane_message about(std::string key, std::uint64_t sender = 1) {
    backplane_message made;
    made.name_space = "ns";
    made.name = std::move(key);
    made.sender = sender;
    return made;
}

TEST(memory_backplanes, tell_every_subscriber_everything_in_order) {
    memory_backplane bus;
    std::vector<std::string> one, other;
    const auto first = bus.subscribe([&](const backplane_message& m) { one.push_back(m.name); }, {});
    bus.publish(about("a"));
    const auto second = bus.subscribe([&](const backplane_message& m) { other.push_back(m.name); }, {});
    levee::async::run_on_this_thread(bus.async_publish(about("b")));
    bus.publish(about("c"));
    EXPECT_EQ(one, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(other, (std::vector<std::string>{"b", "c"})) << "from its subscription on";
    EXPECT_EQ(bus.fresh_until(), levee::time_point::max());
}

TEST(memory_backplanes, messages_arrive_as_they_were) {
    memory_backplane bus;
    backplane_message sent = about(std::string("k\0\xFF", 3), 42);
    sent.what = change::marked;
    sent.count = 7;
    backplane_message got;
    const auto subscription = bus.subscribe([&](const backplane_message& m) { got = m; }, {});
    bus.publish(sent);
    EXPECT_EQ(got.what, change::marked);
    EXPECT_EQ(got.name_space, "ns");
    EXPECT_EQ(got.name, sent.name);
    EXPECT_EQ(got.count, 7u);
    EXPECT_EQ(got.sender, 42u);
}

TEST(memory_backplanes, ended_subscriptions_hear_nothing_more) {
    memory_backplane bus;
    int heard = 0;
    auto subscription = bus.subscribe([&](const backplane_message&) { ++heard; }, {});
    backplane_subscription moved = std::move(subscription);
    bus.publish(about("a"));
    EXPECT_EQ(heard, 1);
    moved.reset();
    moved.reset();
    bus.publish(about("b"));
    EXPECT_EQ(heard, 1);
    EXPECT_EQ(bus.subscribers(), 0u);
}

TEST(memory_backplanes, the_end_of_a_subscription_waits_for_its_running_handler) {
    memory_backplane bus;
    std::latch entered(1), leave(1);
    std::atomic<bool> has_left{false};
    auto subscription = bus.subscribe(
        [&](const backplane_message&) {
            entered.count_down();
            leave.wait();
            has_left = true;
        },
        {});
    std::thread publisher([&] { bus.publish(about("a")); });
    entered.wait();
    std::thread ender([&] {
        subscription.reset();
        EXPECT_TRUE(has_left) << "the handler had ended before";
    });
    leave.count_down();
    ender.join();
    publisher.join();
}

TEST(memory_backplanes, handlers_may_publish_and_subscribe) {
    memory_backplane bus;
    std::vector<std::string> heard;
    std::vector<backplane_subscription> more;
    const auto subscription = bus.subscribe(
        [&](const backplane_message& m) {
            heard.push_back(m.name);
            if (m.name == "a") {
                more.push_back(bus.subscribe([](const backplane_message&) {}, {}));
                bus.publish(about("from a"));
            }
        },
        {});
    bus.publish(about("a"));
    EXPECT_EQ(heard, (std::vector<std::string>{"a", "from a"}));
    EXPECT_EQ(bus.subscribers(), 2u);
}

TEST(memory_backplanes, what_one_handler_throws_passes_after_all_were_told) {
    memory_backplane bus;
    int heard = 0;
    const auto first = bus.subscribe([](const backplane_message&) { throw std::runtime_error("first"); }, {});
    const auto second = bus.subscribe([&](const backplane_message&) { ++heard; }, {});
    EXPECT_THROW(bus.publish(about("a")), std::runtime_error);
    EXPECT_EQ(heard, 1);
}

TEST(memory_backplanes, report_gaps_to_all_who_listen_for_them) {
    memory_backplane bus;
    int gaps = 0;
    const auto first = bus.subscribe([](const backplane_message&) {}, [&] { ++gaps; });
    const auto deaf = bus.subscribe([](const backplane_message&) {}, {});
    bus.report_gap();
    EXPECT_EQ(gaps, 1);
}

TEST(memory_backplanes, subscriptions_may_end_after_their_backplane) {
    backplane_subscription subscription;
    {
        memory_backplane bus;
        subscription = bus.subscribe([](const backplane_message&) {}, {});
    }
    subscription.reset();
}

}  // namespace
