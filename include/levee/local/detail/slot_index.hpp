/// The index of one shard: from hashes to slots, and from ids to slots. Knows neither keys nor values.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "levee/local/detail/chunked_array.hpp"
#include "levee/local/detail/grace_queue.hpp"
#include "levee/local/detail/group_table.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

/// Where readers begin: an index's current table. Cells of several indexes should lie side by side, apart
/// from what is written often.
class table_cell {
public:
    /// `has_older`: there are entries in an older table, too.
    void show(const group_table& current, bool has_older) noexcept {
        word_.store(reinterpret_cast<std::uintptr_t>(&current) | (has_older ? older_bit : 0U) |
                        (current.has_life() ? life_bit : 0U) | (current.has_use() ? use_bit : 0U),
                    std::memory_order_release);  // pairs with `read`
    }
    /// A table's address, and bits that say what one should know before one looks at it.
    [[nodiscard]] std::uintptr_t read() const noexcept { return word_.load(std::memory_order_acquire); }
    [[nodiscard]] static bool has_older(std::uintptr_t word) noexcept { return (word & older_bit) != 0; }
    /// There is no older table, and slots are without times.
    [[nodiscard]] static bool is_plain(std::uintptr_t word) noexcept { return (word & bits) == 0; }
    /// There is no older table, and slots have `life`, but not `use`.
    [[nodiscard]] static bool is_mortal(std::uintptr_t word) noexcept { return (word & bits) == life_bit; }
    [[nodiscard]] static const group_table* table(std::uintptr_t word) noexcept {
        // The address of a table, once the bits are gone. NOLINTNEXTLINE(performance-no-int-to-ptr)
        return reinterpret_cast<const group_table*>(word & ~bits);
    }
    [[nodiscard]] static const group_table* plain_table(std::uintptr_t word) noexcept {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): no bit is set
        return reinterpret_cast<const group_table*>(word);
    }

private:
    static constexpr std::uintptr_t older_bit = 1;
    static constexpr std::uintptr_t life_bit = 2;
    static constexpr std::uintptr_t use_bit = 4;
    static constexpr std::uintptr_t bits = older_bit | life_bit | use_bit;

    std::atomic<std::uintptr_t> word_{0};
};

/// Finds entries for readers without a lock, and lets the holder of the shard's lock change what they find.
///
/// *What a racing reader sees.* An entry's slot is written, then published by its tag; its value is replaced
/// by one atomic store; it is removed by taking its tag away, and its slot is not written again until no
/// reader can be looking at it. To grow, a new table is published that points to the older one; readers look
/// in the older one first, and an entry is published in the new one before it leaves the older one; so none
/// is missed on the move. A reader that found nothing in a table that is no longer the current one looks
/// again.
///
/// *Growing* moves a few groups with each write, so that hardly one pays for the whole: it does when the
/// new table fills up before all have moved, or when slots need times. Shrinking (`shrink`) is the same with
/// a smaller table. A table that was emptied can be taken away, to be freed off the lock, when its epoch has
/// passed.
///
/// Thread safety: `find` is for pinned threads; all else for the holder of the lock.
class slot_index {
public:
    using times = slot_layout::times;

    /// What is in a slot. `values`: bytes that readers may be reading, so a slot is reused only after an
    /// epoch. `pointer`: one atomic pointer to an immutable node; a reader that finds another key's node
    /// passes it over, so the slot can be reused at once.
    enum class content : std::uint8_t { values, pointer };

    /// More entries than an index can have. To expect more is to expect so many.
    static constexpr std::size_t most_entries = std::size_t{1} << 30;

    /// `expected`: about how many entries there will be; zero: not known. `readers`: where they begin, which
    /// outlives this; null: in here. `slice`: zeros, of `settled_bytes`, for the table that it grows to; it
    /// outlives this. Empty: there is none.
    slot_index(content what, std::size_t payload, times expiry, std::size_t expected,
               table_cell* readers = nullptr, std::span<std::byte> slice = {});
    ~slot_index();
    slot_index(const slot_index&) = delete;
    slot_index& operator=(const slot_index&) = delete;

    /// What `find` answers. `unsettled`: entries are on the move; ask `find_in_both`.
    enum class answer : std::uint8_t { found, absent, unsettled };

