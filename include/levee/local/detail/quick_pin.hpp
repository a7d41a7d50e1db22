/// The epoch's guard for look-ups in which no code of the user runs.
#pragma once

#include <atomic>

#include "levee/core/epoch.hpp"

namespace levee::local_detail {

/// As `epoch::guard`, for a thread that has no guard, and takes none while this lives. So it does not count
/// how many there are: a count that each look-up raises and lowers makes them wait for one another.
class quick_pin {
public:
    /// The calling thread's record if it can be pinned in this way; else null: it has a guard, or never had.
    [[nodiscard]] static detail::slot_record* unpinned() noexcept {
        detail::slot_record* const record = detail::this_thread.record;
        return record != nullptr && record->depth == 0 ? record : nullptr;
    }

    explicit quick_pin(detail::slot_record& free) noexcept : record_(free) { detail::announce(record_); }
    ~quick_pin() { end(); }
    /// Before its time. A guard that is taken from then on must not outlive this, which ends it once more.
    void end() noexcept { record_.announced.store(0, std::memory_order_release); }  // as a guard does
    /// The same for the calling thread's, where it is not at hand.
    static void end_current() noexcept {
        detail::this_thread.record->announced.store(0, std::memory_order_release);
    }
    quick_pin(const quick_pin&) = delete;
    quick_pin& operator=(const quick_pin&) = delete;

private:
    detail::slot_record& record_;
};

}  // namespace levee::local_detail
