#include "levee/testing/load_generator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "levee/testing/manual_clock.hpp"
#include "levee/testing/simulation.hpp"
#include "testing/load_threads.hpp"

namespace levee::testing {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using coroutine = std::function<asio::awaitable<void>()>;

load_profile evenly(double per_second, duration length) {
    load_profile profile = load_profile::load(per_second, length);
    profile.pattern = arrival_pattern::constant;
    return profile;
}

// How many took that long, to the buckets' 0.8 %.
std::uint64_t at_least(const percentile_monitor& monitor, duration latency) {
    return monitor.histograms("load").succeeded.count_between(static_cast<std::uint64_t>(latency.count()),
                                                              UINT64_MAX);
}

// Of a stall of 100 ms at 1,000 requests a second: latencies fall evenly from 100 ms to 1 ms.
void expect_the_stall(const percentile_monitor& monitor) {
    EXPECT_NEAR(static_cast<double>(at_least(monitor, 500us)), 100, 2);
    EXPECT_NEAR(static_cast<double>(at_least(monitor, 50ms)), 50, 2);
}

/// The asynchronous form in virtual time.
struct virtual_run {
    explicit virtual_run(const load_profile& profile, load_generator_options options = {})
        : load(profile, monitor.operation("load"), options) {}

    void start(const coroutine& request) {
        begun = world.now();
        asio::co_spawn(world.executor(), load.async_run(request, world.scheduler()),
                       asio::bind_cancellation_slot(
                           cancel.slot(), [this](std::exception_ptr failed, const load_report& done) {
                               failure = failed;
                               report = done;
                           }));
    }
    const load_report& finish(const coroutine& request) {
        start(request);
        world.run();
        return report.value();
    }
    [[nodiscard]] duration now() const { return world.now() - begun; }
    [[nodiscard]] asio::awaitable<void> sleep_until(duration since_begun) {
        return world.scheduler()->sleep_until(begun + since_begun);
    }

