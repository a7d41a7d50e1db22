#include "levee/redis/detail/blocking_request.hpp"

namespace levee::redis::detail {

void blocking_request::finish() noexcept {
    // Notified under the lock: the waiting thread's frame, and this object with it, may go right after.
    const std::lock_guard lock(mutex_);
    is_finished_ = true;
    changed_.notify_one();
}

void blocking_request::appoint(std::shared_ptr<link> to) noexcept {
    const std::lock_guard lock(mutex_);
    appointed_ = std::move(to);
    changed_.notify_one();
}

bool blocking_request::wait_until(time_point until) {
    std::unique_lock lock(mutex_);
    const auto is_over = [this] { return is_finished_ || appointed_ != nullptr; };
    if (until == (time_point::max)()) {
        changed_.wait(lock, is_over);
        return true;
    }
    return changed_.wait_until(lock, until, is_over);
}

bool blocking_request::is_finished() const {
    const std::lock_guard lock(mutex_);
    return is_finished_;
}

std::shared_ptr<link> blocking_request::take_appointment() {
    const std::lock_guard lock(mutex_);
    return std::exchange(appointed_, nullptr);
}

}  // namespace levee::redis::detail
