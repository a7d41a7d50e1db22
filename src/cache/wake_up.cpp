#include "levee/cache/detail/wake_up.hpp"

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "cache/tracked_executor.hpp"
#include "cache/with_timeout.hpp"
#include "levee/core/error.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

template <class Handler>
struct wake_up::handler_sleeper final : sleeper {
    explicit handler_sleeper(Handler h) : handler(std::move(h)) {}

    void wake(bool is_cancelled) noexcept override {
        const auto executor = tracked_executor_of(handler);
        asio::post(executor, [is_cancelled, h = std::move(handler)]() mutable {
            auto slot = asio::get_associated_cancellation_slot(h);
            if (slot.is_connected()) {
                slot.clear();
            }
            std::move(h)(is_cancelled ? std::make_exception_ptr(error(errc::cancelled)) : nullptr);
        });
    }
    Handler handler;
};

void wake_up::notify() noexcept {
    std::vector<std::shared_ptr<sleeper>> woken;
    {
        const std::lock_guard lock(mutex_);
        woken.swap(asleep_);
        is_notified_ = woken.empty();
    }
    for (const auto& each : woken) {
        each->wake(false);
    }
    woken_.notify_one();
}

void wake_up::cancel(const sleeper* who) noexcept {
    std::shared_ptr<sleeper> cancelled;
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::find_if(asleep_.begin(), asleep_.end(),
                                        [who](const auto& each) { return each.get() == who; });
        if (found == asleep_.end()) {
            return;
        }
        cancelled = std::move(*found);
        asleep_.erase(found);
    }
    cancelled->wake(true);
}

void wake_up::wait_until(time_point until) {
    std::unique_lock lock(mutex_);
    woken_.wait_until(lock, until, [this] { return is_notified_; });
    is_notified_ = false;
}

// The coroutine's frame is held by the object it waits at, so it must not hold that.
asio::awaitable<bool> wake_up::notified(std::shared_ptr<wake_up> at) {
    const std::weak_ptr<wake_up> weak = std::exchange(at, nullptr);
    auto begin = [&weak](auto handler) {
        const auto self = weak.lock();
        auto slot = asio::get_associated_cancellation_slot(handler);
        const std::shared_ptr<sleeper> me =
            std::make_shared<handler_sleeper<std::decay_t<decltype(handler)>>>(std::move(handler));
        // Before anybody can wake it: its handler, with the slot, may run and be gone right after that.
        if (slot.is_connected()) {
            slot.assign(
                [weak = std::weak_ptr<wake_up>(self), who = me.get()](asio::cancellation_type /*any*/) {
                    if (const auto still = weak.lock()) {
                        still->cancel(who);
                    }
                });
        }
        bool is_awake = self == nullptr;
        if (!is_awake) {
            const std::lock_guard lock(self->mutex_);
            is_awake = std::exchange(self->is_notified_, false);
            if (!is_awake) {
                self->asleep_.push_back(me);
            }
        }
        if (is_awake) {
            me->wake(false);
        }
    };
    co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
        begin, asio::use_awaitable);
    co_return true;
}

asio::awaitable<void> wake_up::async_wait(std::shared_ptr<wake_up> self) {
    co_await notified(std::move(self));
}

void wake_up::notify_at(const std::shared_ptr<async::scheduler>& time, time_point when) {
    auto next = std::make_unique<alarm>(time, when, [weak = weak_from_this()] {
        if (const auto still = weak.lock()) {
            still->notify();
        }
    });
    const std::lock_guard lock(mutex_);
    alarm_.swap(next);
}

void wake_up::notify_never() noexcept {
    std::unique_ptr<alarm> called_off;
    const std::lock_guard lock(mutex_);
    alarm_.swap(called_off);
}

asio::awaitable<void> wake_up::async_wait_until(std::shared_ptr<wake_up> self,
                                                std::shared_ptr<async::scheduler> time, time_point until) {
    auto work = notified(self);
    const duration left = until - time->now();
    co_await with_timeout<bool>(time, left, std::move(work));
}

}  // namespace levee::cache_detail