    percentile_monitor monitor;
    simulation world{1};
    load_generator load;
    asio::cancellation_signal cancel;
    time_point begun{};
    std::optional<load_report> report;
    std::exception_ptr failure;
};

TEST(a_load_generator, sends_each_request_when_it_is_due) {
    const load_profile profile = load_profile::spike(10, 200, 2s, 1s);
    virtual_run run(profile);
    std::vector<duration> sent;
    const coroutine note = [&]() -> asio::awaitable<void> {
        sent.push_back(run.now());
        co_return;
    };
    const load_report report = run.finish(note);
    std::vector<duration> due;
    for (arrival_schedule schedule(profile); const auto next = schedule.next();) {
        due.push_back(*next);
    }
    EXPECT_EQ(sent, due);
    EXPECT_TRUE(report.is_complete());
    EXPECT_EQ(report.planned, due.size());
    EXPECT_EQ(report.succeeded, due.size());
    EXPECT_EQ(report.failed, 0U);
    EXPECT_EQ(report.elapsed, due.back());
    EXPECT_EQ(report.longest_lag, 0s);
    EXPECT_EQ(report.latency.count, due.size());
    EXPECT_EQ(report.latency.max, 0s);
    EXPECT_EQ(run.monitor.stats("load").count, due.size());
}

TEST(a_load_generator, charges_a_stalled_client_to_all_who_were_due_meanwhile) {
    virtual_run run(evenly(1000, 1s), {.max_in_flight = 1});
    int number = 0;
    const coroutine stalls_once = [&]() -> asio::awaitable<void> {
        if (number++ == 500) {
            co_await run.sleep_until(600ms);
        }
    };
    const load_report report = run.finish(stalls_once);
    expect_the_stall(run.monitor);
    EXPECT_EQ(report.sent, 1000U);
    EXPECT_EQ(report.latency.max, 100ms);
    EXPECT_EQ(report.longest_lag, 99ms) << "the next one's";
}

TEST(a_load_generator, sends_on_while_the_system_stalls) {
    virtual_run run(evenly(1000, 1s));
    const coroutine stalls = [&]() -> asio::awaitable<void> {
        if (run.now() >= 500ms && run.now() < 600ms) {
            co_await run.sleep_until(600ms);
        }
    };
    const load_report report = run.finish(stalls);
    expect_the_stall(run.monitor);
    EXPECT_EQ(report.longest_lag, 0s);
}

TEST(a_load_generator, has_no_more_requests_under_way_than_allowed) {
    virtual_run run(evenly(1000, 1s), {.max_in_flight = 7});
    int now = 0;
    int most = 0;
    const coroutine slow = [&]() -> asio::awaitable<void> {
        most = std::max(most, ++now);
        co_await run.sleep_until(run.now() + 10ms);
        --now;
    };
    EXPECT_EQ(run.finish(slow).succeeded, 1000U);
    EXPECT_EQ(most, 7);
}

TEST(a_load_generator, counts_failures_apart) {
    virtual_run run(evenly(100, 1s));
    int number = 0;
    const coroutine fails_each_fourth = [&]() -> asio::awaitable<void> {
        const bool fails = ++number % 4 == 0;
        co_await run.sleep_until(run.now() + (fails ? 3ms : 1ms));
        if (fails) {
            throw std::runtime_error("refused");
        }
    };
    const load_report report = run.finish(fails_each_fourth);
    EXPECT_EQ(report.failed, 25U);
    EXPECT_EQ(report.succeeded, 75U);
    EXPECT_EQ(report.latency.max, 1ms);
    EXPECT_EQ(report.failure_latency.count, 25U);
    EXPECT_EQ(report.failure_latency.min, 3ms);
    EXPECT_EQ(run.monitor.stats("load").failures, 25U);
}

TEST(a_load_generator, reports_its_run_only) {
    virtual_run run(evenly(100, 1s));
    run.monitor.record("load", 1h);
    const coroutine nothing = []() -> asio::awaitable<void> { co_return; };
    EXPECT_EQ(run.finish(nothing).latency.max, 0s);
    EXPECT_EQ(run.finish(nothing).latency.count, 100U) << "a second run of the same schedule";
    EXPECT_EQ(run.monitor.stats("load").count, 201U);
}

TEST(a_load_generator, sends_nothing_after_the_longest_time) {
    load_profile profile = evenly(1000, 1s);
    profile.max_time = 2s;
    virtual_run run(profile, {.max_in_flight = 1});
    const coroutine slow = [&]() -> asio::awaitable<void> { co_await run.sleep_until(run.now() + 10ms); };
    const load_report report = run.finish(slow);
    EXPECT_EQ(report.planned, 1000U);
    EXPECT_EQ(report.sent, 201U) << "at 0, 10, ... 2,000 ms";
    EXPECT_FALSE(report.is_complete());
    EXPECT_EQ(report.elapsed, 2010ms);
}

TEST(a_load_generator, waits_for_what_is_under_way_when_cancelled) {
    virtual_run run(evenly(100, 1s));
    const coroutine slow = [&]() -> asio::awaitable<void> { co_await run.sleep_until(run.now() + 200ms); };
    run.start(slow);
    run.world.run_for(505ms);
    run.cancel.emit(asio::cancellation_type::terminal);
    run.world.run_for(100ms);
    EXPECT_FALSE(run.report) << "the last one takes until 700 ms";
    run.world.run();
    ASSERT_TRUE(run.report);
    EXPECT_EQ(run.failure, nullptr);
    EXPECT_EQ(run.report->sent, 51U);
    EXPECT_EQ(run.report->succeeded, 51U);
    EXPECT_EQ(run.report->planned, 100U);
    EXPECT_EQ(run.report->elapsed, 700ms);
}

TEST(a_load_generator, can_be_cancelled_while_it_waits_for_room) {
    virtual_run run(evenly(1000, 1s), {.max_in_flight = 1});
    const coroutine slow = [&]() -> asio::awaitable<void> { co_await run.sleep_until(run.now() + 100ms); };
    run.start(slow);
    run.world.run_for(50ms);
    run.cancel.emit(asio::cancellation_type::terminal);
    run.world.run();
    EXPECT_EQ(run.report.value().sent, 1U);
}

TEST(a_load_generator, may_go_before_its_run_begins) {
    percentile_monitor monitor;
    simulation world(1);
    std::optional<load_report> report;
    std::optional<load_generator> load(std::in_place, evenly(10, 1s), monitor.operation("load"));
    {
        const coroutine nothing = []() -> asio::awaitable<void> { co_return; };
        asio::co_spawn(world.executor(), load->async_run(nothing, world.scheduler()),
                       [&](std::exception_ptr, const load_report& done) { report = done; });
    }
    load.reset();
    world.run();
    EXPECT_EQ(report.value().succeeded, 10U);
}

TEST(a_load_generator, is_destroyed_with_its_context) {
    percentile_monitor monitor;
    const load_generator load(evenly(1000, 1s), monitor.operation("load"));
    {
        simulation world(1);
        const coroutine never = [&]() -> asio::awaitable<void> {
            co_await world.scheduler()->sleep_until((time_point::max)());
        };
        asio::co_spawn(world.executor(), load.async_run(never, world.scheduler()), asio::detached);
        world.run_for(100ms);
    }
    EXPECT_EQ(monitor.stats("load").count, 0U);
}

TEST(a_load_generator, serves_an_executor_of_several_threads) {
    percentile_monitor monitor;
    asio::thread_pool pool(2);
    load_profile profile = evenly(100'000, 20ms);
    profile.max_time = 1h;  // however slow the machine
    const load_generator load(profile, monitor.operation("load"), {.max_in_flight = 16});
    const coroutine yields = []() -> asio::awaitable<void> {
        auto executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, asio::use_awaitable);
    };
    std::optional<load_report> report;
    asio::co_spawn(pool, load.async_run(yields, async::steady_scheduler(pool.get_executor())),
                   [&](std::exception_ptr, const load_report& done) { report = done; });
    pool.join();
    EXPECT_EQ(report.value().planned, 2000U);
    EXPECT_EQ(report->sent, 2000U);
    EXPECT_EQ(report->succeeded, report->sent);
    EXPECT_EQ(monitor.stats("load").count, report->sent);
}

// The blocking form

/// Time that passes when a thread waits for it.
class manual_pacer final : public testing_detail::pacer {
public:
    [[nodiscard]] time_point now() const noexcept override { return clock.now(); }
    void wait_until(time_point until, const std::stop_token& /*stop*/) override { clock.set(until); }

