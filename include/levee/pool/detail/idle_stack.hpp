/// The idle connections, last in first out, with a gate that sends everybody to the mutex.
///
/// A stack of slot numbers linked through the slots (Treiber 1986), its head in one 64-bit word: a tag
/// against the ABA problem, the gate, and the top. While the gate is open, `pop` and `push` are one
/// compare-and-swap each; while it is closed both refuse, and callers take the pool's mutex.
///
/// Why no caller is overtaken and no waiter is missed. The pool closes the gate, under its mutex, before it
/// lets anybody queue, and opens it when nobody is left. The gate is in the word that `push` swaps, so of
/// the closing and a push one comes first: a push that came first is seen by the pool, which then looks at
/// the stack; one that comes later fails, and its caller brings the connection to the mutex, where the
/// waiter is queued by then. A `pop` after the closing fails likewise, so nobody gets a connection past
/// those who wait. No fence is needed, and no second word that could be read too early.
///
/// It is also the last thing that a releasing caller touches: whoever closes the gate for good knows that
/// all others come through the mutex, and may free the pool when the last of them has.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "levee/pool/detail/pool_slot.hpp"

namespace levee::pool_detail {

/// Thread safety: `pop` and `push` are safe; the rest is called under the pool's mutex.
class idle_stack {
public:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    explicit idle_stack(pool_slot* slots) noexcept : slots_(slots) {}

    /// The slot idle for the shortest time, or `none`: nothing there, or the gate is closed.
    [[nodiscard]] std::uint32_t pop() noexcept {
        std::uint64_t head = head_.load(std::memory_order_acquire);
        while ((head & gate) == 0 && top_of(head) != 0) {
            if (swap_top(head)) {
                return top_of(head) - 1;
            }
        }
        return none;
    }

    /// False: the gate is closed; the slot is still the caller's. True: it is anybody's.
    [[nodiscard]] bool push(std::uint32_t slot) noexcept {
        std::uint64_t head = head_.load(std::memory_order_relaxed);
        while ((head & gate) == 0) {
            if (swap_in(head, slot)) {
                return true;
            }
        }
        return false;
    }

    void close_gate() noexcept { head_.fetch_or(gate, std::memory_order_acq_rel); }
    void open_gate() noexcept { head_.fetch_and(~gate, std::memory_order_acq_rel); }
    [[nodiscard]] bool is_gate_closed() const noexcept {
        return (head_.load(std::memory_order_relaxed) & gate) != 0;
    }

    /// For the pool, with the gate closed: nobody else changes the stack then.
    [[nodiscard]] std::uint32_t top() const noexcept {
        return top_of(head_.load(std::memory_order_acquire)) - 1;  // 0 - 1 is `none`
    }
    [[nodiscard]] std::uint32_t take_top() noexcept {
        std::uint64_t head = head_.load(std::memory_order_acquire);
        while (top_of(head) != 0) {
            if (swap_top(head)) {
                return top_of(head) - 1;
            }
        }
        return none;
    }
    void put_top(std::uint32_t slot) noexcept {
        std::uint64_t head = head_.load(std::memory_order_relaxed);
        while (!swap_in(head, slot)) {
        }
    }

private:
    static constexpr std::uint64_t gate = std::uint64_t{1} << 31U;
    static constexpr std::uint64_t tag_step = std::uint64_t{1} << 32U;
    static constexpr std::uint64_t top_mask = gate - 1;  // a slot's number plus one; 0: empty

    static constexpr std::uint32_t top_of(std::uint64_t head) noexcept {
        return static_cast<std::uint32_t>(head & top_mask);
    }
    static constexpr std::uint64_t with_top(std::uint64_t head, std::uint32_t top) noexcept {
        return ((head & ~top_mask) + tag_step) | top;
    }

    // Acquire: what the last holder wrote. All writes are read-modify-writes, so this pairs with the push
    // of whatever slot is taken, however many others came in between.
    bool swap_top(std::uint64_t& head) noexcept {
        const std::uint32_t below = slots_[top_of(head) - 1].next.load(std::memory_order_relaxed);
        return head_.compare_exchange_weak(head, with_top(head, below), std::memory_order_acquire,
                                           std::memory_order_acquire);
    }
    bool swap_in(std::uint64_t& head, std::uint32_t slot) noexcept {
        slots_[slot].next.store(top_of(head), std::memory_order_relaxed);
        return head_.compare_exchange_weak(head, with_top(head, slot + 1), std::memory_order_release,
                                           std::memory_order_relaxed);
    }

    pool_slot* const slots_;
    alignas(detail::line_size) std::atomic<std::uint64_t> head_{0};
};

}  // namespace levee::pool_detail
