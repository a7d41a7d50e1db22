/// The writes that the source does not have yet: a key's newest, the one on its way, and nothing older.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/cache/detail/write_schedule.hpp"
#include "levee/core/bytes.hpp"

namespace levee::cache_detail {

/// One write and those that it replaced before they reached the source.
template <class V>
struct pending_write {
    std::optional<V> value{};  ///< Empty: an erasure.
    std::uint64_t sequence = 0;
    std::uint64_t version = 0;
    std::uint64_t writer = 0;             ///< Who accepted it.
    std::size_t size = 0;                 ///< In bytes, about, for bounds.
    std::uint64_t oldest = 0;             ///< The first sequence that this one stands for.
    time_point since{};                   ///< When that was accepted.
    std::vector<std::uint64_t> covers{};  ///< Sequences that are done with when this one is.
    bool is_journaled = false;            ///< Its sequence is that of a record.
    bool is_published = false;            ///< L2 has it, or was asked to.
    bytes record{};                       ///< For the journal, until that has it.

    /// Takes the place of `older`.
    void cover(pending_write&& older) {
        oldest = (std::min)(oldest, older.oldest);
        since = (std::min)(since, older.since);
        if (older.is_journaled) {
            older.covers.push_back(older.sequence);
        }
        older.covers.insert(older.covers.end(), covers.begin(), covers.end());
        covers = std::move(older.covers);
    }
};

/// What is to be told to L2 and peers about a key, by one at a time.
enum class telling : std::uint8_t { idle, queued, active };

/// Why a write is no longer on its way.
enum class landing : std::uint8_t { none, stored, given_up };

template <class K, class V>
struct pending_slot : write_slot {
    const K* key = nullptr;                     ///< The map's.
    std::optional<pending_write<V>> waiting{};  ///< The newest, if it is not the one on its way.
    std::optional<pending_write<V>> flying{};   ///< With the source, or back from it and still to be told.
    landing landed = landing::none;             ///< The source is done with `flying`.
    std::uint64_t stored_version = 0;           ///< What the source answered.
    telling tell = telling::idle;
    pending_slot* told_after = nullptr;  ///< While `telling::queued`: the next one's turn, or null.
    bool is_counted = true;  ///< Has a place among `max_pending`; not: written through past a full queue.

    /// Its writer gave it to the source itself, and what became of it is not known yet, or not told.
    [[nodiscard]] bool is_direct() const noexcept { return flying && !is_counted; }
    [[nodiscard]] const pending_write<V>& newest() const noexcept { return waiting ? *waiting : *flying; }
    [[nodiscard]] pending_write<V>* find(std::uint64_t sequence) noexcept {
        if (waiting && waiting->sequence == sequence) {
            return &*waiting;
        }
        return flying && flying->sequence == sequence ? &*flying : nullptr;
    }
    [[nodiscard]] std::uint64_t oldest() const noexcept { return flying ? flying->oldest : waiting->oldest; }
    [[nodiscard]] time_point oldest_since() const noexcept { return flying ? flying->since : waiting->since; }
};

/// Slots in the order in which they are told about. Allocates nothing, so that what was accepted or has
/// landed is told about whatever happens.
///
/// Thread safety: unsafe.
template <class Slot>
class telling_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    void push(Slot& one) noexcept {
        one.tell = telling::queued;
        one.told_after = nullptr;
        (first_ == nullptr ? first_ : last_->told_after) = &one;
        last_ = &one;
    }
    /// Not empty. It is `active` from now on.
    [[nodiscard]] Slot* pop() noexcept {
        Slot* const one = first_;
        first_ = one->told_after;
        one->tell = telling::active;
        return one;
    }

private:
    Slot* first_ = nullptr;
    Slot* last_ = nullptr;
};

/// The order of one key's writes, over a `write_schedule`:
///
/// - Its newest write replaces the one that waits, in that one's place (put, erase, put: the last put).
/// - While one is with the source, a newer one waits behind it; a key is never in two batches.
/// - When the one with the source failed, the newer one supersedes it; otherwise it waits for another
/// attempt.
///
/// Thread safety: unsafe. Slots stay where they are until `land` ends them.
template <class K, class V, class Hash, class Eq>
class pending_writes {
public:
    using slot = pending_slot<K, V>;
    using write = pending_write<V>;

    pending_writes(const schedule_options& options, const write_defences_off& holes)
        : schedule_(options), holes_(holes) {}

    /// Up to so many keys no write moves the others: growing by half a hundred thousand takes 50 ms.
    void reserve(std::size_t count) { slots_.reserve(count); }

    [[nodiscard]] slot* find(const K& key) {
        const auto at = slots_.find(key);
        return at == slots_.end() ? nullptr : &at->second;
    }
    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
    [[nodiscard]] write_schedule& schedule() noexcept { return schedule_; }

