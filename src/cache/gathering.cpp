#include "levee/cache/detail/gathering.hpp"

namespace levee::cache_detail {

void gathering::expect() noexcept {
    const std::lock_guard lock(mutex_);
    ++missing_;
}

bool gathering::arrive() noexcept {
    const std::lock_guard lock(mutex_);
    --missing_;
    ++arrived_;
    return is_gathered_locked();
}

bool gathering::depart() noexcept {
    const std::lock_guard lock(mutex_);
    --missing_;
    return is_gathered_locked();
}

bool gathering::seal() noexcept {
    const std::lock_guard lock(mutex_);
    is_sealed_ = true;
    return is_gathered_locked();
}

std::size_t gathering::arrived() const noexcept {
    const std::lock_guard lock(mutex_);
    return arrived_;
}

}  // namespace levee::cache_detail
