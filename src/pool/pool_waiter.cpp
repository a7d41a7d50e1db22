#include "levee/pool/detail/pool_waiter.hpp"

#include <utility>

namespace levee::pool_detail {

void blocking_waiter::finish(wait_outcome outcome) noexcept {
    // Notified under the lock: the waiting thread's frame, and this object with it, may go right after.
    const std::lock_guard lock(mutex_);
    outcome_.emplace(std::move(outcome));
    finished_.notify_one();
}

bool blocking_waiter::wait_until(time_point deadline) {
    std::unique_lock lock(mutex_);
    return finished_.wait_until(lock, deadline, [this] { return outcome_.has_value(); });
}

wait_outcome blocking_waiter::take() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return outcome_.has_value(); });
    return std::move(*outcome_);
}

}  // namespace levee::pool_detail