    manual_clock clock;
};

struct manual_run {
    load_report run(const load_profile& profile, const std::function<void()>& request) {
        testing_detail::load_tally tally(monitor.operation("load"));
        testing_detail::run_on_threads(profile, 1, time, tally, request, stop.get_token());
        return tally.report(arrival_schedule::size(profile));
    }

    percentile_monitor monitor;
    manual_pacer time;
    std::stop_source stop;
};

TEST(a_blocking_load_generator, charges_a_stall_to_all_who_were_due_meanwhile) {
    manual_run manual;
    int number = 0;
    const load_report report = manual.run(evenly(1000, 1s), [&] {
        if (number++ == 500) {
            manual.time.clock.advance(100ms);
        }
    });
    expect_the_stall(manual.monitor);
    EXPECT_EQ(report.succeeded, 1000U);
    EXPECT_EQ(report.latency.max, 100ms);
    EXPECT_EQ(report.longest_lag, 99ms);
}

TEST(a_blocking_load_generator, sends_nothing_after_the_longest_time) {
    manual_run manual;
    load_profile profile = evenly(1000, 1s);
    profile.max_time = 2s;
    const load_report report = manual.run(profile, [&] { manual.time.clock.advance(10ms); });
    EXPECT_EQ(report.sent, 201U);
    EXPECT_EQ(report.planned, 1000U);
}

TEST(a_blocking_load_generator, sends_nothing_once_it_is_stopped) {
    manual_run manual;
    int number = 0;
    const load_report report = manual.run(evenly(1000, 1s), [&] {
        if (++number == 300) {
            manual.stop.request_stop();
        }
    });
    EXPECT_EQ(report.sent, 300U);
    EXPECT_EQ(report.succeeded, 300U);
    EXPECT_EQ(report.elapsed, 299ms);
}

TEST(a_blocking_load_generator, sends_from_all_its_threads) {
    percentile_monitor monitor;
    load_profile profile = evenly(100'000, 20ms);
    profile.max_time = 1h;  // however slow the machine
    const load_generator load(profile, monitor.operation("load"), {.threads = 4});
    std::atomic<int> calls{0};
    const load_report report = load.run([&] {
        if (calls.fetch_add(1) % 10 == 0) {
            throw std::runtime_error("refused");
        }
    });
    EXPECT_EQ(calls.load(), 2000);
    EXPECT_EQ(report.planned, 2000U);
    EXPECT_EQ(report.sent, 2000U);
    EXPECT_EQ(report.failed, 200U);
    EXPECT_EQ(report.latency.count, 1800U);
    EXPECT_EQ(monitor.stats("load").count, 1800U);
    EXPECT_EQ(monitor.stats("load").failures, 200U);
}

TEST(a_blocking_load_generator, is_stopped_while_it_waits) {
    percentile_monitor monitor;
    const load_generator load(evenly(0.01, 30min), monitor.operation("load"), {.threads = 3});
    std::stop_source stop;
    EXPECT_EQ(load.run([&] { stop.request_stop(); }, stop.get_token()).sent, 1U)
        << "the second one would be due after 100 s";
    EXPECT_EQ(load.run([] {}, stop.get_token()).sent, 0U) << "stopped before it began";
}

TEST(a_load_generator, refuses_wrong_options_by_name) {
    percentile_monitor monitor;
    const auto refusal = [&](const load_profile& profile, load_generator_options options) -> std::string {
        try {
            const load_generator load(profile, monitor.operation("load"), options);
        } catch (const std::invalid_argument& problem) {
            return problem.what();
        }
        return "accepted";
    };
    EXPECT_EQ(refusal(evenly(1, 1s), {.threads = 0}),
              "load_generator_options::threads is 0; it must be in [1, 1024]");
    EXPECT_EQ(refusal(evenly(1, 1s), {.max_in_flight = 0}),
              "load_generator_options::max_in_flight is 0; it must be in [1, 1000000]");
    EXPECT_NE(refusal({}, {}).find("load_profile::phases"), std::string::npos);
}

}  // namespace
}  // namespace levee::testing
