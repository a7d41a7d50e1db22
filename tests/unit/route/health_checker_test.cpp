#include "levee/route/health_checker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/testing/simulation.hpp"
#include "route/probe_history.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

TEST(a_probe_history, rises_and_falls_after_as_many_in_a_row) {
    probe_history history(true, 2, 3);
    for (const bool is_well : {false, false, true, false, false}) {
        EXPECT_FALSE(history.record(is_well));
        EXPECT_TRUE(history.is_healthy());
    }
    EXPECT_TRUE(history.record(false));
    EXPECT_FALSE(history.is_healthy());
    EXPECT_FALSE(history.record(true));
    EXPECT_FALSE(history.record(false));
    EXPECT_FALSE(history.record(true));
    EXPECT_TRUE(history.record(true));
    EXPECT_TRUE(history.is_healthy());
}

/// Endpoints a, b, … whose probes do what the test says, in virtual time.
class a_health_checker : public ::testing::Test {
protected:
    struct behaviour {
        bool is_well = true;
        duration takes = 1ms;
        bool ignores_cancellation = false;
    };

    void check(health_checker_options options = {}) {
        options.seed = 1;
        options.observer = [this](const probe_report& report) { reports.push_back(report); };
        const health_probe probe = [this](endpoint to) { return ask(std::move(to)); };
        checker.emplace(endpoints, probe, options, world.scheduler());
    }

    asio::awaitable<void> ask(endpoint to) {
        begun.emplace_back(to.id, world.now());
        most_at_once = std::max(most_at_once, ++under_way[to.id]);
        struct leaving {
            int& count;
            ~leaving() { --count; }
        };
        const leaving left{under_way[to.id]};
        const behaviour how = behaviours[to.id];
        const time_point end = world.now() + how.takes;
        do {
            try {
                co_await world.scheduler()->sleep_until(end);
            } catch (const std::exception&) {
                ++cancelled;
                if (!how.ignores_cancellation) {
                    throw;
                }
            }
            if (how.ignores_cancellation) {
                co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            }
        } while (world.now() < end);
        if (!how.is_well) {
            throw std::runtime_error("not well");
        }
    }

    bool is_healthy(const std::string& id) {
        const auto list = endpoints.snapshot();
        const auto at = std::find_if(list->endpoints.begin(), list->endpoints.end(),
                                     [&](const listed_endpoint& e) { return e.data->id == id; });
        return at != list->endpoints.end() && at->is_healthy;
    }

    std::vector<time_point> probes_of(const std::string& id) {
        std::vector<time_point> times;
        for (const auto& [who, when] : begun) {
            if (who == id) {
                times.push_back(when);
            }
        }
        return times;
    }

    endpoint_set endpoints{{.id = "a"}, {.id = "b"}};
    std::map<std::string, behaviour> behaviours;
    std::map<std::string, int> under_way;
    int most_at_once = 0;
    int cancelled = 0;
    std::vector<std::pair<std::string, time_point>> begun;
    std::vector<probe_report> reports;
    testing::simulation world{1};  // after what coroutines refer to that are destroyed with it
    std::optional<health_checker> checker;
};

TEST_F(a_health_checker, goes_on_after_a_balancer_could_not_follow) {
    struct listener final : levee::detail::endpoint_listener {
        void endpoints_changed() override {
            ++times;
            throw std::runtime_error("not now");
        }
        int times = 0;
    };
    const auto refusing = std::make_shared<listener>();
    endpoints.subscribe(refusing);
    behaviours["a"].is_well = false;
    check({.jitter = 0.0});
    world.run_for(8s);
    EXPECT_EQ(refusing->times, 1);
    EXPECT_FALSE(is_healthy("a"));
    behaviours["a"].is_well = true;
    world.run_for(6s);
    EXPECT_TRUE(is_healthy("a"));
}

TEST_F(a_health_checker, falls_after_three_bad_probes_and_rises_after_two_good_ones) {
    behaviours["a"].is_well = false;
    check({.jitter = 0.0});
    world.run_for(4s);  // two probes each
    EXPECT_TRUE(is_healthy("a"));
    world.run_for(2s);
    EXPECT_FALSE(is_healthy("a"));
    EXPECT_TRUE(is_healthy("b"));
    behaviours["a"].is_well = true;
    world.run_for(2s);
    EXPECT_FALSE(is_healthy("a"));
    world.run_for(2s);
    EXPECT_TRUE(is_healthy("a"));
    EXPECT_EQ(std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.has_changed; }), 2);
    EXPECT_EQ(std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.error != nullptr; }),
              3);
}

