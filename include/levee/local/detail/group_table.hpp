/// A block of groups: what readers probe.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "levee/local/detail/slot_group.hpp"

namespace levee::local_detail {

/// A slot of a table, as a number: sixteen to a group, of which thirteen are used.
using slot_number = std::uint32_t;

inline constexpr slot_number no_slot = ~slot_number{0};

/// A fixed number of groups behind one header, in one piece of memory. Probing is linear from a key's home
/// group; the home is its hash scaled to the number of groups, which need not be a power of two.
///
/// Thread safety: what is above "Under the lock" is for any pinned thread; all else is for the holder of the
/// shard's lock.
class alignas(64) group_table {
    // What look-ups need, in one line.
    const std::uint64_t groups_;
    std::uint64_t* const tags_;
    std::byte* const slots_;
    const std::uint32_t stride_;
    const std::uint32_t payload_;
    std::uint32_t* const ids_;
    const std::size_t bytes_;  // of the whole
    const slot_layout::times expiry_;
    const bool is_mapped_;

public:
    struct free_memory {
        void operator()(group_table* table) const noexcept;
    };
    using pointer = std::unique_ptr<group_table, free_memory>;

    /// All slots are empty. Errors: std::bad_alloc, also for more than 2^26 groups. Big ones ask for huge
    /// pages.
    [[nodiscard]] static pointer make(const slot_layout& layout, std::size_t groups);

    group_table(const group_table&) = delete;
    group_table& operator=(const group_table&) = delete;

    /// A slot, as a look-up finds it.
    struct place {
        std::uint64_t* tags = nullptr;  ///< Of its group.
        std::byte* slot = nullptr;
        std::size_t group = 0;
        unsigned lane = 0;
        bool is_referenced = false;

        /// Says that the entry was used.
        LEVEE_LOOK_UP void reference() const noexcept {
            if (!is_referenced) [[unlikely]] {
                std::atomic_ref(tags[1]).fetch_or(reference_bit(lane), std::memory_order_relaxed);
            }
        }
    };

    /// The entry for whose slot `fits(slot)` is true. `at` is set only then, member by member: that a place
    /// is not copied as a whole keeps it in registers, and look-ups that wait for memory overlapping.
    template <class Fits>
    LEVEE_LOOK_UP bool find(hash_parts hash, Fits& fits, place& at) const {
        std::size_t group = home(hash);
        for (std::size_t probed = 0;;) {
            std::uint64_t* const words = tags_ + 2 * group;
            const group_tags tags = group_tags::read(words);
            for (unsigned found = tags.match(hash.tags); found != 0; found &= found - 1) {
                const auto lane = static_cast<unsigned>(std::countr_zero(found));
                std::byte* const slot = slots_ + (group * slots_in_group + lane) * stride_;
                if (fits(slot)) [[likely]] {
                    at.tags = words;
                    at.slot = slot;
                    at.group = group;
                    at.lane = lane;
                    at.is_referenced = tags.is_referenced(lane);
                    return true;
                }
            }
            if (!tags.goes_on() || ++probed == groups_) {
                return false;
            }
            group = next(group);
        }
    }
    template <class Fits>
    [[nodiscard]] slot_number find(hash_parts hash, Fits& fits) const {
        place at;
        return find(hash, fits, at) ? static_cast<slot_number>(at.group << 4 | at.lane) : no_slot;
    }

    [[nodiscard]] std::byte* slot(slot_number at) const noexcept {
        return slots_ + ((at >> 4) * std::size_t{slots_in_group} + (at & 15U)) * stride_;
    }

    /// Whether slots have `life` (and `use`): nanoseconds of the clock.
    [[nodiscard]] bool has_life() const noexcept { return expiry_ != slot_layout::times::none; }
    [[nodiscard]] bool has_use() const noexcept { return expiry_ == slot_layout::times::life_and_use; }
    [[nodiscard]] std::atomic_ref<std::int64_t> life(std::byte* slot) const noexcept {
        return std::atomic_ref(*reinterpret_cast<std::int64_t*>(slot + payload_));
    }
    [[nodiscard]] std::atomic_ref<std::int64_t> use(std::byte* slot) const noexcept {
        return std::atomic_ref(*use_at(slot));
    }
    [[nodiscard]] std::int64_t* use_at(std::byte* slot) const noexcept {
        return reinterpret_cast<std::int64_t*>(slot + payload_ + sizeof(std::int64_t));
    }

    // Under the lock.
    [[nodiscard]] std::size_t groups() const noexcept { return groups_; }
    [[nodiscard]] std::size_t memory() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t home(hash_parts hash) const noexcept {
        return static_cast<std::size_t>(std::uint64_t{hash.low} * groups_ >> 32);
    }
    [[nodiscard]] std::size_t next(std::size_t group) const noexcept {
        return group + 1 == groups_ ? 0 : group + 1;
    }
    [[nodiscard]] bool is_referenced(slot_number at) const noexcept {
        return (std::atomic_ref(tags_[at >> 4 << 1 | 1U]).load(std::memory_order_relaxed) &
                reference_bit(at & 15U)) != 0;
    }
    void set_reference(slot_number at, bool is_used) const noexcept {
        if (is_referenced(at) == is_used) {
            return;  // looking costs less than a read-modify-write
        }
        const auto second = std::atomic_ref(tags_[at >> 4 << 1 | 1U]);
        if (is_used) {
            second.fetch_or(reference_bit(at & 15U), std::memory_order_relaxed);
        } else {
            second.fetch_and(~reference_bit(at & 15U), std::memory_order_relaxed);
        }
    }
    [[nodiscard]] std::uint32_t& id(slot_number at) const noexcept { return ids_[at]; }
    [[nodiscard]] std::uint8_t tag(slot_number at) const noexcept {
        return static_cast<std::uint8_t>(std::atomic_ref(tags_[at >> 3]).load(std::memory_order_relaxed) >>
                                         at % 8 * 8);
    }
    void set_tag(slot_number at, std::uint8_t tag) const noexcept;  // release
    void prefetch(slot_number at) const noexcept {
        __builtin_prefetch(&tags_[at >> 3], 1);
        __builtin_prefetch(slot(at));
        __builtin_prefetch(&ids_[at], 1);
    }

    /// The first empty slot on the hash's way; the full groups before it are marked as passed. There must
    /// be one.
    [[nodiscard]] slot_number take_empty(hash_parts hash) noexcept;

    /// The entry of this hash at `at` is gone: undoes the marks that it left.
    void unmark(hash_parts hash, slot_number at) noexcept;

    /// The table that this one replaces, while entries are left there; readers look there first.
    std::atomic<group_table*> older{nullptr};  // release; pairs with the acquire of readers

    // For whoever retires it.
    group_table* next_retired = nullptr;
    std::uint64_t retired_tag = 0;

private:
    group_table(const slot_layout& layout, std::size_t groups, std::size_t bytes, bool is_mapped) noexcept;

    [[nodiscard]] static constexpr std::uint64_t reference_bit(unsigned lane) noexcept {
        return std::uint64_t{1} << (48 + lane);
    }
};

}  // namespace levee::local_detail
