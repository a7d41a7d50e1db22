#include "redis/server_clock.hpp"

#include <algorithm>

namespace levee::redis::detail {
namespace {

std::int64_t microseconds(duration given) noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(given).count();
}

std::int64_t microseconds(time_point at) noexcept {
    return microseconds(at.time_since_epoch());
}

}  // namespace

std::int64_t server_clock::drift(time_point now) const noexcept {
    const duration age = now - time_point(duration(learned_at_.load(std::memory_order_relaxed)));
    return (std::max)(microseconds(age), std::int64_t{0}) / 2'000 + 1;  // 1: of rounding
}

void server_clock::learn(time_point asked, time_point answered, std::int64_t shown,
                         std::uint64_t generation) {
    const std::lock_guard lock(mutex_);
    std::int64_t most = shown + 1 - microseconds(asked);
    std::int64_t least = shown - 1 - microseconds(answered);
    if (generation == generation_.load(std::memory_order_relaxed)) {
        const std::int64_t wider = drift(answered);
        const std::int64_t most_before = ahead_most_.load(std::memory_order_relaxed) + wider;
        const std::int64_t least_before = ahead_least_.load(std::memory_order_relaxed) - wider;
        if (most >= least_before && least <= most_before) {
            most = (std::min)(most, most_before);
            least = (std::max)(least, least_before);
        }
    }
    ahead_most_.store(most, std::memory_order_relaxed);
    ahead_least_.store(least, std::memory_order_relaxed);
    learned_at_.store(answered.time_since_epoch().count(), std::memory_order_relaxed);
    generation_.store(generation, std::memory_order_release);
}

bool server_clock::is_due(time_point now, std::uint64_t generation) const noexcept {
    return !knows(generation) ||
           now >= time_point(duration(learned_at_.load(std::memory_order_relaxed))) + good_for;
}

std::int64_t server_clock::latest(time_point now) const noexcept {
    return microseconds(now) + ahead_most_.load(std::memory_order_acquire) + drift(now);
}

std::int64_t server_clock::earliest(time_point now) const noexcept {
    return microseconds(now) + ahead_least_.load(std::memory_order_acquire) - drift(now);
}

}  // namespace levee::redis::detail
