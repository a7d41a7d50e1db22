/// The epoch's guard for look-ups in which no code of the user runs.
#pragma once

#include <atomic>
#include <new>

#include "levee/core/epoch.hpp"

namespace levee::local_detail {

/// As `epoch::guard`, for the time in which its thread takes no other guard. So it does not count how many
/// there are: a count that each look-up raises and lowers makes them wait for one another.
class quick_pin {
public:
    quick_pin() noexcept : record_(detail::this_thread.record) {
        if (record_ == nullptr) [[unlikely]] {
            ::new (static_cast<void*>(guard_))
                epoch::guard(epoch::pin());  // the thread's first, or it has none
        } else if (record_->depth == 0) [[likely]] {
            detail::announce(*record_);
        }
    }
    ~quick_pin() {
        if (record_ == nullptr) [[unlikely]] {
            std::launder(reinterpret_cast<epoch::guard*>(guard_))->~guard();
        } else if (record_->depth == 0) [[likely]] {
            record_->announced.store(0, std::memory_order_release);  // as a guard does
        }
    }
    /// While it lives, other guards may be taken after all.
    class counted {
    public:
        explicit counted(const quick_pin& pin) noexcept : record_(pin.record_) {
            if (record_ != nullptr) {
                ++record_->depth;
            }
        }
        ~counted() {
            if (record_ != nullptr) {
                --record_->depth;
            }
        }
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;

    private:
        detail::slot_record* const record_;
    };

    quick_pin(const quick_pin&) = delete;
    quick_pin& operator=(const quick_pin&) = delete;

private:
    detail::slot_record* const record_;
    alignas(epoch::guard) unsigned char guard_[sizeof(epoch::guard)];
};

}  // namespace levee::local_detail
