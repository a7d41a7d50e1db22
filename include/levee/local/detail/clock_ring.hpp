/// CLOCK: the order in which entries are evicted.
#pragma once

#include <cstddef>

#include "levee/local/detail/entry.hpp"

namespace levee::local_detail {

/// CLOCK (Corbató 1968), as a queue with second chances: entries come in at the back, unreferenced; the
/// hand takes the one at the front, moves it to the back if it was used since, and evicts it otherwise.
///
/// Intrusive; owns nothing. Thread safety: distinct objects: safe; shared: unsafe.
class clock_ring {
public:
    clock_ring() noexcept;
    clock_ring(const clock_ring&) = delete;
    clock_ring& operator=(const clock_ring&) = delete;

    void push_back(entry_base& item) noexcept;

    /// Does nothing for an entry that is in no ring.
    void remove(entry_base& item) noexcept;

    /// Puts `fresh` where `old` stands; `old` is then in no ring.
    void replace(entry_base& old, entry_base& fresh) noexcept;

    /// The entry to evict next, still in the ring; null when there is none. An expired one is a victim
    /// whether it was used or not; `keep` (may be null) is passed over as it is. At most two rounds.
    [[nodiscard]] entry_base* victim(time_point now, const entry_base* keep) noexcept;

    /// Forgets every entry, without touching them.
    void clear() noexcept;

private:
    void link_back(entry_base& item) noexcept;
    static void unlink(entry_base& item) noexcept;

    entry_base end_;  // the sentinel: next is the front, previous the back
    std::size_t size_ = 0;
};

}  // namespace levee::local_detail
