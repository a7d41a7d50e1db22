#include "levee/testing/chaos_backplane.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/testing/simulation.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::backplane_message;
using levee::errc;
using levee::memory_backplane;
using levee::testing::chaos_backplane;
using levee::testing::chaos_backplane_options;
using levee::testing::chaos_link;

backplane_message about(std::string name, std::uint64_t sender = 1) {
    backplane_message made;
    made.name = std::move(name);
    made.sender = sender;
    return made;
}

/// One node behind chaos, and the bus that others publish on.
struct chaos_backplanes : testing::Test {
    levee::testing::simulation world{1};
    std::shared_ptr<memory_backplane> bus = std::make_shared<memory_backplane>();
    std::unique_ptr<chaos_backplane> link;
    std::vector<std::string> heard;
    std::vector<levee::time_point> heard_at;
    int gaps = 0;
    levee::backplane_subscription subscription;

    void connect(const chaos_backplane_options& options) {
        link = std::make_unique<chaos_backplane>(bus, world.scheduler(), options);
        subscription = link->subscribe(
            [this](const backplane_message& m) {
                heard.push_back(m.name);
                heard_at.push_back(world.now());
            },
            [this] { ++gaps; });
    }

    static asio::awaitable<void> note(std::shared_ptr<std::optional<std::error_code>> result,
                                      asio::awaitable<void> work) {
        try {
            co_await std::move(work);
            *result = std::error_code();
        } catch (const levee::error& e) {
            *result = e.code();
        }
    }

    std::shared_ptr<std::optional<std::error_code>> publish(const std::string& name,
                                                            asio::cancellation_slot stop = {}) {
        auto result = std::make_shared<std::optional<std::error_code>>();
        asio::co_spawn(world.executor(), note(result, link->async_publish(about(name))),
                       asio::bind_cancellation_slot(stop, asio::detached));
        return result;
    }

    [[nodiscard]] levee::duration fresh_for() const { return link->fresh_until() - world.now(); }
};

TEST_F(chaos_backplanes, without_faults_pass_everything_on_at_once) {
    connect({});
    bus->publish(about("a"));
    link->publish(about("b"));
    EXPECT_EQ(heard, (std::vector<std::string>{"a", "b"}));
    bus->report_gap();
    EXPECT_EQ(gaps, 1);
    EXPECT_EQ(world.sleeping(), 0u);
    subscription.reset();
    bus->publish(about("c"));
    EXPECT_EQ(heard.size(), 2u);
}

TEST_F(chaos_backplanes, delay_messages_keep_each_senders_order_and_mix_the_senders) {
    connect({.delivery_delay = 10ms});
    for (int i = 0; i < 50; ++i) {
        for (std::uint64_t sender = 1; sender <= 2; ++sender) {
            bus->publish(about(std::string(sender == 1 ? "a" : "b") + std::to_string(1000 + i), sender));
        }
        world.run_for(1ms);
    }
    world.run();
    ASSERT_EQ(heard.size(), 100u);
    std::map<char, std::string> last;
    int changes = 0;
    bool is_in_publishing_order = true;
    std::string before;
    for (const std::string& name : heard) {
        EXPECT_LT(last[name.front()], name) << "each sender's own order";
        last[name.front()] = name;
        is_in_publishing_order =
            is_in_publishing_order && before.substr(before.empty() ? 0 : 1) <= name.substr(1);
        changes += !before.empty() && before.front() != name.front() ? 1 : 0;
        before = name;
    }
    EXPECT_FALSE(is_in_publishing_order);
    EXPECT_GT(changes, 10);
    EXPECT_EQ(gaps, 0);
}

TEST_F(chaos_backplanes, hear_each_message_within_the_delay_of_those_before_it) {
    connect({.delivery_delay = 10ms});
    for (int i = 0; i < 100; ++i) {
        const auto sent = world.now();
        bus->publish(about("m"));
        world.run();
        ASSERT_EQ(heard.size(), static_cast<std::size_t>(i + 1));
        EXPECT_LE(heard_at.back() - sent, 10ms);
    }
}

TEST_F(chaos_backplanes, repeat_messages_right_after_themselves) {
    connect({.delivery_delay = 1ms, .duplicate = 0.5});
    std::vector<std::string> sent;
    for (int i = 0; i < 100; ++i) {
        sent.push_back(std::to_string(i));
        bus->publish(about(sent.back()));
    }
    world.run();
    EXPECT_GT(heard.size(), 130u);
    EXPECT_LT(heard.size(), 170u);
    EXPECT_EQ(heard.size(), 100 + link->counts().duplicated);
    heard.erase(std::unique(heard.begin(), heard.end()), heard.end());
    EXPECT_EQ(heard, sent);
}

