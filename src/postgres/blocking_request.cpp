#include "levee/postgres/detail/blocking_request.hpp"

namespace levee::postgres::detail {

void blocking_request::finish() noexcept {
    // Notified under the lock: the waiting thread's frame, and this object with it, may go right after.
    const std::lock_guard lock(mutex_);
    is_finished_ = true;
    changed_.notify_one();
}

bool blocking_request::wait_until(time_point until) {
    std::unique_lock lock(mutex_);
    const auto is_over = [this] { return is_finished_; };
    if (until == (time_point::max)()) {
        changed_.wait(lock, is_over);
        return true;
    }
    return changed_.wait_until(lock, until, is_over);
}

}  // namespace levee::postgres::detail