    /// Calls `fits(slot)` on what may be the entry. If found, it is `at`, in `table`. Pinned threads only.
    template <class Fits>
    LEVEE_LOOK_UP static answer find(const table_cell& readers, hash_parts hash, Fits& fits,
                                     group_table::place& at, const group_table*& table) {
        const std::uintptr_t word = readers.read();
        if (table_cell::has_older(word)) [[unlikely]] {
            return answer::unsettled;
        }
        const group_table* const current = table_cell::table(word);
        if (current->find(hash, fits, at)) [[likely]] {
            table = current;
            return answer::found;
        }
        return readers.read() == word ? answer::absent : answer::unsettled;
    }

    /// `find` while entries are on the move: the table, or null. Not for the inside of a look-up that should
    /// stay in registers: what `fits` refers to has to have an address.
    template <class Fits>
    [[nodiscard]] const group_table* find_in_both(hash_parts hash, Fits& fits, group_table::place& at) const {
        for (;;) {
            const std::uintptr_t word = readers_->read();
            const group_table* const current = table_cell::table(word);
            if (const group_table* const older = current->older.load(std::memory_order_acquire)) {
                if (older->find(hash, fits, at)) {
                    return older;
                }
            }
            if (current->find(hash, fits, at)) {
                return current;
            }
            if (table_cell::table(readers_->read()) == current) {
                return nullptr;
            }
        }
    }

    /// What the table takes that one grows to that is made like this; zero: not known.
    [[nodiscard]] static std::size_t settled_bytes(content what, std::size_t payload, times expiry,
                                                   std::size_t expected) noexcept;

    // Under the lock. Slots are of `table()`, and valid until the next call that may grow it.

    [[nodiscard]] group_table& table() const noexcept { return *table_; }

    /// As `find`; an entry in the older table is moved first.
    template <class Fits>
    [[nodiscard]] slot_number find_locked(hash_parts hash, Fits& fits) {
        if (const group_table* const older = table().older.load(std::memory_order_relaxed)) [[unlikely]] {
            if (const slot_number found = older->find(hash, fits); found != no_slot) {
                return move(*older, found);
            }
        }
        return table().find(hash, fits);
    }

    /// Makes sure that the next `publish` has room, and does a piece of growing. False: no slot is left, and
    /// all spare ones wait for a reader that does not end. Errors: std::bad_alloc; nothing is changed.
    [[nodiscard]] bool prepare();

    /// A slot for a new entry, not yet visible: write it, then `publish`. Only after `prepare`.
    [[nodiscard]] slot_number take(hash_parts hash) noexcept { return table().take_empty(hash); }
    entry_id publish(slot_number at, hash_parts hash) noexcept;

    /// The entry is no longer found; its id is free. Tells nobody.
    void remove(entry_id id) noexcept;

    [[nodiscard]] entry_id id_at(slot_number at) const noexcept { return table().id(at); }

    struct location {
        const group_table* table;
        slot_number slot;
    };
    /// Where the entry is, in either table.
    [[nodiscard]] location find_id(entry_id id) const noexcept { return {&table_of(id), slot_of(id)}; }

    /// The entry's slot; it is moved to the current table if need be.
    [[nodiscard]] slot_number at(entry_id id) noexcept;
    [[nodiscard]] bool is_used(entry_id id) const noexcept {
        return id < next_id_ && (cold_[id].slot & free_bit) == 0;
    }
    [[nodiscard]] std::uint32_t hash_of(entry_id id) const noexcept { return cold_[id].hash; }

    [[nodiscard]] bool take_reference(entry_id id) noexcept;
    [[nodiscard]] bool is_referenced(entry_id id) const noexcept;
    void set_reference(slot_number at) noexcept { table().set_reference(at, true); }
    void prefetch(entry_id id) const noexcept;

    /// All ids ever used are below; also what may be used next.
    [[nodiscard]] entry_id id_end() const noexcept { return next_id_; }
    [[nodiscard]] entry_id id_limit() const noexcept { return static_cast<entry_id>(cold_.size()); }

    [[nodiscard]] std::size_t size() const noexcept { return live_; }

