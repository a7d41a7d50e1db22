// An awaitable that is given so much time.
//
// Not by Boost 1.81's awaitable operators: a child of theirs that ends without suspending while it is
// cancelled throws out of its executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "cache/tracked_executor.hpp"
#include "levee/async/scheduler.hpp"
#include "levee/core/error.hpp"

namespace levee::cache_detail {

/// For commands without an answer: that they ended is one.
inline boost::asio::awaitable<bool> ended(boost::asio::awaitable<void> work) {
    co_await std::move(work);
    co_return true;
}

/// Work that must not outlive `kept`.
template <class Kept, class T>
boost::asio::awaitable<T> keeping(std::shared_ptr<Kept> kept, boost::asio::awaitable<T> work) {
    static_cast<void>(kept);
    co_return co_await std::move(work);
}

/// A value, or why there is none.
template <class T>
struct attempt_of {
    std::optional<T> value{};
    std::exception_ptr error{};
};

/// The work and its timer, on one strand; whichever ends first decides, and the other is cancelled.
/// The work may go on for a while after that: it owns what it uses.
template <class T>
class timed_work : public std::enable_shared_from_this<timed_work<T>> {
    using signal_ptr = std::shared_ptr<boost::asio::cancellation_signal>;

public:
    explicit timed_work(std::shared_ptr<async::scheduler> time)
        : time_(std::move(time)), strand_(boost::asio::make_strand(time_->executor())) {}

    /// `done` is called once, on the strand; or destroyed, should the executor drop what runs on it. It may
    /// be called, and everything of the caller's be gone, before this returns.
    void start(boost::asio::awaitable<T> work, time_point until, std::function<void()> done) {
        done_ = std::move(done);
        const auto self = this->shared_from_this();
        boost::asio::post(strand_, [self, work = run(runner(self), std::move(work)),
                                    timer = sleep(runner(self), until)]() mutable {
            self->spawn(std::move(work), self->stop_work_);
            self->spawn(std::move(timer), self->stop_timer_);
        });
    }

    /// From any thread.
    void cancel() {
        boost::asio::post(strand_, [self = this->shared_from_this()] {
            self->decide({.error = std::make_exception_ptr(error(errc::cancelled))});
        });
    }

    [[nodiscard]] attempt_of<T> take() { return std::move(result_); }

private:
    // Belongs to a coroutine's frame: whoever waits holds this object and is held by it, until one of the
    // two has ended, whichever way.
    class runner {
    public:
        explicit runner(std::shared_ptr<timed_work> of) : of_(std::move(of)) {}
        runner(runner&&) noexcept = default;
        runner& operator=(runner&&) = delete;
        ~runner() {
            if (of_ != nullptr) {
                const auto dropped = std::exchange(of_->done_, nullptr);
            }
        }
        timed_work* operator->() const noexcept { return of_.get(); }

    private:
        std::shared_ptr<timed_work> of_;
    };

    static boost::asio::awaitable<void> run(runner self, boost::asio::awaitable<T> work) {
        attempt_of<T> made;
        try {
            made.value.emplace(co_await std::move(work));
        } catch (...) {
            made.error = std::current_exception();
        }
        self->decide(std::move(made));
    }

    static boost::asio::awaitable<void> sleep(runner self, time_point until) {
        co_await self->time_->sleep_until(until);
        self->decide({.error = std::make_exception_ptr(error(errc::timeout))});
    }

    void decide(attempt_of<T> made) {
        if (!std::exchange(is_decided_, true)) {
            result_ = std::move(made);
            emit(stop_work_);
            emit(stop_timer_);
            std::exchange(done_, nullptr)();
        }
    }

    // As in asio_flight.cpp: spawned and emitted on the strand, in this order, and the signal kept for the
    // step that Boost 1.81 makes through a pointer into it. Both are spawned before either is emitted.
    void spawn(boost::asio::awaitable<void> work, const signal_ptr& stopped_by) {
        const auto slot = stopped_by->slot();
        boost::asio::co_spawn(strand_, std::move(work),
                              boost::asio::bind_cancellation_slot(
                                  slot, [stopped_by](const std::exception_ptr& /*reported*/) {}));
    }

    void emit(const signal_ptr& signal) {
        boost::asio::post(strand_, [strand = strand_, signal] {
            signal->emit(boost::asio::cancellation_type::terminal);
            boost::asio::post(strand, [signal] { static_cast<void>(signal); });
        });
    }

    const std::shared_ptr<async::scheduler> time_;
    const boost::asio::any_io_executor strand_;
    // All below: on the strand, once started.
    const signal_ptr stop_work_ = std::make_shared<boost::asio::cancellation_signal>();
    const signal_ptr stop_timer_ = std::make_shared<boost::asio::cancellation_signal>();
    std::function<void()> done_{};
    attempt_of<T> result_{};
    bool is_decided_ = false;
};

/// What `work` brings within `limit`; then it is cancelled (terminal) and not waited for, so it must own what
/// it uses. The same when the caller is cancelled.
template <class T>
boost::asio::awaitable<attempt_of<T>> with_timeout(std::shared_ptr<async::scheduler> time, duration limit,
                                                   boost::asio::awaitable<T> work) {
    const auto timed = std::make_shared<timed_work<T>>(time);
    const time_point until = after(time->now(), limit);
    auto begin = [&](auto handler) {
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            slot.assign([timed](boost::asio::cancellation_type /*any*/) { timed->cancel(); });
        }
        const auto held = std::make_shared<decltype(handler)>(std::move(handler));
        timed->start(std::move(work), until, [held] {
            const auto executor = tracked_executor_of(*held);
            boost::asio::post(executor, [handler = std::move(*held)]() mutable {
                auto connected = boost::asio::get_associated_cancellation_slot(handler);
                if (connected.is_connected()) {
                    connected.clear();
                }
                std::move(handler)(nullptr);
            });
        });
    };
    co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void(std::exception_ptr)>(
        begin, boost::asio::use_awaitable);
    co_return timed->take();
}

}  // namespace levee::cache_detail
