/// A block of groups: what readers probe.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "levee/local/detail/policy.hpp"
#include "levee/local/detail/slot_group.hpp"

namespace levee::local_detail {

/// A slot of a table, as a number: sixteen to a group, of which thirteen are used.
using slot_number = std::uint32_t;

inline constexpr slot_number no_slot = ~slot_number{0};

/// A fixed number of groups behind one header, in one piece of memory. A key's home group is its hash scaled
/// to the number of groups, which need not be a power of two; from there it goes on by steps that its tag
/// chooses.
///
/// Thread safety: what is above "Under the lock" is for any pinned thread; all else is for the holder of the
/// shard's lock.
class alignas(64) group_table {
    // What look-ups need, in one line.
    const std::uint64_t groups_;
    std::byte* const slots_;
    const std::uint32_t stride_;
    const std::uint32_t payload_;
    std::byte* const ids_;
    const std::size_t bytes_;  // of the whole
    const slot_layout::times expiry_;
    const std::uint8_t id_bytes_;
    enum class origin : std::uint8_t { heap, mapping, slice };
    const origin origin_;

public:
    struct free_memory {
        void operator()(group_table* table) const noexcept;
    };
    using pointer = std::unique_ptr<group_table, free_memory>;

    /// All slots are empty. `id_end`: ids of entries that it is given are below, or below 16 × groups.
    /// Errors: std::bad_alloc, also for more than 2^26 groups. Big ones ask for huge pages, and have as many
    /// groups more as fit in what was rounded up to them.
    [[nodiscard]] static pointer make(const slot_layout& layout, std::size_t groups, entry_id id_end);

    /// One that fills a slice of a `table_arena`, which outlives it: zeros. It has at least `groups` groups;
    /// null if they do not fit.
    [[nodiscard]] static pointer make_in(std::span<std::byte> slice, const slot_layout& layout,
                                         std::size_t groups, entry_id id_end) noexcept;

    /// What a table of so many groups takes.
    [[nodiscard]] static std::size_t bytes_of(const slot_layout& layout, std::size_t groups,
                                              entry_id id_end) noexcept;
    /// How many groups one has that fills so many bytes.
    [[nodiscard]] static std::size_t groups_in(std::size_t bytes, const slot_layout& layout,
                                               entry_id id_end) noexcept;

    group_table(const group_table&) = delete;
    group_table& operator=(const group_table&) = delete;

    /// A slot, as a look-up finds it.
    struct place {
        std::uint64_t* tags = nullptr;  ///< Of its group.
        std::byte* slot = nullptr;
        std::size_t group = 0;
        unsigned lane = 0;

        /// Says that the entry was used.
        LEVEE_LOOK_UP void reference() const noexcept {
            const std::atomic_ref second(tags[1]);
            // In two shifts: one instruction tests a bit of a word whose number is in a register.
            if ((second.load(std::memory_order_relaxed) >> first_reference >> lane & 1U) == 0) [[unlikely]] {
                second.fetch_or(reference_bit(lane), std::memory_order_relaxed);
            }
        }
    };

