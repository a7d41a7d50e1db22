/// A call at a time, which can be called off.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <memory>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"

namespace levee::cache_detail {

/// Set by its constructor, called off by its destructor, which leaves no timer behind: a context whose work
/// has ended runs dry. A call that has begun by then goes on, so it must own what it uses.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class alarm {
public:
    /// `ring` is called once, where the scheduler runs, under no lock. It must not throw.
    alarm(const std::shared_ptr<async::scheduler>& time, time_point when, std::function<void()> ring);
    ~alarm();
    alarm(const alarm&) = delete;
    alarm& operator=(const alarm&) = delete;

private:
    struct shared {
        boost::asio::cancellation_signal stop{};
        std::atomic<bool> has_rung{false};
    };
    [[nodiscard]] static boost::asio::awaitable<void> sleep(std::shared_ptr<shared> state,
                                                            std::shared_ptr<async::scheduler> time,
                                                            time_point when, std::function<void()> ring);

    const boost::asio::any_io_executor strand_;
    const std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

}  // namespace levee::cache_detail
