/// A bound on how many keys known not to exist L1 holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace levee::cache_detail {

/// The oldest go when there are more than `most`. Kept beside L1, which knows no difference; what has left it
/// meanwhile still counts until it is the oldest, so the bound holds and is sometimes not reached.
///
/// Thread safety: safe.
template <class K>
class negative_share {
public:
    struct item {
        K key;
        std::uint64_t serial;
    };

    explicit negative_share(std::size_t most) : most_(most) {}

    /// One more; the one that has to go for it, if any.
    [[nodiscard]] std::optional<item> add(K key, std::uint64_t serial) {
        std::optional<item> oldest;
        const std::lock_guard lock(mutex_);
        held_.push_back({std::move(key), serial});
        if (held_.size() > most_) {
            oldest.emplace(std::move(held_.front()));
            held_.pop_front();
        }
        return oldest;
    }

private:
    const std::size_t most_;
    std::mutex mutex_;  // guards held_
    std::deque<item> held_;
};

}  // namespace levee::cache_detail