TEST_F(chaos_backplanes, look_fresh_for_an_interval_and_a_timeout_after_the_last_ping) {
    connect({.ping_interval = 3s, .ping_timeout = 2s});
    EXPECT_EQ(fresh_for(), 5s);
    world.run_for(2s);
    EXPECT_EQ(fresh_for(), 3s) << "the next ping is due in a second";
    world.run_for(1s);
    EXPECT_EQ(fresh_for(), 5s);
    world.run_for(100h);
    EXPECT_GE(fresh_for(), 2s);
}

TEST_F(chaos_backplanes, cut_off_miss_messages_fall_behind_and_tell_the_gap_when_they_are_healed) {
    for (const chaos_link cut : {chaos_link::refuses, chaos_link::is_silent}) {
        connect({.delivery_delay = 10ms, .ping_interval = 3s, .ping_timeout = 2s});
        bus->publish(about("on its way"));
        const auto cut_at = world.now();
        link->set_link(cut);
        bus->publish(about("missed"));
        world.run_for(4s);
        EXPECT_LE(link->fresh_until(), cut_at + 5s);
        world.run_for(1s);
        EXPECT_LE(link->fresh_until(), world.now()) << "no longer fresh";
        EXPECT_TRUE(heard.empty());
        EXPECT_EQ(gaps, 0);
        link->set_link(chaos_link::works);
        EXPECT_EQ(gaps, 1);
        EXPECT_EQ(fresh_for(), 5s);
        bus->publish(about("heard"));
        world.run();
        EXPECT_EQ(heard, (std::vector<std::string>{"heard"}));
        EXPECT_EQ(link->counts().lost, 2u);
        heard.clear();
        gaps = 0;
    }
}

TEST_F(chaos_backplanes, are_not_fresh_yet_while_they_tell_a_gap) {
    connect({});
    levee::duration left{};
    const auto other = link->subscribe({}, [&] { left = fresh_for(); });
    link->set_link(chaos_link::is_silent);
    world.run_for(1h);
    link->set_link(chaos_link::works);
    EXPECT_LT(left, 0s);
    EXPECT_GT(fresh_for(), 0s);
}

TEST_F(chaos_backplanes, are_no_fresher_than_the_oldest_message_that_they_have_not_heard) {
    connect({.delivery_delay = 100s, .ping_interval = 3s, .ping_timeout = 2s});
    const auto sent = world.now();
    bus->publish(about("slow"));
    while (heard.empty() && world.step()) {
        if (heard.empty()) {
            EXPECT_LE(link->fresh_until(), sent + 5s);
        }
    }
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_GT(heard_at.front() - sent, 5s) << "else this shows nothing: take another seed";
    EXPECT_GT(fresh_for(), 0s);
}