    /// The entry for whose slot `fits(slot)` is true. `at` is set only then, member by member: that a place
    /// is not copied as a whole keeps it in registers, and look-ups that wait for memory overlapping.
    /// `stride`: the table's, as the caller knows it best.
    template <class Fits>
    LEVEE_LOOK_UP bool find(hash_parts hash, Fits& fits, place& at, std::size_t stride) const {
        std::size_t group = home(hash);
        for (std::size_t probed = 0;;) {
            std::uint64_t* const words = tags() + 2 * group;
            for (unsigned found = group_tags::read(words).match(hash.tags); found != 0; found &= found - 1) {
                const auto lane = static_cast<unsigned>(std::countr_zero(found));
                std::byte* const slot = slots_ + (group * slots_in_group + lane) * stride;
                if (fits(slot)) [[likely]] {
                    at.tags = words;
                    at.slot = slot;
                    at.group = group;
                    at.lane = lane;
                    return true;
                }
            }
            // Read again: that no entry went on from here holds for a moment after the tags were looked at.
            if (!goes_on(words) || ++probed == groups_ + by_tag) {
                return false;
            }
            group = next(group, probed, hash);
        }
    }
    /// The entry that is most likely the one: the first that fits in the home group, for who asks it himself;
    /// false: none does. In nine of ten look-ups that find something, it is that.
    LEVEE_LOOK_UP bool find_likely(hash_parts hash, place& at, std::size_t stride) const {
        const std::size_t group = home(hash);
        std::uint64_t* const words = tags() + 2 * group;
        const unsigned found = group_tags::read(words).match(hash.tags);
        if (found == 0) [[unlikely]] {
            return false;
        }
        at.tags = words;
        at.lane = static_cast<unsigned>(std::countr_zero(found));
        at.slot = slots_ + (group * slots_in_group + at.lane) * stride;
        return true;
    }
    template <class Fits>
    LEVEE_LOOK_UP bool find(hash_parts hash, Fits& fits, place& at) const {
        return find(hash, fits, at, stride_);
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
        return life(slot, payload_);
    }
    [[nodiscard]] static std::atomic_ref<std::int64_t> life(std::byte* slot, std::size_t payload) noexcept {
        return std::atomic_ref(*reinterpret_cast<std::int64_t*>(slot + payload));
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
    /// The group after the first `probed` ones on the hash's way. Ways that meet part again, so that full
    /// groups do not grow into long rows; at last one that comes by all groups.
    [[nodiscard]] std::size_t next(std::size_t group, std::size_t probed, hash_parts hash) const noexcept {
        const std::size_t step = probed <= by_tag ? 1 + (hash.tag() * (groups_ - 1) >> 8) : 1;
        return group + step < groups_ ? group + step : group + step - groups_;
    }
    [[nodiscard]] bool is_referenced(slot_number at) const noexcept {
        return (std::atomic_ref(tags()[at >> 4 << 1 | 1U]).load(std::memory_order_relaxed) &
                reference_bit(at & 15U)) != 0;
    }
    void set_reference(slot_number at, bool is_used) const noexcept {
        if (is_referenced(at) == is_used) {
            return;  // looking costs less than a read-modify-write
        }
        const auto second = std::atomic_ref(tags()[at >> 4 << 1 | 1U]);
        if (is_used) {
            second.fetch_or(reference_bit(at & 15U), std::memory_order_relaxed);
        } else {
            second.fetch_and(~reference_bit(at & 15U), std::memory_order_relaxed);
        }
    }
    /// The entry's id; of a retired slot, whatever was set. `no_slot` and `no_entry` come back as such.
    [[nodiscard]] std::uint32_t id(slot_number at) const noexcept {
        const std::byte* const bytes = id_at(at);
        const std::uint32_t low = std::to_integer<std::uint32_t>(bytes[0]) |
                                  std::to_integer<std::uint32_t>(bytes[1]) << 8 |
                                  std::to_integer<std::uint32_t>(bytes[2]) << 16;
        if (id_bytes_ == 3) {
            return low == no_short_id ? no_slot : low;
        }
        return low | std::to_integer<std::uint32_t>(bytes[3]) << 24;
    }
    void set_id(slot_number at, std::uint32_t id) const noexcept {
        std::byte* const bytes = id_at(at);
        bytes[0] = static_cast<std::byte>(id);
        bytes[1] = static_cast<std::byte>(id >> 8);
        bytes[2] = static_cast<std::byte>(id >> 16);
        if (id_bytes_ != 3) {
            bytes[3] = static_cast<std::byte>(id >> 24);
        }
    }
    [[nodiscard]] std::uint8_t tag(slot_number at) const noexcept {
        return static_cast<std::uint8_t>(std::atomic_ref(tags()[at >> 3]).load(std::memory_order_relaxed) >>
                                         at % 8 * 8);
    }
    void set_tag(slot_number at, std::uint8_t tag) const noexcept;  // release
    void prefetch(slot_number at) const noexcept {
        __builtin_prefetch(&tags()[at >> 3], 1);
        __builtin_prefetch(slot(at));
        __builtin_prefetch(id_at(at), 1);
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
    group_table(const slot_layout& layout, std::size_t groups, unsigned id_bytes, std::size_t bytes,
                origin from) noexcept;

    static group_table* filling(std::span<std::byte> memory, const slot_layout& layout, entry_id id_end,
                                origin from) noexcept;

    /// Three bytes an id while no id and no slot's number needs more.
    [[nodiscard]] static unsigned id_bytes_for(std::size_t groups, entry_id id_end) noexcept {
        return id_end <= no_short_id && groups * 16 <= no_short_id ? 3 : 4;
    }
    [[nodiscard]] std::byte* id_at(slot_number at) const noexcept {
        return ids_ + ((at >> 4) * std::size_t{slots_in_group} + (at & 15U)) * id_bytes_;
    }

    /// Right behind the header: so a look-up need not load where.
    [[nodiscard]] std::uint64_t* tags() const noexcept {
        return reinterpret_cast<std::uint64_t*>(const_cast<group_table*>(this) + 1);
    }
    /// Whether an entry whose home the group is, or that passed it, may live in a later one.
    LEVEE_LOOK_UP static bool goes_on(std::uint64_t* words) noexcept {
        return (std::atomic_ref(words[1]).load(std::memory_order_acquire) >> 40 & 0xffU) != 0;
    }

    static constexpr std::uint32_t no_short_id = 0xffffff;
    static constexpr std::size_t by_tag = 8;         // steps of a way before it comes by all groups
    static constexpr unsigned first_reference = 48;  // the bit of lane 0, in the second word
    [[nodiscard]] static constexpr std::uint64_t reference_bit(unsigned lane) noexcept {
        return std::uint64_t{1} << (first_reference + lane);
    }
};

}  // namespace levee::local_detail