    /// Room for `entries` is to be expected; grows no further in big steps. Zero: not known.
    void expect(std::size_t entries) noexcept;

    /// Slots for times: the table is rebuilt, piece by piece, if it has none. Errors: std::bad_alloc.
    void need_times(times expiry);

    /// Moves up to `groups` groups of a rebuilding; true: there is nothing left to move.
    bool rebuild(std::size_t groups) noexcept;

    /// A smaller table if the present one is far too big. Errors: std::bad_alloc.
    void shrink();

    /// Frees slots that no reader can be looking at. True: some were. May be asked twice in a row: the first
    /// call may have no more than begun.
    bool collect() noexcept;

    /// Whether it is time to look for replaced tables that can be freed; to be asked at each write.
    [[nodiscard]] bool are_tables_due() noexcept {
        constexpr unsigned writes_between = 64;
        return retired_tables_ != nullptr && ++writes_since_tables_ % writes_between == 0;
    }

    /// The replaced tables that no reader can see, as a chain by `next_retired`; the caller frees them. Cost:
    /// that of `epoch::oldest`.
    [[nodiscard]] group_table* take_passed_tables() noexcept;

    [[nodiscard]] std::size_t memory() const noexcept;

    /// Whether ids, slots, tags and counters agree; for tests.
    [[nodiscard]] bool is_consistent() const noexcept;

private:
    struct cold_part {
        std::uint32_t hash;
        std::uint32_t slot;  // with free_bit: the next free id; else with generation_bit_ as it was then
    };
    static constexpr std::uint32_t free_bit = 1U << 31;
    static constexpr std::uint32_t generation_bit = 1U << 30;
    static constexpr std::uint32_t no_free = free_bit - 1;  // the end of the chain of free ids

    slot_number move(const group_table& older, slot_number from) noexcept;
    [[nodiscard]] bool is_in_older(entry_id id) const noexcept {
        return (cold_[id].slot & generation_bit) != generation_;
    }
    [[nodiscard]] group_table& table_of(entry_id id) const noexcept {
        return is_in_older(id) ? *table().older.load(std::memory_order_relaxed) : table();
    }
    [[nodiscard]] slot_number slot_of(entry_id id) const noexcept { return cold_[id].slot & ~generation_bit; }
    void start_rebuild(std::size_t groups);
    [[nodiscard]] std::size_t groups_a_write(const group_table& older) const noexcept;
    void end_rebuild() noexcept;
    [[nodiscard]] static std::size_t spare_slots(content what, std::size_t entries) noexcept;
    [[nodiscard]] std::size_t spare_slots(std::size_t entries) const noexcept {
        return spare_slots(content_, entries);
    }
    [[nodiscard]] static std::size_t groups_for(content what, const slot_layout& layout,
                                                std::size_t entries) noexcept;
    [[nodiscard]] std::size_t groups_for(std::size_t entries) const noexcept {
        return groups_for(content_, layout_, entries);
    }
    [[nodiscard]] group_table::pointer make_table(std::size_t groups);
    [[nodiscard]] std::size_t next_groups() const noexcept;
    [[nodiscard]] static std::size_t most_used(const group_table& table) noexcept;
    void set_limits() noexcept;

    table_cell own_readers_{};
    table_cell* const readers_;

    group_table* table_ = nullptr;  // the current one, for the lock's holder
    slot_layout layout_;
    const content content_;
    std::size_t live_ = 0;  // entries, in both tables
    std::size_t used_ = 0;  // slots of the current table that are not empty
    std::size_t expected_ = 0;
    std::uint32_t generation_ =
        0;                        // flipped with each new table: who has the other one is in the older table
    std::size_t next_group_ = 0;  // of the older table, to be moved next
    chunked_array<cold_part> cold_;
    entry_id next_id_ = 0;             // ids from here on were never used
    std::uint32_t free_id_ = no_free;  // the free one given out next
    std::uint32_t retired_limit_ = 0;
    grace_queue<slot_number, no_slot> retired_;
    std::span<std::byte> slice_;  // empty once a table was made in it
    group_table* retired_tables_ = nullptr;
    unsigned writes_since_tables_ = 0;
};

}  // namespace levee::local_detail
