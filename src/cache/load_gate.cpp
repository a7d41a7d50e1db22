#include "levee/cache/detail/load_gate.hpp"

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <exception>
#include <utility>

#include "cache/tracked_executor.hpp"
#include "cache/with_timeout.hpp"
#include "levee/core/error.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

struct load_gate::blocking_waiter final : waiter {
    void admit(bool has_place) noexcept override {
        const std::lock_guard lock(mutex);
        is_admitted = has_place;
        admitted.notify_one();
    }
    std::mutex mutex;
    std::condition_variable admitted;
    bool is_admitted = false;
};

template <class Handler>
struct load_gate::async_waiter final : waiter {
    explicit async_waiter(Handler h) : handler(std::move(h)) {}

    void admit(bool has_place) noexcept override {
        const auto executor = tracked_executor_of(handler);
        asio::post(executor, [has_place, h = std::move(handler)]() mutable {
            auto slot = asio::get_associated_cancellation_slot(h);
            if (slot.is_connected()) {
                slot.clear();
            }
            std::move(h)(has_place ? nullptr : std::make_exception_ptr(error(errc::cancelled)));
        });
    }
    Handler handler;
};

load_gate::place load_gate::try_enter() {
    const std::lock_guard lock(mutex_);
    if (most_ != 0 && running_ >= most_) {
        return {};
    }
    ++running_;
    return place(shared_from_this());
}

load_gate::place load_gate::enter(time_point deadline) {
    auto me = std::make_shared<blocking_waiter>();
    {
        const std::lock_guard lock(mutex_);
        if (most_ == 0 || running_ < most_) {
            ++running_;
            return place(shared_from_this());
        }
        waiting_.push_back(me);
    }
    std::unique_lock lock(me->mutex);
    if (!me->admitted.wait_until(lock, deadline, [&] { return me->is_admitted; })) {
        lock.unlock();
        if (withdraw(me.get())) {
            return {};
        }
        lock.lock();
        me->admitted.wait(lock, [&] { return me->is_admitted; });  // it is on its way
    }
    return place(shared_from_this());
}

// The coroutine's frame is held by the gate while it waits, so it must not hold the gate.
asio::awaitable<load_gate::place> load_gate::wait_for_place(std::shared_ptr<load_gate> gate) {
    const std::weak_ptr<load_gate> weak = std::exchange(gate, nullptr);
    auto begin = [&weak](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto me = std::make_shared<async_waiter<std::decay_t<decltype(handler)>>>(std::move(handler));
        const auto self = weak.lock();
        if (self == nullptr) {
            me->admit(false);
            return;
        }
        bool is_free = false;
        {
            const std::lock_guard lock(self->mutex_);
            is_free = self->most_ == 0 || self->running_ < self->most_;
            if (is_free) {
                ++self->running_;
            } else {
                self->waiting_.push_back(me);
            }
        }
        if (is_free) {
            me->admit(true);
        } else if (slot.is_connected()) {
            // Runs on the handler's executor, as the admission's handler does, which clears the slot.
            slot.assign([weak, me = std::weak_ptr<waiter>(me)](asio::cancellation_type /*any*/) {
                const auto still = weak.lock();
                const auto waiting = me.lock();
                if (still != nullptr && waiting != nullptr && still->withdraw(waiting.get())) {
                    waiting->admit(false);
                }
            });
        }
    };
    co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
        begin, asio::use_awaitable);
    co_return place(weak.lock());
}

asio::awaitable<load_gate::place> load_gate::async_enter(std::shared_ptr<async::scheduler> time,
                                                         time_point deadline) {
    auto work = wait_for_place(shared_from_this());
    const duration left = deadline - time->now();
    auto made = co_await with_timeout<place>(time, left, std::move(work));
    if (made.error != nullptr) {
        std::rethrow_exception(made.error);
    }
    co_return std::move(*made.value);
}

void load_gate::leave() noexcept {
    std::shared_ptr<waiter> next;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            --running_;
            return;
        }
        next = std::move(waiting_.front());  // the place goes from hand to hand
        waiting_.pop_front();
    }
    next->admit(true);
}

bool load_gate::withdraw(const waiter* who) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [who](const auto& waiting) { return waiting.get() == who; });
    if (found == waiting_.end()) {
        return false;
    }
    waiting_.erase(found);
    return true;
}

}  // namespace levee::cache_detail
