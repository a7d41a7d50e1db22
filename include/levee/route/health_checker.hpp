/// Health checks: asks endpoints regularly whether they work, and tells their set.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "levee/async/scheduler.hpp"
#include "levee/balance/endpoint.hpp"
#include "levee/balance/endpoint_set.hpp"
#include "levee/core/clock.hpp"

namespace levee::route {

/// Asks one endpoint. Returning means that it is well, throwing that it is not. It should heed
/// cancellation, which comes when its time is up, and owns what it uses.
using health_probe = std::function<boost::asio::awaitable<void>(endpoint)>;

/// Well if a TCP connection to host and port can be made; it is closed at once. Names are resolved each
/// time; the first of a name's addresses that answers is enough.
[[nodiscard]] health_probe tcp_probe();

/// What one probe found.
struct probe_report {
    std::string endpoint;      ///< Its id.
    std::exception_ptr error;  ///< Null: it is well. errc::timeout: no answer in time.
    duration took{};
    bool is_healthy = true;    ///< What the set is told, this probe taken into account.
    bool has_changed = false;  ///< It was the opposite before.
};

/// Defaults after HAProxy: every 2 s, 2 good ones to rise, 3 bad ones to fall.
struct health_checker_options {
    /// From the beginning of one probe of an endpoint to the beginning of the next. Above zero.
    duration interval = std::chrono::seconds(2);

    /// Each interval is longer or shorter by up to this share, so that clients do not probe in step. The
    /// first probe comes within one interval. In [0, 1).
    double jitter = 0.2;

    /// What takes longer has failed, and is cancelled. Above zero.
    duration timeout = std::chrono::seconds(1);

    /// Good probes in a row that make an unhealthy endpoint healthy. At least 1.
    std::uint32_t rise = 2;

    /// Bad probes in a row that make a healthy endpoint unhealthy. At least 1.
    std::uint32_t fall = 3;

    /// Told of each probe, on the scheduler's executor, under no lock. Empty: nobody. What it throws is
    /// dropped.
    std::function<void(const probe_report&)> observer{};

    /// Of the jitter. Zero: a random one.
    std::uint64_t seed = 0;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const health_checker_options& options);

/// Probes all endpoints of a set as long as it lives, those that join included, and calls
/// `endpoint_set::set_health`. Endpoints begin as the set knows them: healthy, unless told otherwise.
///
///     route::health_checker checker(endpoints, route::tcp_probe(), {.interval = 2s},
///                                   async::steady_scheduler(runtime.get_executor()));
///
/// An endpoint has one probe at a time. One that goes on after its timeout counts as failed again at each
/// interval, and no other is begun. Removing an endpoint cancels its probe, which then counts no more.
///
/// Thread safety: safe. Blocks: never. Destruction cancels the probes and does not wait for them; none
/// reports to the set once it has returned, unless it is just doing so on another thread.
class health_checker {
public:
    /// Errors: std::invalid_argument, also for an empty probe or a null scheduler. The scheduler's executor
    /// must outlive this.
    health_checker(endpoint_set endpoints, health_probe probe, health_checker_options options,
                   std::shared_ptr<async::scheduler> scheduler);
    ~health_checker();
    health_checker(const health_checker&) = delete;
    health_checker& operator=(const health_checker&) = delete;

private:
    class core;
    std::shared_ptr<core> core_;
};

}  // namespace levee::route

namespace levee {
using route::health_checker;
using route::health_checker_options;
}  // namespace levee
