#include "levee/cache/detail/wait_list.hpp"

namespace levee::cache_detail {

std::shared_ptr<wake_up> wait_list::enter() {
    auto one = std::make_shared<wake_up>();
    const std::lock_guard lock(mutex_);
    waiting_.push_back(one);
    // Sequentially consistent, as the load in notify_all: either that one sees us, or we see what it told.
    count_.fetch_add(1);
    return one;
}

void wait_list::leave(const std::shared_ptr<wake_up>& one) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, one);
    count_.fetch_sub(1);
}

void wait_list::notify_all() noexcept {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    for (const auto& each : waiting_) {
        each->notify();
    }
}

}  // namespace levee::cache_detail
