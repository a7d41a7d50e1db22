/// Waiting: the one interface through which levee sleeps, so that tests can run on virtual time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "levee/core/clock.hpp"

namespace levee::async {

/// Tells the time and waits for it. Everything in levee that waits asynchronously does it through one of
/// these: `steady_scheduler` in programs, `testing::simulation` in tests.
///
/// Thread safety: safe on a shared object.
class scheduler {
public:
    virtual ~scheduler() = default;

    /// Where work that belongs to this scheduler runs.
    [[nodiscard]] virtual boost::asio::any_io_executor executor() const = 0;

    /// The time now, on the time line that `sleep_until` waits on.
    [[nodiscard]] virtual time_point now() const noexcept = 0;

    /// Completes once `now() >= until`, on the executor of the awaiting coroutine; at once when that is
    /// past already, but never without suspending. A cancelled sleep throws errc::cancelled.
    [[nodiscard]] virtual boost::asio::awaitable<void> sleep_until(time_point until) = 0;

protected:
    scheduler() = default;
    scheduler(const scheduler&) = default;
    scheduler& operator=(const scheduler&) = default;
};

/// Real time: timers on `executor`, `std::chrono::steady_clock` for `now`.
[[nodiscard]] std::shared_ptr<scheduler> steady_scheduler(boost::asio::any_io_executor executor);

}  // namespace levee::async
