#include "levee/testing/balance_simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "levee/core/random.hpp"

namespace levee::testing {
namespace {

using namespace std::chrono_literals;

/// Each known server in turn; notes what it is told.
class taking_turns final : public picker {
public:
    void set_servers(std::span<const std::size_t> known) override {
        known_.assign(known.begin(), known.end());
    }
    std::size_t pick(const simulated_request&) override {
        return known_.empty() ? none : known_[next_++ % known_.size()];
    }
    void complete(const simulated_completion& done) override { completions.push_back(done); }

    std::vector<simulated_completion> completions;

private:
    std::vector<std::size_t> known_;
    std::size_t next_ = 0;
};

/// Forwards to a picker that outlives the run.
class borrowed final : public picker {
public:
    explicit borrowed(picker& to) : to_(to) {}
    void set_servers(std::span<const std::size_t> known) override { to_.set_servers(known); }
    std::size_t pick(const simulated_request& request) override { return to_.pick(request); }
    void complete(const simulated_completion& done) override { to_.complete(done); }

private:
    picker& to_;
};

std::unique_ptr<picker> take_turns(std::size_t /*client*/) {
    return std::make_unique<taking_turns>();
}

balance_report run(balance_simulation_options options) {
    return balance_simulation(std::move(options)).run(take_turns);
}

/// One request every 10 ms to servers that take just 1 ms: what happens can be told beforehand.
balance_simulation_options calm() {
    balance_simulation_options options;
    options.servers.assign(1, {.service = service_time::constant(1ms)});
    options.load = arrivals::constant(100);
    options.length = 1s;
    return options;
}

double share_waiting(double slots, double offered) {  // Erlang's C formula (1917)
    double sum = 0.0;
    double term = 1.0;
    for (double i = 0.0; i < slots; i += 1.0) {
        sum += term;
        term *= offered / (i + 1.0);
    }
    const double all_busy = term * slots / (slots - offered);
    return all_busy / (sum + all_busy);
}

TEST(a_balance_simulation, agrees_with_the_theory_of_one_queue) {  // M/M/1: the response is exponential
    balance_simulation_options options;
    options.servers.assign(1, {.service = service_time::exponential(1ms), .slots = 1});
    options.load = arrivals::poisson(700);
    options.length = 1000s;
    const balance_report report = run(options);
    const double mean = 1e3 / (1000.0 - 700.0);
    EXPECT_NEAR(*report.latency.mean() * 1e-6, mean, 0.03 * mean);
    EXPECT_NEAR(report.milliseconds_at(50), -std::log(0.5) * mean, 0.03 * mean);
    EXPECT_NEAR(report.milliseconds_at(99), -std::log(0.01) * mean, 0.05 * 4.6 * mean);
    EXPECT_NEAR(report.servers[0].busy, 0.7, 0.01);
}

TEST(a_balance_simulation, agrees_with_the_theory_of_many_slots) {  // M/M/8
    balance_simulation_options options;
    options.servers.assign(1, {});
    options.load = arrivals::poisson(0.85 * options.servers[0].capacity());
    options.length = 100s;
    const balance_report report = run(options);
    const double wait = share_waiting(8.0, 6.8) / (8.0 - 6.8);
    EXPECT_NEAR(*report.latency.mean() * 1e-6, 1.0 + wait, 0.03);
    EXPECT_NEAR(static_cast<double>(report.requests.sent), 680'000.0, 4'000.0);
}

TEST(a_balance_simulation, sends_as_many_as_it_is_told_at_the_moments_it_is_told) {
    balance_simulation_options options = calm();
    EXPECT_NEAR(static_cast<double>(run(options).requests.sent), 100.0, 1.0);
    options.load = arrivals::bursts(10'000, 20);
    options.length = 100s;
    options.servers[0].slots = 1;
    const balance_report report = run(options);
    EXPECT_NEAR(static_cast<double>(report.requests.sent), 1e6, 1e6 * 0.02);
    EXPECT_GE(report.servers[0].most, 20U);
    EXPECT_EQ(report.requests.sent % 20, 0U);
}

TEST(a_balance_simulation, repeats_itself_for_one_seed_and_differs_for_another) {
    balance_simulation_options options;
    options.clients = 3;
    options.network = service_time::log_normal(200us, 0.5);
    options.timeout = 4ms;
    options.load = arrivals::poisson(50'000);
    options.length = 500ms;
    options.servers[3].faults = {server_fault::fail(100us, 100ms, 100ms, 0.5)};
    const auto text = [](const balance_report& report) {
        std::ostringstream out;
        out << report;
        return out.str();
    };
    const std::string first = text(run(options));
    EXPECT_EQ(first, text(run(options)));
    options.seed = 2;
    EXPECT_NE(first, text(run(options)));
}

TEST(a_balance_simulation, makes_slow_servers_slow_in_the_middle_of_work) {
    balance_simulation_options options = calm();
    options.servers[0].service = service_time::constant(8ms);
    options.servers[0].faults = {server_fault::slow(10.0, 0s, 500ms)};
    taking_turns seen;
    balance_simulation world(options);
    const auto report = world.run([&](std::size_t) { return std::make_unique<borrowed>(seen); });
    EXPECT_NEAR(report.milliseconds_at(100), 80.0, 0.5);
    EXPECT_NEAR(static_cast<double>(*(report.latency.min)()) * 1e-6, 8.0, 0.1);
    // What was half done when it recovered went on faster: no latency is in neither regime's bounds.
    const bool any_between =
        std::any_of(seen.completions.begin(), seen.completions.end(),
                    [](const simulated_completion& c) { return c.latency > 9ms && c.latency < 79ms; });
    EXPECT_TRUE(any_between);
}

TEST(a_balance_simulation, stands_still_in_a_pause_and_goes_on_after_it) {
    balance_simulation_options options = calm();
    options.load = arrivals::constant(1000);
    options.servers[0].faults = {server_fault::pause(100ms, 50ms).every(200ms, 450ms)};
    const balance_report report = run(options);
    EXPECT_EQ(report.requests.ok, report.requests.sent);
    EXPECT_GT(report.milliseconds_at(100), 50.0);
    EXPECT_LT(report.milliseconds_at(100), 60.0);
    // Two pauses, each of which met the 50 requests that came in it, and the 8 slots' backlog after it.
    const auto late = report.latency.count_between(2'000'000, 100'000'000);
    EXPECT_GE(late, 98U);
    EXPECT_LE(late, 125U);
}

TEST(a_balance_simulation, fails_fast_without_using_a_slot) {
    balance_simulation_options options = calm();
    options.servers.push_back(options.servers[0]);
    options.servers[0].faults = {server_fault::fail(100us)};
    taking_turns seen;
    balance_simulation world(options);
    const auto report = world.run([&](std::size_t) { return std::make_unique<borrowed>(seen); });
    EXPECT_EQ(report.servers[0].requests.errors, report.servers[0].requests.sent);
    EXPECT_EQ(report.servers[1].requests.errors, 0U);
    EXPECT_EQ(report.servers[0].most, 0U);
    EXPECT_DOUBLE_EQ(report.servers[0].share, 0.5);
    for (const simulated_completion& done : seen.completions) {
        EXPECT_EQ(done.latency, done.server == 0 ? duration(100us) : duration(1ms));
        EXPECT_EQ(done.outcome, done.server == 0 ? request_outcome::error : request_outcome::ok);
    }
}

TEST(a_balance_simulation, fails_only_the_share_and_only_while_it_is_told) {
    balance_simulation_options options = calm();
    options.load = arrivals::constant(5'000);
    options.length = 10s;
    options.slice = 1s;
    options.servers[0].faults = {server_fault::fail(0s, 2s, 3s, 0.3), server_fault::fail(0s, 7s, 1s)};
    const balance_report report = run(options);
    ASSERT_EQ(report.slices.size(), 10U);
    for (std::size_t second = 0; second < 10; ++second) {
        const request_counts& counts = report.slices[second].requests;
        const double expected = second >= 2 && second < 5 ? 0.3 : second == 7 ? 1.0 : 0.0;
        EXPECT_NEAR(static_cast<double>(counts.errors) / static_cast<double>(counts.sent), expected,
                    expected == 0.3 ? 0.02 : 0.002)
            << second;
    }
}

TEST(a_balance_simulation, flaps_with_its_period) {
    balance_simulation_options options = calm();
    options.load = arrivals::constant(1000);
    options.length = 4s;
    options.slice = 500ms;
    options.servers[0].faults = {server_fault::fail(1ms, 500ms, 500ms).every(1s)};
    const balance_report report = run(options);
    ASSERT_EQ(report.slices.size(), 8U);
    for (std::size_t half = 0; half < 8; ++half) {
        const request_counts& counts = report.slices[half].requests;
        EXPECT_NEAR(static_cast<double>(counts.errors), half % 2 == 1 ? 500.0 : 0.0, 2.0) << half;
    }
}

TEST(a_balance_simulation, never_answers_while_it_hangs) {
    balance_simulation_options options = calm();
    options.servers[0].faults = {server_fault::hang(500ms, 200ms)};
    const balance_report forever = run(options);
    EXPECT_NEAR(static_cast<double>(forever.requests.unanswered), 20.0, 1.0);
    options.timeout = 30ms;
    const balance_report with_timeout = run(options);
    EXPECT_EQ(with_timeout.requests.timeouts, forever.requests.unanswered);
    EXPECT_EQ(with_timeout.requests.unanswered, 0U);
    EXPECT_EQ(with_timeout.requests.ok, forever.requests.ok);
}

TEST(a_balance_simulation, warms_up_after_a_cold_start) {
    balance_simulation_options options = calm();
    options.slice = 100ms;
    options.servers[0].faults = {server_fault::cold_start(9.0, 0s, 500ms)};
    const balance_report report = run(options);
    double last = 10.0;
    for (std::size_t i = 0; i < 5; ++i) {
        const double mean = *report.slices[i].latency.mean() * 1e-6;
        EXPECT_NEAR(mean, 9.0 - 8.0 * (static_cast<double>(i) + 0.45) / 5.0, 0.8);
        EXPECT_LT(mean, last);
        last = mean;
    }
    EXPECT_NEAR(*report.slices[7].latency.mean() * 1e-6, 1.0, 1e-9);
}

TEST(a_balance_simulation, refuses_what_its_queue_has_no_room_for) {
    balance_simulation_options options = calm();
    options.servers[0].slots = 1;
    options.servers[0].max_queue = 2;
    options.servers[0].service = service_time::constant(5ms);
    options.load = arrivals::bursts(1000, 10);
    options.length = 10s;
    const balance_report report = run(options);
    EXPECT_EQ(report.servers[0].most, 3U);
    EXPECT_GT(report.requests.overloaded, report.requests.sent / 2);
    EXPECT_EQ(report.requests.overloaded + report.requests.ok, report.requests.sent);
    EXPECT_NEAR(report.milliseconds_at(100), 15.0, 0.2);
}

TEST(a_balance_simulation, delays_both_ways_on_the_network) {
    balance_simulation_options options = calm();
    options.network = service_time::constant(2ms);
    EXPECT_EQ(*(run(options).latency.min)(), 5'000'000U);
}

TEST(a_balance_simulation, lets_servers_work_for_nobody_unless_timeouts_cancel) {
    balance_simulation_options options = calm();
    options.servers[0].slots = 1;
    options.servers[0].service = service_time::constant(900us);
    options.servers[0].faults = {server_fault::slow(3.0, 0s, 200ms)};
    options.load = arrivals::constant(1000);
    options.timeout = 10ms;
    const balance_report without = run(options);
    options.timeout_cancels = true;
    const balance_report with = run(options);
    // What piled up in the first 200 ms keeps the server from all that comes later; unless it is taken out.
    EXPECT_LT(without.requests.ok, 50U);
    EXPECT_GT(with.requests.ok, 750U);
    EXPECT_EQ(with.requests.ok + with.requests.timeouts, with.requests.sent);
    EXPECT_EQ(without.requests.ok + without.requests.timeouts, without.requests.sent);
    EXPECT_LE(*(with.latency.max)(), 10'000'000U);
}

TEST(a_balance_simulation, tells_pickers_who_joins_and_leaves) {
    balance_simulation_options options = calm();
    options.servers.assign(3, options.servers[0]);
    options.servers[1].joins = 300ms;
    options.servers[2].leaves = 600ms;
    options.load = arrivals::constant(3000);
    options.slice = 300ms;
    const balance_report report = run(options);
    EXPECT_NEAR(report.slices[0].shares[0], 0.5, 0.01);
    EXPECT_EQ(report.slices[0].shares[1], 0.0);
    EXPECT_NEAR(report.slices[1].shares[1], 1.0 / 3.0, 0.01);
    EXPECT_NEAR(report.slices[2].shares[1], 0.5, 0.01);
    EXPECT_EQ(report.slices[2].shares[2], 0.0);
    EXPECT_EQ(report.requests.ok, report.requests.sent);
}

TEST(a_balance_simulation, counts_what_no_server_was_found_for) {
    balance_simulation_options options = calm();
    options.servers[0].joins = 500ms;
    const balance_report report = run(options);
    EXPECT_NEAR(static_cast<double>(report.requests.refused), 50.0, 1.0);
    EXPECT_EQ(report.requests.refused + report.requests.ok, report.requests.sent);
    EXPECT_DOUBLE_EQ(report.servers[0].share, 1.0);
}

TEST(a_balance_simulation, completes_each_request_once_and_uses_slots_again) {
    balance_simulation_options options;
    options.network = service_time::exponential(300us);
    options.timeout = 2ms;
    options.length = 200ms;
    options.load = arrivals::poisson(60'000);
    options.servers[1].faults = {server_fault::hang(50ms, 50ms)};
    struct checking final : picker {
        explicit checking(std::vector<std::size_t>& out) : under_way(out) {}
        void set_servers(std::span<const std::size_t> known) override { count = known.size(); }
        std::size_t pick(const simulated_request& request) override {
            under_way.resize(std::max<std::size_t>(under_way.size(), request.slot + 1), none);
            EXPECT_EQ(under_way[request.slot], none);
            return under_way[request.slot] = uniform_below(random, count);
        }
        void complete(const simulated_completion& done) override {
            EXPECT_EQ(under_way[done.slot], done.server);
            under_way[done.slot] = none;
        }
        std::vector<std::size_t>& under_way;
        splitmix64 random{1};
        std::size_t count = 0;
    };
    std::vector<std::size_t> under_way;
    balance_simulation world(options);
    const auto report = world.run([&](std::size_t) { return std::make_unique<checking>(under_way); });
    EXPECT_EQ(std::count(under_way.begin(), under_way.end(), picker::none),
              static_cast<std::ptrdiff_t>(under_way.size()));
    EXPECT_GT(report.requests.timeouts, 100U);
    EXPECT_LT(under_way.size(), 1000U) << "of about 12,000 requests";
}

TEST(a_balance_simulation, gives_each_client_its_own_requests_at_its_share_of_the_load) {
    balance_simulation_options options = calm();
    options.clients = 4;
    options.load = arrivals::poisson(40'000);
    std::vector<taking_turns> seen(4);
    balance_simulation world(options);
    static_cast<void>(world.run([&](std::size_t i) { return std::make_unique<borrowed>(seen[i]); }));
    for (const taking_turns& each : seen) {
        EXPECT_NEAR(static_cast<double>(each.completions.size()), 10'000.0, 400.0);
    }
    EXPECT_NE(seen[0].completions[0].now, seen[1].completions[0].now);
}

TEST(a_balance_simulation, draws_as_many_keys_as_it_is_told) {
    balance_simulation_options options = calm();
    options.keys = 7;
    struct noting final : picker {
        explicit noting(std::vector<std::uint64_t>& out) : keys(out) {}
        void set_servers(std::span<const std::size_t>) override {}
        std::size_t pick(const simulated_request& request) override {
            keys.push_back(request.key_hash);
            return 0;
        }
        void complete(const simulated_completion&) override {}
        std::vector<std::uint64_t>& keys;
    };
    std::vector<std::uint64_t> keys;
    balance_simulation world(options);
    static_cast<void>(world.run([&](std::size_t) { return std::make_unique<noting>(keys); }));
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(std::unique(keys.begin(), keys.end()) - keys.begin(), 7);
}

TEST(a_balance_simulation, leaves_the_warm_up_out) {
    balance_simulation_options options = calm();
    options.warm_up = 500ms;
    options.servers[0].faults = {server_fault::slow(5.0, 0s, 450ms)};
    const balance_report report = run(options);
    EXPECT_NEAR(static_cast<double>(report.requests.sent), 50.0, 1.0);
    EXPECT_EQ(*(report.latency.max)(), 1'000'000U);
}

TEST(a_balance_simulation, refuses_options_out_of_range_and_wrong_picks) {
    const auto refused = [](auto change) {
        balance_simulation_options options = calm();
        change(options);
        EXPECT_THROW(balance_simulation{options}, std::invalid_argument);
    };
    refused([](auto& o) { o.servers.clear(); });
    refused([](auto& o) { o.clients = 0; });
    refused([](auto& o) { o.length = 0s; });
    refused([](auto& o) { o.warm_up = o.length; });
    refused([](auto& o) { o.timeout = -1ns; });
    refused([](auto& o) { o.servers[0].slots = 0; });
    refused([](auto& o) { o.servers[0].leaves = 0s; });
    refused([](auto& o) { o.servers[0].faults = {server_fault::slow(0.0)}; });
    refused([](auto& o) { o.servers[0].faults = {server_fault::pause(1s, 2s).every(1s)}; });
    EXPECT_THROW(static_cast<void>(arrivals::poisson(0.0)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(arrivals::bursts(1.0, 0)), std::invalid_argument);

    struct astray final : picker {
        void set_servers(std::span<const std::size_t>) override {}
        std::size_t pick(const simulated_request&) override { return 1; }
        void complete(const simulated_completion&) override {}
    };
    balance_simulation world(calm());
    EXPECT_THROW(static_cast<void>(world.run([](std::size_t) { return std::make_unique<astray>(); })),
                 std::out_of_range);
}

TEST(a_balance_report, prints_servers_and_tables) {
    balance_simulation_options options = calm();
    options.servers.push_back(options.servers[0]);
    const balance_report report = run(options);
    std::ostringstream out;
    const std::vector<balance_row> rows = {{"turns", &report}};
    print_table(out, rows);
    out << report;
    EXPECT_NE(out.str().find("turns        1.00     1.00     1.00     1.00     0.000    50.00    50.00"),
              std::string::npos)
        << out.str();
    EXPECT_NE(out.str().find("unanswered 0"), std::string::npos);
}

}  // namespace
}  // namespace levee::testing
