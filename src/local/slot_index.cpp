#include "levee/local/detail/slot_index.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

#include "levee/core/epoch.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t least_groups = 4;
constexpr std::size_t most_first_groups = 64;
constexpr std::size_t all_groups = std::numeric_limits<std::size_t>::max();
constexpr std::size_t least_spare = 256;
constexpr std::size_t with_room(std::size_t expected) noexcept {
    return expected + expected / 64;
}
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

}  // namespace

slot_index::slot_index(content what, std::size_t payload, times expiry, std::size_t expected,
                       table_cell* readers, std::span<std::byte> slice)
    : readers_(readers != nullptr ? readers : &own_readers_),
      layout_(payload, expiry),
      content_(what),
      expected_(std::min(expected, most_entries)),
      retired_(64),
      slice_(slice) {
    const std::size_t groups = std::min(groups_for(expected_), most_first_groups);
    table_ = make_table(groups).release();
    readers_->show(*table_, false);
    set_limits();
}

slot_index::~slot_index() {
    group_table* const current = &table();
    for (group_table* chain : {current->older.load(std::memory_order_relaxed), retired_tables_}) {
        while (chain != nullptr) {
            group_table* const next = chain->next_retired;
            group_table::free_memory()(chain);
            chain = next;
        }
    }
    group_table::free_memory()(current);
}

// Of 13 slots, 11 may be in use: then some 5 % of the entries are not in their home group.
std::size_t slot_index::most_used(const group_table& table) noexcept {
    return table.groups() * 11;
}

std::size_t slot_index::spare_slots(content what, std::size_t entries) noexcept {
    return what == content::values ? std::max(least_spare, entries / 32) : 0;
}

// Tables are made for 9 of 13, so that nearly all entries that churn are at home: going on to another group
// costs as much as all else in a look-up. Where slots are large, and there are many, emptiness costs more.
std::size_t slot_index::groups_for(content what, const slot_layout& layout, std::size_t entries) noexcept {
    constexpr std::size_t few = 16'384;
    constexpr std::uint32_t large = 32;
    const std::size_t quarters = entries > few && layout.stride >= large ? 43 : 36;
    return std::max(least_groups, (entries + spare_slots(what, entries)) * 4 / quarters + 1);
}

// With some room for that a shard holds more than its share.
std::size_t slot_index::settled_bytes(content what, std::size_t payload, times expiry,
                                      std::size_t expected) noexcept {
    if (expected == 0) {
        return 0;
    }
    const slot_layout layout(payload, expiry);
    return group_table::bytes_of(layout, groups_for(what, layout, with_room(expected)), 0);
}

// The slice is for what would fill half of it or more, in a table that has all of it.
group_table::pointer slot_index::make_table(std::size_t groups) {
    if (group_table::bytes_of(layout_, 2 * groups, next_id_) > slice_.size()) {
        if (auto made = group_table::make_in(slice_, layout_, groups, next_id_)) {
            slice_ = {};
            return made;
        }
    }
    return group_table::make(layout_, groups, next_id_);
}

void slot_index::set_limits() noexcept {
    const std::size_t most = most_used(table());
    retired_limit_ =
        static_cast<std::uint32_t>(std::max(spare_slots(expected_ != 0 ? expected_ : most), most / 32));
    retired_.set_batch(std::clamp(retired_limit_ / 4, 64U, 1024U));
}

void slot_index::expect(std::size_t entries) noexcept {
    expected_ = std::min(entries, most_entries);
    set_limits();
}

// Twice as many; near what is expected, in smaller steps.
std::size_t slot_index::next_groups() const noexcept {
    const std::size_t now = table().groups();
    if (expected_ == 0) {
        return 2 * now;
    }
    std::size_t wanted = groups_for(with_room(expected_));
    if (const std::size_t fit = group_table::groups_in(slice_.size(), layout_, next_id_);
        fit >= wanted - wanted / 16) {
        wanted = std::min(wanted, fit);  // slices end with a huge page, somewhat before or after
    }
    return std::clamp(wanted, now + now / 8 + 1, 2 * now);
}