TEST_F(a_health_checker, starts_at_different_moments_and_keeps_its_interval_within_the_jitter) {
    std::vector<endpoint> many;
    for (int i = 0; i < 200; ++i) {
        many.push_back({.id = std::to_string(i)});
    }
    endpoints.update(many);
    const time_point start = world.now();
    check({.interval = 2s, .jitter = 0.2});
    world.run_for(60s);
    std::vector<duration> first;
    duration sum{};
    duration least = 1h;
    duration most{};
    int gaps = 0;
    for (const endpoint& each : many) {
        const auto times = probes_of(each.id);
        ASSERT_GE(times.size(), 25U);
        first.push_back(times[0] - start);
        for (std::size_t i = 1; i < times.size(); ++i) {
            const duration gap = times[i] - times[i - 1];
            sum += gap;
            ++gaps;
            least = std::min(least, gap);
            most = std::max(most, gap);
        }
    }
    EXPECT_GE(least, 1600ms);
    EXPECT_LT(least, 1620ms);
    EXPECT_LE(most, 2400ms);
    EXPECT_GT(most, 2380ms);
    EXPECT_NEAR(static_cast<double>(sum.count()) / gaps, 2e9, 2e7);
    std::sort(first.begin(), first.end());
    EXPECT_LT(first[20], 400ms);
    EXPECT_GT(first[180], 1600ms);
    EXPECT_LT(first[199], 2s);
}

TEST_F(a_health_checker, counts_a_probe_that_takes_too_long_as_failed_and_cancels_it) {
    behaviours["a"].takes = 1h;
    check({.jitter = 0.0, .timeout = 500ms});
    world.run_for(6s);
    EXPECT_FALSE(is_healthy("a"));
    EXPECT_EQ(cancelled, 3);
    ASSERT_FALSE(reports.empty());
    const auto bad = std::find_if(reports.begin(), reports.end(), [](const auto& r) { return r.error; });
    ASSERT_NE(bad, reports.end());
    EXPECT_EQ(bad->took, 500ms);
    try {
        std::rethrow_exception(bad->error);
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
}

TEST_F(a_health_checker, never_probes_an_endpoint_twice_at_once) {
    behaviours["a"] = {.is_well = true, .takes = 9s, .ignores_cancellation = true};
    check({.jitter = 0.0, .timeout = 1s});
    world.run_for(8s);
    EXPECT_EQ(probes_of("a").size(), 1U);
    EXPECT_FALSE(is_healthy("a")) << "it is counted as failed at each interval";
    behaviours["a"] = {};
    world.run_for(8s);
    EXPECT_GE(probes_of("a").size(), 2U);
    EXPECT_TRUE(is_healthy("a"));
    EXPECT_EQ(most_at_once, 1);
}

TEST_F(a_health_checker, begins_the_next_probe_late_rather_than_beside_a_slow_one) {
    behaviours["a"].takes = 3s;
    check({.interval = 2s, .jitter = 0.0, .timeout = 10s});
    world.run_for(20s);
    EXPECT_EQ(most_at_once, 1);
    EXPECT_GE(probes_of("a").size(), 6U);
    EXPECT_TRUE(is_healthy("a"));
}

TEST_F(a_health_checker, follows_endpoints_that_join_leave_and_move) {
    check({.jitter = 0.0});
    world.run_for(3s);
    endpoints.add({.id = "c"});
    behaviours["b"].takes = 900ms;
    world.run_for(3s);
    EXPECT_GE(probes_of("c").size(), 1U);
    endpoints.remove("b");
    world.run_for(1ns);
    const std::size_t before = probes_of("b").size();
    const std::size_t reported = static_cast<std::size_t>(
        std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.endpoint == "b"; }));
    world.run_for(10s);
    EXPECT_EQ(probes_of("b").size(), before);
    EXPECT_EQ(static_cast<std::size_t>(std::count_if(reports.begin(), reports.end(),
                                                     [](const auto& r) { return r.endpoint == "b"; })),
              reported);
    EXPECT_EQ(under_way["b"], 0);
    endpoints.add({.id = "b"});
    world.run_for(2s);
    EXPECT_EQ(probes_of("b").size(), before + 1);
}

