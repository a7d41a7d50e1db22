/// Stops what a coroutine waits for when a deadline passes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "levee/async/scheduler.hpp"

namespace levee::async {

/// Calls what it was told to if it lives until a deadline. On one strand with what it watches.
class deadline_guard {
public:
    deadline_guard(boost::asio::any_io_executor executor, std::shared_ptr<scheduler> time, time_point until,
                   std::function<void()> stop)
        : shared_(std::make_shared<shared>()) {
        shared_->stop = std::move(stop);
        auto slot = shared_->cancel.slot();
        // The state is kept until the wait has ended: the slot's handler is in it.
        boost::asio::co_spawn(
            executor, wait(std::move(time), until, shared_),
            boost::asio::bind_cancellation_slot(slot, [kept = shared_](const std::exception_ptr&) {}));
    }
    ~deadline_guard() {
        shared_->is_over = true;
        shared_->stop = nullptr;
        shared_->cancel.emit(boost::asio::cancellation_type::terminal);
    }
    deadline_guard(const deadline_guard&) = delete;
    deadline_guard& operator=(const deadline_guard&) = delete;

    [[nodiscard]] bool has_passed() const noexcept { return shared_->has_passed; }

private:
    struct shared {
        std::function<void()> stop{};
        boost::asio::cancellation_signal cancel{};
        bool is_over = false;
        bool has_passed = false;
    };

    static boost::asio::awaitable<void> wait(std::shared_ptr<scheduler> time, time_point until,
                                             std::shared_ptr<shared> own) {
        co_await time->sleep_until(until);
        if (!own->is_over) {
            own->has_passed = true;
            own->stop();
        }
    }

    std::shared_ptr<shared> shared_;
};

}  // namespace levee::async
