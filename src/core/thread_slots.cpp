#include "levee/core/thread_slots.hpp"

#include <pthread.h>

#include <array>
#include <bit>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>

#include "core/never_destroyed.hpp"
#include "core/slot_registry.hpp"
#include "levee/core/error.hpp"

namespace levee {
namespace detail {

constinit thread_local thread_state this_thread;
constinit std::atomic<std::uint32_t> slot_high_water{0};

namespace {

void give_back_at_thread_end(void*);
void before_fork();
void after_fork_in_parent();
void after_fork_in_child();

// Before main, since a fork may meet the very first thread that takes a slot, and holds the mutex. Zero,
// so optimistic, for globals of other files that are made earlier.
const int fork_handlers_failed = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

class slot_registry {
public:
    // Gives the calling thread a slot; answers why not, if so.
    std::error_code take() noexcept {
        const std::lock_guard lock(mutex_);
        if (const std::error_code failed = start_locked()) {
            return failed;
        }
        const std::uint32_t slot = lowest_free_locked();
        if (slot >= limit_) {
            return std::make_error_code(std::errc::resource_unavailable_try_again);
        }
        slot_record* record = records_.find(slot);
        if (record == nullptr) {
            try {
                record = &records_.get(slot);
            } catch (const std::bad_alloc&) {
                return std::make_error_code(std::errc::not_enough_memory);
            }
        }
        // From here on the thread's end gives the slot back.
        if (const int failed = ::pthread_setspecific(key_, record); failed != 0) {
            return {failed, std::generic_category()};
        }
        taken_[slot / word_bits] |= bit_of(slot);
        if (slot >= slot_high_water.load(std::memory_order_relaxed)) {
            // After the record is there, since who reads the mark looks at all records below it. All
            // slots from the mark on are free, so the lowest free one is the mark itself.
            slot_high_water.fetch_add(1, std::memory_order_seq_cst);
        }
        this_thread.record = record;
        this_thread.slot = slot;
        this_thread.place = place_of(slot);
        return {};
    }

    // The end of the calling thread, or of its last round of destructors.
    void give_back() noexcept {
        clear(*this_thread.record);
        const std::uint32_t slot = this_thread.slot;
        this_thread.record = nullptr;
        this_thread.place = no_place;
        const std::lock_guard lock(mutex_);
        free_locked(slot);
    }

    slot_record& record(std::uint32_t slot) const noexcept { return *records_.find(slot); }

    void limit(std::uint32_t slots) noexcept {
        const std::lock_guard lock(mutex_);
        limit_ = slots;
    }

    // Held across a fork, so that the child finds the table whole.
    void lock() noexcept { mutex_.lock(); }
    void unlock() noexcept { mutex_.unlock(); }

    // Only the forking thread lives in the child.
    void keep_only_this_thread_locked() noexcept {
        const bool has_slot = this_thread.record != nullptr;
        const std::uint32_t end = slot_high_water.load(std::memory_order_relaxed);
        for (std::uint32_t slot = 0; slot < end; ++slot) {
            if (!has_slot || slot != this_thread.slot) {
                clear(record(slot));
                free_locked(slot);
            }
        }
    }

private:
    static constexpr std::uint32_t word_bits = 64;
    static constexpr std::uint32_t word_count = thread_slots::capacity / word_bits;

    static constexpr std::uint64_t bit_of(std::uint32_t slot) noexcept {
        return std::uint64_t{1} << (slot % word_bits);
    }

    // Whoever pinned here will never unpin: nothing may wait for it.
    static void clear(slot_record& record) noexcept {
        record.depth = 0;
        record.announced.store(0, std::memory_order_release);
    }

    std::error_code start_locked() noexcept {
        if (started_) {
            return {};
        }
        if (fork_handlers_failed != 0) {
            return {fork_handlers_failed, std::generic_category()};
        }
        if (const int failed = ::pthread_key_create(&key_, give_back_at_thread_end); failed != 0) {
            return {failed, std::generic_category()};
        }
        epoch_prepare();
        started_ = true;
        return {};
    }

    std::uint32_t lowest_free_locked() noexcept {
        while (first_open_ < word_count && taken_[first_open_] == ~std::uint64_t{0}) {
            ++first_open_;
        }
        if (first_open_ == word_count) {
            return thread_slots::capacity;
        }
        return first_open_ * word_bits + static_cast<std::uint32_t>(std::countr_one(taken_[first_open_]));
    }

    void free_locked(std::uint32_t slot) noexcept {
        const std::uint32_t word = slot / word_bits;
        taken_[word] &= ~bit_of(slot);
        if (word < first_open_) {
            first_open_ = word;
        }
    }

    std::mutex mutex_;                               // guards all below but reading records_
    std::array<std::uint64_t, word_count> taken_{};  // a bit for each slot
    std::uint32_t first_open_ = 0;                   // no word before it has a free bit
    std::uint32_t limit_ = thread_slots::capacity;   // smaller in tests
    bool started_ = false;                           // key_ is there
    pthread_key_t key_{};                            // its destructor gives the slot back
    slot_blocks<slot_record> records_;               // by slot; there for all below the mark
};

constinit never_destroyed<slot_registry> registry;

void give_back_at_thread_end(void*) {
    registry.value.give_back();
}

void before_fork() {
    registry.value.lock();
}

void after_fork_in_parent() {
    registry.value.unlock();
}

void after_fork_in_child() {
    registry.value.keep_only_this_thread_locked();
    epoch_after_fork();
    registry.value.unlock();
}

}  // namespace

slot_record& record_of(std::uint32_t slot) noexcept {
    return registry.value.record(slot);
}

slot_record* try_record() noexcept {
    if (this_thread.record == nullptr) {
        static_cast<void>(registry.value.take());  // failed: the record stays null
    }
    return this_thread.record;
}

void limit_slots(std::uint32_t limit) noexcept {
    registry.value.limit(limit);
}

}  // namespace detail

std::uint32_t thread_slots::take() {
    if (const std::error_code failed = detail::registry.value.take()) {
        throw error(failed, "thread_slots: no slot for this thread (" + std::to_string(capacity) +
                                " at most, for threads alive at the same time)");
    }
    return detail::this_thread.slot;
}

std::uint32_t thread_slots::try_take() noexcept {
    return detail::registry.value.take() ? none : detail::this_thread.slot;
}

}  // namespace levee
