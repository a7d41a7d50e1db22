#include "levee/local/detail/flight.hpp"

#include <utility>

#include "levee/core/error.hpp"

namespace levee::local_detail {

std::shared_ptr<const void> flight::wait(duration timeout) {
    std::unique_lock lock(mutex_);
    const auto ended = [this] { return has_ended_locked(); };
    if (timeout == duration::max()) {
        ended_.wait(lock, ended);
    } else if (!ended_.wait_until(lock, after(clock::precise().now(), timeout), ended)) {
        throw error(errc::timeout, "local_cache: waiting for another caller's load");
    }
    if (error_) {
        std::rethrow_exception(error_);
    }
    return made_;
}

void flight::succeed(std::shared_ptr<const void> made) noexcept {
    const std::lock_guard lock(mutex_);
    if (has_ended_locked()) {
        return;
    }
    made_ = std::move(made);
    ended_.notify_all();
}

void flight::fail(std::exception_ptr why) noexcept {
    const std::lock_guard lock(mutex_);
    if (has_ended_locked()) {
        return;
    }
    error_ = std::move(why);
    ended_.notify_all();
}

}  // namespace levee::local_detail
