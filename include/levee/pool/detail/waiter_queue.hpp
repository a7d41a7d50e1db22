/// The queue of a pool: first in, first out, with leaving from the middle.
#pragma once

#include <cstdint>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/pool/holder_label.hpp"

namespace levee::pool_detail {

/// A place in the queue: the low half is its index, below the queue's capacity and free again once the
/// waiter has gone; the high half counts, so that a late question about a former waiter is recognised.
using waiter_id = std::uint64_t;
[[nodiscard]] constexpr std::uint32_t index_of(waiter_id id) noexcept {
    return static_cast<std::uint32_t>(id);
}

struct queued_waiter {
    time_point since{};
    time_point deadline{};
    holder_label label{};
    bool wakes_itself = false;
};

/// Allocates in its constructor only. Thread safety: unsafe.
class waiter_queue {
public:
    explicit waiter_queue(std::size_t capacity) : places_(capacity) {
        free_.reserve(capacity);
        for (std::size_t i = capacity; i > 0; --i) {
            free_.push_back(static_cast<std::uint32_t>(i - 1));
        }
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool full() const noexcept { return free_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] waiter_id front() const noexcept { return places_[first_].id; }

    /// Not when full.
    waiter_id push(const queued_waiter& waiter) noexcept {
        const std::uint32_t index = free_.back();
        free_.pop_back();
        place& at = places_[index];
        at.id = (++pushed_ << 32U) | index;
        at.waiter = waiter;
        at.next = nobody;
        at.previous = last_;
        (last_ == nobody ? first_ : places_[last_].next) = index;
        last_ = index;
        ++size_;
        return at.id;
    }

    /// Null: it has left.
    [[nodiscard]] const queued_waiter* find(waiter_id id) const noexcept {
        const place& at = places_[index_of(id)];
        return at.id == id ? &at.waiter : nullptr;
    }

    /// It must be queued.
    void erase(waiter_id id) noexcept {
        const std::uint32_t index = index_of(id);
        place& at = places_[index];
        (at.previous == nobody ? first_ : places_[at.previous].next) = at.next;
        (at.next == nobody ? last_ : places_[at.next].previous) = at.previous;
        at.id = 0;
        free_.push_back(index);
        --size_;
    }

    /// Calls `f(id, waiter)` in the queue's order; `f` may erase that one.
    template <class F>
    void for_each(F&& f) {
        for (std::uint32_t index = first_; size_ > 0 && index != nobody;) {
            const std::uint32_t next = places_[index].next;
            f(places_[index].id, places_[index].waiter);
            index = next;
        }
    }

private:
    static constexpr std::uint32_t nobody = ~std::uint32_t{0};
    struct place {
        waiter_id id = 0;  // 0: free; the count begins at 1
        queued_waiter waiter{};
        std::uint32_t next = nobody;
        std::uint32_t previous = nobody;
    };

    std::vector<place> places_;
    std::vector<std::uint32_t> free_;
    std::uint32_t first_ = nobody;
    std::uint32_t last_ = nobody;
    std::size_t size_ = 0;
    std::uint64_t pushed_ = 0;
};

}  // namespace levee::pool_detail