// Groups to move with a write: at least four, and so many that all have moved after as many writes as a
// quarter of the current table's groups. So what is yet to be moved always finds room, beside what those
// writes add, in the two slots of each group that `most_used` leaves.
std::size_t slot_index::groups_a_write(const group_table& older) const noexcept {
    return std::max<std::size_t>(4, 4 * (older.groups() / table().groups() + 1));
}

bool slot_index::prepare() {
    if (const group_table* const older = table().older.load(std::memory_order_relaxed)) [[unlikely]] {
        rebuild(groups_a_write(*older));
    }
    if (retired_.is_due()) {
        collect();
    }
    if (used_ + 1 > most_used(table())) {
        if (retired_.size() >= retired_limit_) {
            collect();
            collect();  // the first one may only have sealed
        }
        if (used_ + 1 > most_used(table())) {
            if (retired_.size() >= retired_limit_) {
                return false;
            }
            rebuild(all_groups);  // there is nothing left to move unless it has just grown
            start_rebuild(next_groups());
        }
    }
    if (free_id_ == no_free && next_id_ == cold_.size()) {
        cold_.reserve(cold_.size() + 1);
    }
    return true;
}

entry_id slot_index::publish(slot_number at, hash_parts hash) noexcept {
    entry_id id = free_id_;
    if (id != no_free) {
        free_id_ = cold_[id].slot & ~free_bit;
    } else {
        id = next_id_++;
    }
    group_table& here = table();
    cold_[id] = {hash.low, at | generation_};
    here.set_id(at, id);
    here.set_reference(at, false);
    here.set_tag(at, hash.tag());
    ++live_;
    ++used_;
    return id;
}

slot_number slot_index::at(entry_id id) noexcept {
    if (is_in_older(id)) [[unlikely]] {
        return move(*table().older.load(std::memory_order_relaxed), slot_of(id));
    }
    return slot_of(id);
}

void slot_index::remove(entry_id id) noexcept {
    const slot_number gone = at(id);
    group_table& here = table();
    const hash_parts hash(cold_[id].hash, here.tag(gone));
    here.set_tag(gone, content_ == content::values ? tag_retired : tag_empty);
    here.unmark(hash, gone);
    --live_;
    if (content_ == content::values) {
        slot_number link = no_slot;
        retired_.add(gone, link);
        here.set_id(gone, link);
    } else {
        --used_;
    }
    cold_[id].slot = free_bit | free_id_;
    free_id_ = id;
}

bool slot_index::take_reference(entry_id id) noexcept {
    const group_table& table = table_of(id);
    const slot_number slot = slot_of(id);
    if (!table.is_referenced(slot)) {
        return false;
    }
    table.set_reference(slot, false);
    return true;
}

bool slot_index::is_referenced(entry_id id) const noexcept {
    return table_of(id).is_referenced(slot_of(id));
}

void slot_index::prefetch(entry_id id) const noexcept {
    if (is_used(id)) {
        table_of(id).prefetch(slot_of(id));
    }
}

