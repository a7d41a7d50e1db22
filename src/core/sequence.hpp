/// A queue whose elements keep their number: a ring that grows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace levee::detail {

/// Elements are numbered from 0 as they are pushed, for ever; those between `first` and `last` are there.
template <class T>
class sequence {
public:
    [[nodiscard]] bool empty() const noexcept { return first_ == last_; }
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(last_ - first_); }
    [[nodiscard]] std::uint64_t first() const noexcept { return first_; }  ///< The front's number.
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }    ///< The next one's number.
    [[nodiscard]] T& operator[](std::uint64_t number) noexcept { return ring_[number & (ring_.size() - 1)]; }
    [[nodiscard]] T& front() noexcept { return (*this)[first_]; }

    /// Answers the number.
    std::uint64_t push(T value) {
        if (size() == ring_.size()) {
            std::vector<T> larger((std::max)(std::size_t{16}, ring_.size() * 2));
            for (std::uint64_t i = first_; i != last_; ++i) {
                larger[i & (larger.size() - 1)] = std::move((*this)[i]);
            }
            ring_ = std::move(larger);
        }
        (*this)[last_] = std::move(value);
        return last_++;
    }
    void pop() noexcept { ++first_; }
    void clear() noexcept { first_ = last_; }

private:
    std::vector<T> ring_{};  // its size is zero or a power of two
    std::uint64_t first_ = 0;
    std::uint64_t last_ = 0;
};

}  // namespace levee::detail
