/// Sends requests as users do: whether or not the system keeps up.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"
#include "levee/monitor/latency_summary.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "levee/testing/load_profile.hpp"

namespace levee::testing {

/// What became of a profile's requests.
struct load_report {
    std::uint64_t planned = 0;    ///< In the schedule.
    std::uint64_t sent = 0;       ///< Fewer if it was stopped, or `load_profile::max_time` was over.
    std::uint64_t succeeded = 0;  ///< Of those sent.
    std::uint64_t failed = 0;     ///< The rest of those sent.
    duration elapsed{};           ///< From the start to the last answer, or to the stop.

    /// The longest time that a request was sent after it was due. Where it is long beside the latencies,
    /// there were too few threads or too little `max_in_flight`, on purpose or not, and the latencies tell
    /// of these as well.
    duration longest_lag{};

    latency_summary latency{};          ///< Of those that succeeded, from when each was due.
    latency_summary failure_latency{};  ///< Of those that failed.

    /// Everything that was planned was sent.
    [[nodiscard]] bool is_complete() const noexcept { return sent == planned; }
};

struct load_generator_options {
    /// Threads of `run`: so many requests are under way at once, at most. In [1, 1024].
    std::size_t threads = 8;

    /// Requests of `async_run` under way at once, at most; further ones wait, and are charged for it. Bounds
    /// the memory when nothing is answered. In [1, 1'000'000].
    std::size_t max_in_flight = 10'000;
};

/// Runs a load profile against a function: open loop.
///
///     percentile_monitor monitor;
///     testing::load_generator load(testing::load_profile::spike(1'000, 20'000, 10s, 2s),
///                                  monitor.operation("get"));
///     const testing::load_report report = load.run([&] { client.get("42"); });
///
/// A request's latency counts from when it was due, not from when it was sent. So a stall of the system is
/// charged to all requests that were due meanwhile, as it is to users; a loop that sends the next request
/// when it has the answer to the last would count one slow request (coordinated omission: Tene, "How NOT to
/// measure latency", 2013). For the same reason a request that is sent late, because all threads are busy
/// or the kernel woke one late (some 60 µs), shows it.
///
/// Thread safety: safe, also for several runs at once; each goes through the same schedule. The monitor must
/// outlive it and its runs. Cost: the schedule is gone through once more beforehand, to count it (20 ns a
/// request); memory does not grow with its length.
class load_generator {
public:
    /// Errors: std::invalid_argument naming the field that is out of range.
    load_generator(load_profile profile, percentile_monitor::handle operation,
                   load_generator_options options = {});

    /// Calls `request` at each moment of the schedule, on threads of its own, and waits for the last answer.
    /// A request fails by throwing; the exception is counted and dropped. Must be safe to call from several
    /// threads. Sends no more once `stop` is requested, and returns when what is under way has ended.
    /// Errors: std::system_error if a thread cannot be made; those that were are joined.
    [[nodiscard]] load_report run(const std::function<void()>& request,
                                  const std::stop_token& stop = {}) const;

    /// Spawns `request()` at each moment of the schedule, on the scheduler's executor, and completes with the
    /// last answer. A request fails by throwing; if the executor has several threads, they run it at once.
    /// Cancelled (terminally), it sends no more, waits for what is under way, and gives the report of that.
    /// Requests that never end keep it from completing: give them a deadline.
    /// The scheduler's context must not be destroyed while it waits, except together with it.
    ///
    ///     const std::function<asio::awaitable<void>()> request = [&] { return client.async_get("42"); };
    ///     const testing::load_report report = co_await load.async_run(request, scheduler);
    [[nodiscard]] boost::asio::awaitable<load_report> async_run(
        const std::function<boost::asio::awaitable<void>()>& request,
        std::shared_ptr<async::scheduler> time) const;

    /// Name the function first: g++ 12 destroys temporaries within a co_await expression twice.
    boost::asio::awaitable<load_report> async_run(std::function<boost::asio::awaitable<void>()>&& request,
                                                  std::shared_ptr<async::scheduler> time) const = delete;

    [[nodiscard]] const load_profile& profile() const noexcept { return profile_; }

    /// How many requests the schedule has.
    [[nodiscard]] std::uint64_t planned() const noexcept { return planned_; }

private:
    load_profile profile_;
    percentile_monitor::handle operation_;
    load_generator_options options_;
    std::uint64_t planned_;
};

}  // namespace levee::testing