    /// Accepts a key's newest write. `held`: its slot, or null for a new one. True: it replaced one that was
    /// not sent yet. Throws what copying the key throws, or std::bad_alloc: nothing has changed then, but
    /// that `made` may be gone.
    bool accept(slot*& held, const K& key, write made) {
        if (held == nullptr) {
            slot& added = add(key);
            try {
                added.bytes = made.size;
                added.waiting = std::move(made);
                queue(added);
            } catch (...) {
                slots_.erase(slots_.find(key));
                throw;
            }
            held = &added;
            return false;
        }
        if (held->waiting) {
            const std::size_t before = held->bytes;
            if (holes_.coalesce) {
                made.value = held->waiting->value;
            }
            made.cover(std::move(*held->waiting));
            held->waiting = std::move(made);
            held->bytes = held->waiting->size;
            schedule_.replaced(*held, before);
            return true;
        }
        held->bytes = made.size;  // behind the one that flies: queued when that has landed
        held->waiting = std::move(made);
        return false;
    }

    /// A write that goes to the source at once, on its writer's thread: its key has no slot.
    [[nodiscard]] slot& begin_direct(const K& key, write made) {
        slot& added = add(key);
        added.is_counted = false;
        added.flying = std::move(made);
        added.place = write_place::flying;
        return added;
    }

    /// The next batch; its writes are `flying` until each has landed or the batch has `failed`.
    [[nodiscard]] std::optional<write_batch> take(time_point now, bool is_urgent) {
        auto batch = schedule_.take(now, is_urgent);
        if (batch) {
            for (write_slot* each : batch->slots) {
                fly(of(each));
            }
        }
        return batch;
    }

    /// Writes that failed together. Those that a newer one supersedes are done with (told to `superseded`);
    /// the rest wait, or, if it is one that is given up, it is returned and stays `flying`.
    template <class Superseded>
    [[nodiscard]] slot* failed(write_batch batch, write_failure kind, time_point now, Superseded superseded) {
        std::erase_if(batch.slots, [&](write_slot* each) {
            slot& at = of(each);
            if (!at.waiting) {
                return false;
            }
            at.waiting->cover(std::move(*at.flying));
            superseded(*at.flying);
            if (holes_.supersede) {
                at.waiting->value = std::move(at.flying->value);
            }
            at.flying.reset();
            queue(at);
            return true;
        });
        if (batch.slots.empty()) {
            return nullptr;
        }
        slot& first = of(batch.slots.front());
        for (write_slot* each : batch.slots) {
            back(of(each));
        }
        if (schedule_.failed(std::move(batch), kind, now) == write_schedule::verdict::give_up) {
            fly(first);
            return &first;
        }
        return nullptr;
    }

    /// The write that `failed` returned cannot be given up: it waits for another attempt, unless a newer one
    /// supersedes it.
    template <class Superseded>
    void keep(slot& at, time_point now, Superseded superseded) {
        if (at.waiting) {
            at.waiting->cover(std::move(*at.flying));
            superseded(*at.flying);
            at.flying.reset();
            queue(at);
            return;
        }
        back(at);
        schedule_.keep(at, now);
    }

    /// Calls `f` with the slots whose write is with the source as far as they know, direct ones left out.
    /// For one that lost a batch: when nothing else is with the source, these are it. Cost: looks at all.
    template <class F>
    void for_each_flying(F f) {
        for (auto& each : slots_) {
            slot& at = each.second;
            if (at.flying && at.is_counted && at.place == write_place::flying) {
                f(at);
            }
        }
    }

    /// What was `flying` is done with. True: and so is the slot, which is gone.
    bool land(slot& at) {
        at.flying.reset();
        at.landed = landing::none;
        at.place = at.place == write_place::flying ? write_place::none : at.place;
        if (at.waiting) {
            if (at.place == write_place::none) {
                queue(at);
            }
            return false;
        }
        const K* key = at.key;
        slots_.erase(slots_.find(*key));
        return true;
    }

    /// Whether a write that was accepted up to `sequence` is still here. Cost: looks at every slot.
    [[nodiscard]] bool has_up_to(std::uint64_t sequence) const {
        return std::any_of(slots_.begin(), slots_.end(),
                           [sequence](const auto& each) { return each.second.oldest() <= sequence; });
    }

    /// When the oldest was accepted; time_point::max(): there is none. Cost: looks at every slot.
    [[nodiscard]] time_point oldest() const {
        time_point at = (time_point::max)();
        for (const auto& each : slots_) {
            at = (std::min)(at, each.second.oldest_since());
        }
        return at;
    }

    template <class F>
    void for_each(F f) {
        for (auto& each : slots_) {
            f(each.second);
        }
    }

    [[nodiscard]] static slot& of(write_slot* base) noexcept { return *static_cast<slot*>(base); }

private:
    slot& add(const K& key) {
        const auto made = slots_.try_emplace(key).first;
        made->second.key = &made->first;
        return made->second;
    }

    void queue(slot& at) {
        at.since = at.waiting->since;
        at.bytes = at.waiting->size;
        schedule_.enqueue(at);
    }

    static void fly(slot& at) {
        at.flying = std::move(at.waiting);
        at.waiting.reset();
        at.bytes = 0;
    }
    static void back(slot& at) {
        at.waiting = std::move(at.flying);
        at.flying.reset();
        at.bytes = at.waiting->size;
    }

    std::unordered_map<K, slot, Hash, Eq> slots_;
    write_schedule schedule_;
    const write_defences_off& holes_;
};

}  // namespace levee::cache_detail
