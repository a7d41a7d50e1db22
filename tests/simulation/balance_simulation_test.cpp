// The bars that load balancing must hold, in virtual time: levee's default strategy among the others, and
// beside what one writes by hand. benchmarks/balance prints the same at full length.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/balance/load_balancer.hpp"
#include "levee/balance/make_strategy.hpp"
#include "levee/core/random.hpp"
#include "levee/testing/balance_simulation.hpp"
#include "levee/testing/load_balancer_picker.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using namespace testing;

/// Two drawn, the one with fewer requests in flight.
class two_choices final : public picker {
public:
    explicit two_choices(std::uint64_t seed) : random_(seed) {}
    void set_servers(std::span<const std::size_t> known) override {
        known_.assign(known.begin(), known.end());
        in_flight_.resize(1000);
    }
    std::size_t pick(const simulated_request&) override {
        const std::size_t a = known_[uniform_below(random_, known_.size())];
        const std::size_t b = known_[uniform_below(random_, known_.size())];
        const std::size_t chosen = in_flight_[a] <= in_flight_[b] ? a : b;
        ++in_flight_[chosen];
        return chosen;
    }
    void complete(const simulated_completion& done) override { --in_flight_[done.server]; }

private:
    splitmix64 random_;
    std::vector<std::size_t> known_;
    std::vector<int> in_flight_;
};

/// The average of answers decides, whatever they said.
class naive_response_time final : public picker {
public:
    void set_servers(std::span<const std::size_t> known) override {
        known_.assign(known.begin(), known.end());
        average_.resize(1000);
    }
    std::size_t pick(const simulated_request&) override {
        return *std::min_element(known_.begin(), known_.end(),
                                 [&](std::size_t a, std::size_t b) { return average_[a] < average_[b]; });
    }
    void complete(const simulated_completion& done) override {
        double& average = average_[done.server];
        average += 0.1 * (static_cast<double>(done.latency.count()) - average);
    }

private:
    std::vector<std::size_t> known_;
    std::vector<double> average_;
};

balance_report run(const balance_simulation_options& options, const std::string& strategy,
                   const load_balancer_options& how = {}) {
    balance_simulation world(options);
    return world.run([&](std::size_t client) -> std::unique_ptr<picker> {
        if (strategy == "two choices") {
            return std::make_unique<two_choices>(client);
        }
        if (strategy == "naive response time") {
            return std::make_unique<naive_response_time>();
        }
        return std::make_unique<load_balancer_picker>(world, client, make_strategy(strategy), how);
    });
}

const std::string by_default = "least_response_time";

/// What this file compares the default with: what is good somewhere.
const std::vector<std::string> others = {"round_robin", "random", "least_connections", "power_of_two",
                                         "two choices"};

/// Servers that can be named by their slowness; `load` is a share of what they can do together.
balance_simulation_options servers_of(const std::vector<double>& slowness, double load) {
    balance_simulation_options options;
    options.servers.assign(slowness.size(), {});
    double capacity = 0.0;
    for (std::size_t i = 0; i < slowness.size(); ++i) {
        capacity += options.servers[i].capacity() / slowness[i];
        if (slowness[i] != 1.0) {
            options.servers[i].faults = {server_fault::slow(slowness[i])};
        }
    }
    options.load = arrivals::poisson(load * capacity);
    options.length = 1s;
    return options;
}

void expect_near_the_best(const balance_simulation_options& options) {
    const double mine = run(options, by_default).milliseconds_at(99);
    for (const std::string& other : others) {
        EXPECT_LE(mine, 1.3 * run(options, other).milliseconds_at(99)) << other;
    }
}

TEST(the_default_strategy, is_near_the_best_among_identical_servers) {
    expect_near_the_best(servers_of(std::vector<double>(10, 1.0), 0.7));
}

