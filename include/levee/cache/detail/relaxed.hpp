/// A number that is read and written by many and may be copied with what holds it.
#pragma once

#include <atomic>

namespace levee::cache_detail {

/// All accesses are relaxed: for times that are only ever compared with the clock.
template <class T>
class relaxed {
public:
    relaxed() noexcept = default;
    relaxed(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor): stands for a T
    relaxed(const relaxed& other) noexcept : value_(other.get()) {}
    relaxed& operator=(const relaxed& other) noexcept {
        set(other.get());
        return *this;
    }

    [[nodiscard]] T get() const noexcept { return value_.load(std::memory_order_relaxed); }

    /// Const, as readers prolong and check what they may otherwise not change.
    void set(T value) const noexcept { value_.store(value, std::memory_order_relaxed); }

private:
    mutable std::atomic<T> value_{};
};

}  // namespace levee::cache_detail