slot_number slot_index::move(const group_table& older, slot_number from) noexcept {
    group_table& here = table();
    const entry_id id = older.id(from);
    const hash_parts hash(cold_[id].hash, older.tag(from));
    const slot_number to = here.take_empty(hash);
    std::byte* const source = older.slot(from);
    std::byte* const target = here.slot(to);
    if (content_ == content::pointer) {
        // Atomic, since readers may look at a slot that was used before. Release: they follow the pointer.
        const auto pointer = std::atomic_ref(*reinterpret_cast<std::uintptr_t*>(source));
        std::atomic_ref(*reinterpret_cast<std::uintptr_t*>(target))
            .store(pointer.load(std::memory_order_relaxed), std::memory_order_release);
    } else {
        std::memcpy(target, source, layout_.payload);
        if (here.has_life()) {
            const std::int64_t life =
                older.has_life() ? older.life(source).load(std::memory_order_relaxed) : never;
            here.life(target).store(life, std::memory_order_relaxed);
        }
        if (here.has_use()) {
            here.use(target).store(older.use(source).load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
        }
    }
    here.set_id(to, id);
    here.set_reference(to, older.is_referenced(from));
    cold_[id].slot = to | generation_;
    here.set_tag(to, hash.tag());
    older.set_tag(from, tag_retired);  // after it was published in the current table
    ++used_;
    return to;
}

bool slot_index::rebuild(std::size_t groups) noexcept {
    const group_table* const older = table().older.load(std::memory_order_relaxed);
    if (older == nullptr) {
        return true;
    }
    for (; groups != 0 && next_group_ < older->groups(); --groups, ++next_group_) {
        for (unsigned lane = 0; lane < slots_in_group; ++lane) {
            const auto slot = static_cast<slot_number>(next_group_ << 4 | lane);
            if (older->tag(slot) > tag_retired) {
                move(*older, slot);
            }
        }
    }
    if (next_group_ < older->groups()) {
        return false;
    }
    end_rebuild();
    return true;
}

void slot_index::start_rebuild(std::size_t groups) {
    group_table& old = table();
    assert(old.older.load(std::memory_order_relaxed) == nullptr);  // what is left there would be lost
    group_table::pointer fresh = make_table(groups);
    generation_ ^= generation_bit;
    retired_.clear();  // they are never used again
    next_group_ = 0;
    used_ = 0;
    fresh->older.store(&old, std::memory_order_relaxed);  // published with it
    table_ = fresh.release();
    readers_->show(*table_, true);
    set_limits();
}

void slot_index::end_rebuild() noexcept {
    group_table* const old = table().older.load(std::memory_order_relaxed);
    table().older.store(nullptr, std::memory_order_release);
    readers_->show(table(), false);
    old->retired_tag = epoch::retire_tag();
    old->next_retired = retired_tables_;
    retired_tables_ = old;
}

void slot_index::need_times(times expiry) {
    if (layout_.expiry >= expiry) {
        return;
    }
    rebuild(all_groups);
    const slot_layout before = layout_;
    layout_ = slot_layout(layout_.payload, expiry);
    try {
        start_rebuild(std::max(table().groups(), groups_for(live_)));
    } catch (...) {
        layout_ = before;
        throw;
    }
}

void slot_index::shrink() {
    const std::size_t wanted = groups_for(std::max(live_, std::min(expected_, live_ * 2)));
    if (table().older.load(std::memory_order_relaxed) == nullptr && wanted < table().groups() / 2) {
        start_rebuild(wanted);
    }
}

bool slot_index::collect() noexcept {
    bool has_freed = false;
    group_table& here = table();
    for (slot_number slot = retired_.take_passed(); slot != no_slot; --used_, has_freed = true) {
        here.set_tag(std::exchange(slot, here.id(slot)), tag_empty);
    }
    return has_freed;
}

group_table* slot_index::take_passed_tables() noexcept {
    group_table* passed = nullptr;
    const epoch::tag oldest = epoch::oldest();
    for (group_table** link = &retired_tables_; *link != nullptr;) {
        group_table* const table = *link;
        if (table->retired_tag < oldest) {
            *link = std::exchange(table->next_retired, passed);
            passed = table;
        } else {
            link = &table->next_retired;
        }
    }
    return passed;
}

std::size_t slot_index::memory() const noexcept {
    std::size_t sum = table().memory() + cold_.memory();
    if (const group_table* const older = table().older.load(std::memory_order_relaxed)) {
        sum += older->memory();
    }
    for (const group_table* old = retired_tables_; old != nullptr; old = old->next_retired) {
        sum += old->memory();
    }
    return sum;
}

bool slot_index::is_consistent() const noexcept {
    std::size_t live = 0;
    for (entry_id id = 0; id < next_id_; ++id) {
        if (!is_used(id)) {
            continue;
        }
        ++live;
        const group_table& home = table_of(id);
        const slot_number at = slot_of(id);
        const std::uint8_t tag = home.tag(at);
        const auto is_it = [&](const std::byte* slot) { return slot == home.slot(at); };
        if (tag <= tag_retired || home.id(at) != id || home.find({cold_[id].hash, tag}, is_it) != at) {
            return false;
        }
    }
    std::size_t used = 0;
    for (std::size_t group = 0; group < table().groups(); ++group) {
        for (unsigned lane = 0; lane < slots_in_group; ++lane) {
            used += table().tag(static_cast<slot_number>(group << 4 | lane)) != tag_empty ? 1U : 0U;
        }
    }
    return live == live_ && used == used_;
}

}  // namespace levee::local_detail
