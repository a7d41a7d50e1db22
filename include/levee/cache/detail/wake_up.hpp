/// A tap on the shoulder for one that sleeps: a thread or a coroutine.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/cache/detail/alarm.hpp"
#include "levee/core/clock.hpp"

namespace levee::cache_detail {

/// One sleeper at a time; a tap that finds nobody asleep wakes the next one at once.
///
/// Thread safety: `notify` is safe; sleeping is for one.
class wake_up : public std::enable_shared_from_this<wake_up> {
public:
    void notify() noexcept;

    /// Blocks: until `until`, or until notified.
    void wait_until(time_point until);

    /// The same for a coroutine. Cancelled (terminal), it throws.
    [[nodiscard]] static boost::asio::awaitable<void> async_wait_until(std::shared_ptr<wake_up> self,
                                                                       std::shared_ptr<async::scheduler> time,
                                                                       time_point until);

    /// For as long as it takes. Whoever waits so is to be notified in the end, come what may, as `notify_at`
    /// does: nothing else frees the coroutine, and what it holds. Cancelled (terminal), it throws.
    [[nodiscard]] static boost::asio::awaitable<void> async_wait(std::shared_ptr<wake_up> self);

    /// Notifies at that time, if this object still exists then; the time of an earlier call is called off.
    void notify_at(const std::shared_ptr<async::scheduler>& time, time_point when);
    /// At no time: nothing of `notify_at` is left.
    void notify_never() noexcept;

private:
    struct sleeper {
        virtual ~sleeper() = default;
        virtual void wake(bool is_cancelled) noexcept = 0;
    };
    template <class Handler>
    struct handler_sleeper;

    [[nodiscard]] static boost::asio::awaitable<bool> notified(std::shared_ptr<wake_up> at);
    void cancel(const sleeper* who) noexcept;

    std::mutex mutex_;  // guards all below
    std::condition_variable woken_;
    bool is_notified_ = false;
    std::unique_ptr<alarm> alarm_;
    std::vector<std::shared_ptr<sleeper>> asleep_;  // more than one while a cancelled one is on its way out
};

}  // namespace levee::cache_detail