TEST_F(chaos_backplanes, stalled_hear_nothing_lose_nothing_and_do_not_look_fresh) {
    connect({.ping_interval = 3s, .ping_timeout = 2s});
    const auto began = world.now();
    link->set_stalled(true);
    bus->publish(about("a"));
    bus->publish(about("b"));
    bus->report_gap();
    world.run_for(100s);
    EXPECT_TRUE(heard.empty());
    EXPECT_EQ(gaps, 0);
    EXPECT_LE(link->fresh_until(), began + 5s);
    link->set_stalled(false);
    world.run();
    EXPECT_EQ(heard, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(gaps, 1) << "the bus's own";
    EXPECT_GT(fresh_for(), 0s);
}

TEST_F(chaos_backplanes, healed_while_stalled_tell_the_gap_before_they_are_fresh) {
    connect({});
    link->set_link(chaos_link::is_silent);
    link->set_stalled(true);
    world.run_for(1h);
    link->set_link(chaos_link::works);
    EXPECT_EQ(gaps, 0);
    EXPECT_LT(fresh_for(), 0s);
    bus->publish(about("a"));
    link->set_stalled(false);
    EXPECT_EQ(gaps, 1);
    EXPECT_EQ(heard.size(), 1u);
    EXPECT_GT(fresh_for(), 0s);
}

TEST_F(chaos_backplanes, break_with_a_message_and_come_back_with_a_gap) {
    connect({.break_link = 1.0, .reconnect_delay = 10s, .ping_interval = 300ms, .ping_timeout = 200ms});
    const auto broken = world.now();
    bus->publish(about("breaks it"));
    while (gaps == 0) {
        EXPECT_LE(link->fresh_until(), broken + 500ms);
        ASSERT_TRUE(world.step());
    }
    EXPECT_EQ(fresh_for(), 500ms);
    EXPECT_LE(world.now() - broken, 10s);
    EXPECT_TRUE(heard.empty());
    EXPECT_EQ(link->counts().breaks, 1u);
}

TEST_F(chaos_backplanes, cut_while_they_reconnect_stay_cut) {
    connect({.break_link = 1.0, .reconnect_delay = 1s});
    bus->publish(about("breaks it"));
    link->set_link(chaos_link::is_silent);
    world.run();
    EXPECT_EQ(gaps, 0);
    link->set_options({});
    link->set_link(chaos_link::works);
    EXPECT_EQ(gaps, 1);
}

TEST_F(chaos_backplanes, drop_without_a_word_if_asked) {
    connect({.drop = 0.5});
    for (int i = 0; i < 100; ++i) {
        bus->publish(about("m"));
    }
    EXPECT_GT(heard.size(), 30u);
    EXPECT_LT(heard.size(), 70u);
    EXPECT_EQ(gaps, 0);
    EXPECT_GT(fresh_for(), 0s);
}

TEST_F(chaos_backplanes, refuse_to_publish_or_lose_the_receipt) {
    connect({.refuse = 1.0});
    EXPECT_THROW(link->publish(about("a")), levee::error);
    EXPECT_TRUE(heard.empty());
    link->set_options({.lose_receipt = 1.0});
    const auto lost = publish("b");
    world.run();
    EXPECT_EQ(*lost, make_error_code(errc::timeout));
    EXPECT_EQ(heard, (std::vector<std::string>{"b"}));
    link->set_options({});
    link->set_link(chaos_link::refuses);
    const auto refused = publish("c");
    world.run();
    EXPECT_EQ(*refused, make_error_code(errc::unavailable));
}

TEST_F(chaos_backplanes, publish_slowly_and_not_at_all_until_cancelled) {
    connect({.publish_delay = 10ms});
    const auto began = world.now();
    const auto slow = publish("a");
    world.run();
    EXPECT_EQ(*slow, std::error_code());
    EXPECT_GT(world.now(), began);
    EXPECT_EQ(heard.size(), 1u);
    link->set_link(chaos_link::is_silent);
    asio::cancellation_signal stop;
    const auto silent = publish("b", stop.slot());
    world.run();
    EXPECT_FALSE(silent->has_value());
    stop.emit(asio::cancellation_type::terminal);
    world.run();
    EXPECT_EQ(*silent, make_error_code(errc::cancelled));
    EXPECT_EQ(world.sleeping(), 0u);
}

TEST_F(chaos_backplanes, may_go_while_messages_are_on_their_way) {
    connect({.delivery_delay = 10ms, .break_link = 0.1});
    for (int i = 0; i < 20; ++i) {
        bus->publish(about("m"));
    }
    link.reset();
    world.run();
    EXPECT_TRUE(heard.empty());
    EXPECT_EQ(bus->subscribers(), 0u);
}

TEST_F(chaos_backplanes, handlers_that_throw_harm_nobody) {
    connect({.delivery_delay = 1ms});
    const auto thrower =
        link->subscribe([](const backplane_message&) { throw std::runtime_error("handler"); },
                        [] { throw std::runtime_error("gap handler"); });
    bus->publish(about("a"));
    bus->publish(about("b"));
    world.run();
    link->set_link(chaos_link::refuses);
    link->set_link(chaos_link::works);
    EXPECT_EQ(heard.size(), 2u);
    EXPECT_EQ(gaps, 1);
}

TEST_F(chaos_backplanes, name_the_option_that_is_out_of_range) {
    const auto refused = [&](const chaos_backplane_options& options, std::string_view field) {
        try {
            connect(options);
            ADD_FAILURE() << field << " was accepted";
        } catch (const std::invalid_argument& e) {
            EXPECT_NE(std::string_view(e.what()).find(field), std::string_view::npos) << e.what();
        }
    };
    refused({.delivery_delay = -1ns}, "delivery_delay");
    refused({.publish_delay = -1ns}, "publish_delay");
    refused({.refuse = 0.6, .lose_receipt = 0.6}, "sum");
    refused({.duplicate = 1.5}, "duplicate");
    refused({.break_link = -1}, "break_link");
    refused({.reconnect_delay = -1ns}, "reconnect_delay");
    refused({.drop = 2}, "drop");
    refused({.ping_interval = 0s}, "ping_interval");
    refused({.ping_timeout = 0s}, "ping_timeout");
    EXPECT_THROW(chaos_backplane(nullptr, world.scheduler()), std::invalid_argument);
}

}  // namespace
