/// Which of many writes is the oldest, without looking at all of them.
#pragma once

#include <cstdint>
#include <utility>

#include "levee/core/clock.hpp"

namespace levee::cache_detail {

class write_ages;

/// When a write was accepted, and its place among the others: that moves along with it, and ends with it.
///
/// Thread safety: unsafe, together with all that are in the same `write_ages`.
class write_age {
public:
    write_age() noexcept = default;
    write_age(write_age&& other) noexcept { *this = std::move(other); }
    write_age& operator=(write_age&& other) noexcept {
        if (this != &other) {
            leave();
            oldest = other.oldest;
            since = other.since;
            if (other.is_placed()) {
                put_between(other.before_, other.behind_);
                other.before_ = other.behind_ = nullptr;
            }
        }
        return *this;
    }
    ~write_age() { leave(); }

    /// This write stands for that one from now on.
    void cover(write_age&& older) noexcept {
        if (older.oldest < oldest) {
            const time_point mine = since;
            *this = std::move(older);
            since = mine < since ? mine : since;
        } else {
            since = older.since < since ? older.since : since;
            older.leave();
        }
    }
    [[nodiscard]] bool is_placed() const noexcept { return before_ != nullptr; }

    std::uint64_t oldest = 0;  ///< The first sequence that the write stands for.
    time_point since{};        ///< When that was accepted.

private:
    friend class write_ages;
    // Its neighbours may be the place that is given up.
    void put_between(write_age* before, write_age* behind) noexcept {
        before_ = before;
        behind_ = behind;
        before->behind_ = behind->before_ = this;
    }
    void leave() noexcept {
        if (is_placed()) {
            before_->behind_ = behind_;
            behind_->before_ = before_;
            before_ = behind_ = nullptr;
        }
    }

    write_age* before_ = nullptr;
    write_age* behind_ = nullptr;
};

/// Writes by their oldest sequences. Allocates nothing.
///
/// Thread safety: unsafe.
class write_ages {
public:
    write_ages() noexcept { ends_.before_ = ends_.behind_ = &ends_; }
    write_ages(const write_ages&) = delete;
    write_ages& operator=(const write_ages&) = delete;

    /// Cost: looks at those that are newer. One that was just accepted is the newest, or nearly.
    void add(write_age& one) noexcept {
        write_age* before = ends_.before_;
        while (before != &ends_ && before->oldest > one.oldest) {
            before = before->before_;
        }
        one.put_between(before, before->behind_);
    }
    /// The one with the lowest sequence; null: there is none.
    [[nodiscard]] const write_age* oldest() const noexcept {
        return ends_.behind_ == &ends_ ? nullptr : ends_.behind_;
    }

private:
    write_age ends_;  // before the first and behind the last
};

}  // namespace levee::cache_detail
