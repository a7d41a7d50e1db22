/// When entries expire, in buckets: what a shard looks at instead of all its entries.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "levee/local/detail/number_pairs.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

/// A hierarchical timer wheel (Varghese, Lauck 1987) over entry ids: five levels of 64 buckets, of 4.2 ms,
/// 0.27 s, 17 s, 18 min and 19 h each; what ends later waits in the last one. An id moves to a finer level
/// when its bucket comes up. The wheel does not know when an entry ends, only in which bucket it is: it asks,
/// so that an end that has moved on (an entry that was used) costs nothing until then.
///
/// Four bytes an entry in wheels of up to 65,000, six or eight in larger ones. Thread safety: distinct
/// objects: safe; shared: unsafe.
class timer_wheel {
public:
    /// Points in time are nanoseconds of the cache's clock.
    /// Errors: std::bad_alloc.
    explicit timer_wheel(std::int64_t now);

    /// Ids below `limit` may be scheduled. Errors: std::bad_alloc.
    void reserve(entry_id limit) { links_.reserve(std::size_t{lists} + limit, lists + limit); }

    /// The entry, which is not in the wheel, ends at `end`.
    void schedule(entry_id id, std::int64_t end) noexcept;

    /// Takes the entry out; nothing happens if it is not in.
    void cancel(entry_id id) noexcept;

    /// Calls `end_of(id)` for the entries whose time may have come. It removes the entry if so (which cancels
    /// it here), else answers when it ends. At most `budget` entries; false: there may be more. What
    /// `end_of` throws comes through, and that entry stays to be asked again. A `now` before an earlier one
    /// does nothing.
    template <class EndOf>
    bool advance(std::int64_t now, std::size_t budget, EndOf&& end_of) {
        if (now < now_) {
            return true;
        }
        bool is_new = now != now_ || !is_current_;
        is_current_ = true;
        now_ = now;
        const std::uint64_t target = tick_of(now);
        for (;;) {
            while (!is_empty(due)) {
                if (budget-- == 0) {
                    is_current_ = false;
                    return false;
                }
                const std::uint32_t first = next(due);
                const std::int64_t end = end_of(static_cast<entry_id>(first - lists));
                if (next(due) == first) {  // still there
                    unlink(first);
                    schedule(static_cast<entry_id>(first - lists), end);
                }
            }
            if (tick_ == target) {
                if (!is_new) {
                    return true;
                }
                is_new = false;  // those that end within this tick, once
                take(0, tick_);
            } else {
                next_tick(target);
            }
        }
    }

    [[nodiscard]] std::size_t memory() const noexcept { return links_.memory(); }
    [[nodiscard]] bool contains(entry_id id) const noexcept {
        return lists + std::size_t{id} < links_.size() && next(lists + id) != 0;
    }

private:
    static constexpr unsigned levels = 5;
    static constexpr unsigned bits = 6;
    static constexpr unsigned tick_bits = 22;
    static constexpr std::uint32_t due = 1;  // the list of those to be asked next; 0 is no list
    static constexpr std::uint32_t first_bucket = 2;
    static constexpr std::uint32_t lists = first_bucket + levels * 64;

    [[nodiscard]] static std::uint64_t tick_of(std::int64_t time) noexcept {
        return (static_cast<std::uint64_t>(time) ^ std::uint64_t{1} << 63) >> tick_bits;
    }
    [[nodiscard]] bool is_empty(std::uint32_t list) const noexcept { return next(list) == list; }
    [[nodiscard]] std::uint32_t next(std::uint32_t item) const noexcept { return links_.first(item); }
    [[nodiscard]] std::uint32_t previous(std::uint32_t item) const noexcept { return links_.second(item); }
    void link(std::uint32_t first, std::uint32_t then) noexcept {
        links_.set_first(first, then);
        links_.set_second(then, first);
    }
    void push(std::uint32_t list, std::uint32_t item) noexcept;
    void unlink(std::uint32_t item) noexcept;
    void take(unsigned level, std::uint64_t position) noexcept;
    void next_tick(std::uint64_t target) noexcept;

    number_pairs links_{};  // next (zero: in no list) and previous; of the lists' ends, then the entries
    std::array<std::uint64_t, levels> filled_{};  // buckets that may have entries
    std::uint64_t tick_;
    std::int64_t now_;
    bool is_current_ = false;  // the present tick was looked at, at `now_`
};

}  // namespace levee::local_detail