TEST_F(a_health_checker, cancels_the_probe_of_a_removed_endpoint) {
    behaviours["a"].takes = 1h;
    check({.jitter = 0.0, .timeout = 2h});
    world.run_for(2s);
    ASSERT_EQ(under_way["a"], 1);
    endpoints.remove("a");
    world.run_for(1ns);
    EXPECT_EQ(under_way["a"], 0);
    EXPECT_EQ(cancelled, 1);
}

TEST_F(a_health_checker, stops_with_its_destruction) {
    behaviours["a"] = {.is_well = false, .takes = 100ms};
    check({.jitter = 0.0});
    world.run_for(4s);
    checker.reset();
    world.run_for(0ns);
    const std::size_t before = begun.size();
    world.run();
    EXPECT_EQ(begun.size(), before);
    EXPECT_EQ(world.sleeping(), 0U);
    EXPECT_TRUE(is_healthy("a"));
}

TEST_F(a_health_checker, takes_over_health_that_was_set_by_hand) {
    check({.jitter = 0.0});
    world.run_for(3s);
    endpoints.set_health("a", false);
    world.run_for(2s);
    EXPECT_FALSE(is_healthy("a"));
    world.run_for(2s);
    EXPECT_TRUE(is_healthy("a")) << "two good probes later";
}

TEST_F(a_health_checker, survives_an_observer_that_throws) {
    health_checker_options options{.seed = 1};
    int told = 0;
    options.observer = [&](const probe_report&) {
        ++told;
        throw std::runtime_error("observer");
    };
    const health_probe probe = [this](endpoint to) { return ask(std::move(to)); };
    const health_checker throwing(endpoints, probe, options, world.scheduler());
    world.run_for(10s);
    EXPECT_GE(told, 8);
}

TEST_F(a_health_checker, refuses_options_out_of_range) {
    const health_probe probe = tcp_probe();
    const auto refused = [&](const health_checker_options& options) {
        EXPECT_THROW(health_checker(endpoints, probe, options, world.scheduler()), std::invalid_argument);
    };
    refused({.interval = 0s});
    refused({.jitter = 1.0});
    refused({.timeout = 0s});
    refused({.rise = 0});
    refused({.fall = 0});
    EXPECT_THROW(health_checker(endpoints, {}, {}, world.scheduler()), std::invalid_argument);
    EXPECT_THROW(health_checker(endpoints, probe, {}, nullptr), std::invalid_argument);
}

TEST(a_tcp_probe, tells_a_listening_port_from_a_closed_one) {
    asio::io_context context;
    using asio::ip::tcp;
    const auto loopback = asio::ip::address_v4::loopback();
    tcp::acceptor open(context, tcp::endpoint(loopback, 0));
    tcp::acceptor closed(context, tcp::endpoint(loopback, 0));  // holds the port until just before
    const std::uint16_t closed_port = closed.local_endpoint().port();
    closed.close();
    endpoint_set endpoints({{.id = "open", .host = "127.0.0.1", .port = open.local_endpoint().port()},
                            {.id = "named", .host = "localhost", .port = open.local_endpoint().port()},
                            {.id = "closed", .host = "127.0.0.1", .port = closed_port}});
    std::map<std::string, std::vector<bool>> found;
    std::optional<health_checker> checker;
    health_checker_options options{.interval = 5ms, .timeout = 10s, .rise = 1, .fall = 1};
    options.observer = [&](const probe_report& report) {
        found[report.endpoint].push_back(report.error == nullptr);
        if (found["open"].size() >= 2 && found["closed"].size() >= 2 && found["named"].size() >= 2) {
            context.stop();
        }
    };
    checker.emplace(endpoints, tcp_probe(), options, async::steady_scheduler(context.get_executor()));
    context.run();
    EXPECT_TRUE(found["open"][0] && found["open"][1]);
    EXPECT_TRUE(found["named"][0] && found["named"][1]);
    EXPECT_FALSE(found["closed"][0] || found["closed"][1]);
    const auto list = endpoints.snapshot();
    EXPECT_TRUE(list->endpoints[0].is_healthy);
    EXPECT_FALSE(list->endpoints[2].is_healthy);
    checker.reset();
}

}  // namespace
}  // namespace levee::route