TEST(the_default_strategy, is_near_the_best_with_one_server_ten_times_slow) {
    const auto options = servers_of({10, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0.6);
    expect_near_the_best(options);
    EXPECT_LT(run(options, by_default).servers[0].share, 0.01);
    EXPECT_GT(run(options, "round_robin").milliseconds_at(99), 500.0) << "the trap is there";
}

TEST(the_default_strategy, is_near_the_best_with_two_of_four_six_times_slow) {
    expect_near_the_best(servers_of({6, 6, 1, 1}, 0.5));
}

TEST(the_default_strategy, is_near_the_best_with_half_of_the_servers_twice_slow) {
    expect_near_the_best(servers_of({2, 2, 2, 2, 2, 1, 1, 1, 1, 1}, 0.75));
}

TEST(the_default_strategy, keeps_off_what_fails_fast) {  // B1
    auto options = servers_of(std::vector<double>(10, 1.0), 0.54);
    options.servers[0].faults = {server_fault::fail(100us)};
    EXPECT_LE(run(options, by_default).servers[0].share, 0.02);
    // Not only because it gets ejected.
    const load_balancer_options alone{.panic_threshold = 0.0, .outlier = {}};
    EXPECT_LE(run(options, by_default, alone).servers[0].share, 0.02);
    EXPECT_GT(run(options, "two choices").servers[0].share, 0.15) << "the trap is there";
    EXPECT_GT(run(options, "naive response time").servers[0].share, 0.99) << "the trap is there";
}

TEST(the_default_strategy, keeps_off_what_flaps) {
    auto options = servers_of(std::vector<double>(10, 1.0), 0.5);
    options.length = 2s;
    options.servers[0].faults = {server_fault::fail(100us, 200ms, 200ms).every(400ms)};
    const balance_report report = run(options, by_default);
    EXPECT_LT(static_cast<double>(report.requests.errors), 0.02 * static_cast<double>(report.requests.sent));
    expect_near_the_best(options);
}

TEST(the_default_strategy, keeps_off_what_hangs) {
    auto options = servers_of(std::vector<double>(10, 1.0), 0.5);
    options.timeout = 100ms;
    options.servers[0].faults = {server_fault::hang(200ms, 600ms)};
    const balance_report report = run(options, by_default);
    EXPECT_LT(static_cast<double>(report.requests.timeouts),
              0.01 * static_cast<double>(report.requests.sent));
}

TEST(the_default_strategy, is_near_the_best_again_after_an_outage_of_all) {  // B8
    auto options = servers_of(std::vector<double>(10, 1.0), 0.5);
    options.length = 4s;
    for (std::size_t i = 0; i < 10; ++i) {
        options.servers[i].max_queue = 200;
        options.servers[i].faults = {server_fault::fail(100us, 500ms, i == 0 ? 500ms : 1s)};
    }
    options.timeout = 1s;
    options.warm_up = 2s;  // all have been back for half a second
    const balance_report report = run(options, by_default);
    EXPECT_LE(report.milliseconds_at(99), 1.3 * run(options, "two choices").milliseconds_at(99));
    EXPECT_LE(static_cast<double>(report.requests.failed()),
              0.001 * static_cast<double>(report.requests.sent));
}

TEST(the_default_strategy, does_not_crush_the_first_server_that_comes_back) {  // B8
    auto options = servers_of(std::vector<double>(10, 1.0), 0.5);
    options.length = 4s;
    for (std::size_t i = 0; i < 10; ++i) {
        options.servers[i].max_queue = 200;
        options.servers[i].faults = {server_fault::fail(100us, 500ms, i == 0 ? 500ms : 1s)};
    }
    const balance_report mine = run(options, by_default);
    const balance_report bare = run(options, "two choices");
    EXPECT_LE(mine.milliseconds_at(99), 1.3 * bare.milliseconds_at(99));
    EXPECT_EQ(mine.requests.overloaded, 0U) << "its queue is never full";
    EXPECT_LT(mine.requests.failed(), bare.requests.failed()) << "and not by sending elsewhere";
}

TEST(the_default_strategy, recovers_identical_servers_from_one_early_slow_sample) {  // B2
    for (const std::size_t clients : {1U, 20U}) {
        auto options = servers_of(std::vector<double>(10, 1.0), 0.5);
        options.servers[0].faults = {server_fault::pause(0s, 100ms)};
        options.length = 20s;
        options.load = arrivals::poisson(4'000);
        options.slice = 5s;
        options.clients = clients;
        const balance_report report = run(options, by_default);
        // One sample that took 100 times as long fades at 8 times tau's pace: 46 s / 8.
        EXPECT_LT(report.slices[0].shares[0], 0.08) << clients;
        EXPECT_GT(report.slices[1].shares[0], 0.05) << clients;
        EXPECT_GT(report.slices[3].shares[0], 0.05) << clients;
    }
}

TEST(the_default_strategy, seldom_tries_what_is_slow_for_good) {  // B2
    for (const double rate : {100.0, 4'000.0}) {
        auto options = servers_of({10, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0.5);
        options.length = 30s;
        options.load = arrivals::poisson(rate);
        EXPECT_LT(run(options, by_default).servers[0].share, 0.01) << rate;
    }
}

TEST(the_default_strategy, neither_floods_nor_starves_a_new_server) {  // B3
    auto options = servers_of(std::vector<double>(10, 1.0), 0.6);
    options.length = 2s;
    options.slice = 100ms;
    options.servers[9].joins = 500ms;
    const balance_report report = run(options, by_default);
    for (std::size_t i = 5; i < report.slices.size(); ++i) {
        EXPECT_GT(report.slices[i].shares[9], 0.03) << i;
        EXPECT_LT(report.slices[i].shares[9], 0.25) << i;
    }
    EXPECT_LT(report.milliseconds_at(99), 7.0);
}

TEST(the_default_strategy, does_not_send_many_clients_to_the_same_server) {  // B2, B4
    auto options = servers_of(std::vector<double>(50, 1.0), 0.7);
    options.clients = 50;
    options.length = 500ms;
    const balance_report report = run(options, by_default);
    for (const balance_report::server& each : report.servers) {
        EXPECT_NEAR(each.share, 0.02, 0.006);
    }
    EXPECT_LT(report.milliseconds_at(99), 1.3 * run(options, "round_robin").milliseconds_at(99));
}

TEST(round_robin_balancers, do_not_start_in_step) {  // B4
    auto options = servers_of(std::vector<double>(10, 1.0), 0.1);
    options.clients = 1000;
    options.length = 125ms;  // about one request a client
    const balance_report report = run(options, "round_robin");
    for (const balance_report::server& each : report.servers) {
        EXPECT_NEAR(each.share, 0.1, 0.04);
    }
}

TEST(a_load_balancer_in_simulation, repeats_itself) {
    auto options = servers_of({2, 1, 1, 1}, 0.6);
    options.length = 200ms;
    for (const std::string strategy : {"least_response_time", "power_of_two", "random", "round_robin"}) {
        const balance_report first = run(options, strategy);
        const balance_report second = run(options, strategy);
        EXPECT_EQ(first.latency, second.latency) << strategy;
        EXPECT_EQ(first.servers[0].requests.sent, second.servers[0].requests.sent) << strategy;
    }
}

}  // namespace
}  // namespace levee
