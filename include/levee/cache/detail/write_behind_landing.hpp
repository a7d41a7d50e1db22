// What becomes of batches, when the source has answered: bodies of write_behind_core. Included by it alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
write_failure write_behind_core<K, V, Hash, Eq>::kind_of(const std::exception_ptr& failure) {
    if (!options_.classify) {
        return classify_write_failure(failure);
    }
    const callback_gate::pass mine(callbacks_);
    if (!mine) {
        return write_failure::unavailable;  // the end: whatever it is, nothing is given up any more
    }
    try {
        return options_.classify(failure);
    } catch (...) {
        return write_failure::retryable;
    }
}

// A row that failed by itself is known: it waits alone. Rows that failed together stay together.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::sort(write_batch batch, const write_report& report,
                                             const std::exception_ptr& whole, std::vector<slot*>& stored)
    -> std::vector<failed_part> {
    std::vector<failed_part> parts;
    if (whole != nullptr) {
        const write_failure kind = kind_of(whole);
        parts.push_back({.batch = std::move(batch), .kind = kind, .error = whole});
        return parts;
    }
    failed_part away{.kind = write_failure::unavailable};
    for (std::size_t i = 0; i < report.size(); ++i) {
        slot& at = pending_writes<K, V, Hash, Eq>::of(batch.slots[i]);
        if (report[i].error == nullptr) {
            at.stored_version = report[i].version;
            stored.push_back(&at);
            continue;
        }
        const write_failure kind = kind_of(report[i].error);
        if (kind == write_failure::unavailable) {
            away.batch.slots.push_back(&at);
            away.error = report[i].error;
            continue;
        }
        failed_part alone{.kind = kind, .error = report[i].error};
        alone.batch.slots.push_back(&at);
        alone.batch.attempts = batch.slots.size() == 1 ? batch.attempts : 0;
        alone.batch.is_split = true;
        alone.batch.successes = batch.successes;
        parts.push_back(std::move(alone));
    }
    if (!away.batch.slots.empty()) {
        batch.slots = std::move(away.batch.slots);  // the rest as it was
        away.batch = std::move(batch);
        parts.push_back(std::move(away));
    }
    return parts;
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::end_batch(self_ptr self, shard& at, write_batch batch,
                                                  write_report report, std::exception_ptr whole,
                                                  duration took) -> awaitable<void> {
    const std::size_t size = batch.slots.size();
    {
        const std::lock_guard lock(self->times_mutex_);
        self->flush_latency_.record(static_cast<std::uint64_t>((std::max)(took, duration::zero()).count()));
        self->batch_sizes_.record(size);
    }
    std::vector<slot*> ended;
    std::vector<std::pair<slot*, std::exception_ptr>> lost;
    std::vector<failed_part> parts = self->sort(std::move(batch), report, whole, ended);
    if (!parts.empty()) {
        bump(self->counters_.failed_batches);
    }
    const time_point now = self->time_->now();
    {
        const std::lock_guard lock(at.mutex);
        at.writes.schedule().succeeded(ended.size(), took);
        for (slot* each : ended) {
            each->landed = landing::stored;
        }
        for (failed_part& part : parts) {
            if (self->holes_.retry) {
                for (write_slot* each : part.batch.slots) {
                    slot& dropped = pending_writes<K, V, Hash, Eq>::of(each);
                    dropped.landed = landing::given_up;
                    ended.push_back(&dropped);
                }
                continue;
            }
            std::size_t superseded = 0;
            const std::size_t writes = part.batch.slots.size();
            slot* const alone =
                at.writes.failed(std::move(part.batch), part.kind, now, [&](const write& older) {
                    ++superseded;
                    self->bytes_.fetch_sub(older.size);
                });
            bump(self->counters_.superseded, superseded);
            if (alone != nullptr) {
                lost.emplace_back(alone, part.error);
            } else {
                bump(self->counters_.retried, writes - superseded);
            }
        }
    }
    bump(self->counters_.flushed, static_cast<std::uint64_t>(ended.size()));
    self->end_all(at, ended);
    for (auto& each : lost) {
        auto giving = give_up(self, at, each.first, std::move(each.second));
        co_await std::move(giving);
    }
}

// The letter is safe before the write is forgotten. When it cannot be, the write waits on.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::give_up(self_ptr self, shard& at, slot* lost, std::exception_ptr why)
    -> awaitable<void> {
    try {
        auto writing = write_off(self, at, lost, std::move(why));
        co_await std::move(writing);
    } catch (...) {  // as when there is no room for it
    }
    {
        const std::lock_guard lock(at.mutex);
        if (lost->landed == landing::none) {
            at.writes.keep(*lost, self->time_->now(),
                           [&](const write& older) { self->bytes_.fetch_sub(older.size); });
            co_return;
        }
    }
    slot* const one[] = {lost};
    self->end_all(at, one);
}

// Keeps a letter about it, lets it land, and tells. It has not landed afterwards: there can be no letter; or
// the end has come, which deals with all that has not landed, or leaves it and its record to the next owner.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::write_off(self_ptr self, shard& at, slot* lost,
                                                  std::exception_ptr why) -> awaitable<void> {
    auto reason = code_and_text(why);
    dead_letter<K, V> letter{
        .operation = self->operation_of(*lost), .code = reason.first, .reason = std::move(reason.second)};
    dead_letter<K, V> copy = letter;
    std::vector<std::uint64_t> alone(1);
    std::optional<std::uint64_t> id;
    if (self->letters_.has_log()) {
        auto adding = self->letters_.async_add(std::move(copy), self->durable_deadline());
        id = co_await std::move(adding);
    }
    // Before it lands: what has landed here is told here, and not by the end.
    const callback_gate::pass mine(self->callbacks_);
    if (!mine) {
        co_return;
    }
    {
        const std::lock_guard lock(at.mutex);
        if (!self->letters_.has_log() && (self->log_ != nullptr || !self->is_abandoned_.load())) {
            id = self->letters_.try_add(std::move(copy));
        }
        if (!id) {
            co_return;
        }
        letter.id = *id;
        lost->landed = landing::given_up;
        letter.is_superseded = lost->waiting.has_value();
        if (letter.is_superseded) {
            alone.front() = *id;
            self->supersede_letters(std::move(alone), lost->waiting->sequence);
        }
    }
    bump(self->counters_.dead_letters);
    self->call_handler(letter);
}

// The write `sequence` was accepted: they are older. On the disk that is noted when that write is safe there;
// a write that never was leaves no mark.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::supersede_letters(std::vector<std::uint64_t> ids,
                                                          std::uint64_t sequence) noexcept {
    if (ids.empty()) {
        return;
    }
    letters_.supersede(ids);
    if (log_ == nullptr || letters_.notes() == nullptr) {
        return;
    }
    try {
        log_->when_durable(sequence, [to = letters_.notes(), ids = std::move(ids)](const auto& failure) {
            if (failure == nullptr) {
                to->supersede(ids);
            }
        });
    } catch (...) {  // no memory: the mark lasts as long as the process
    }
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::remove_letter(std::uint64_t id) {
    const bool was_there = letters_.remove(id, after(clock::precise().now(), options_.durable_timeout));
    if (was_there && letters_.has_log()) {
        letters_.forget_graves(log_->stats().marked_through);
    }
    return was_there;
}

// Under a pass.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::call_handler(const dead_letter<K, V>& letter) const noexcept {
    try {
        if (options_.on_dead_letter) {
            options_.on_dead_letter(letter);
        }
    } catch (...) {  // the user's: documented as ignored
    }
}

// False: the end has come, and nobody is told.
template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::tell_lost(const dead_letter<K, V>& letter) {
    const callback_gate::pass mine(callbacks_);
    if (mine) {
        call_handler(letter);
    }
    return static_cast<bool>(mine);
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::release(std::span<slot* const> ended) noexcept {
    if (log_ == nullptr || ended.empty()) {
        return;
    }
    for (const slot* each : ended) {
        if (!each->flying->covers.empty()) {
            log_->release(each->flying->covers);
        }
    }
    std::uint64_t sequences[64];
    std::size_t count = 0;
    for (const slot* each : ended) {
        sequences[count++] = each->flying->sequence;
        if (count == std::size(sequences) || each == ended.back()) {
            log_->release(std::span(sequences, count));
            count = 0;
        }
    }
}

// The source is done with what flies. Its effects are seen before its slot goes: by this process's readers in
// L1, by the others in L2 and by messages.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::end_all(shard& at, std::span<slot* const> ended) {
    if (ended.empty()) {
        return;
    }
    release(ended);
    if (!has_peers()) {
        for (const slot* each : ended) {
            settle_locally(*each);
        }
    }
    bool is_more = false;
    {
        const std::lock_guard lock(at.mutex);
        for (slot* each : ended) {
            has_peers() ? tell_about(at, *each) : land_locked(at, *each);
        }
        is_more = !at.writes.schedule().is_idle();
    }
    if (has_peers()) {
        start_tellers(at);
    }
    if (is_more) {
        wake(at);
    }
    changes_.notify_all();
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::settle_locally(const slot& ended) noexcept {
    try {
        const std::uint64_t version = ended.stored_version;
        const bool is_there =
            ended.landed == landing::stored && ended.flying->value.has_value() &&
            (ended.flying->version == 0 || version == ended.flying->version);  // no newer row
        if (is_there && !holes_.settle) {
            const auto& lives = cache_->options().defaults;
            const auto put = cache_->begin_put(*ended.key, *ended.flying->value, lives, version);
            cache_->end_put(put, *ended.key, *ended.flying->value, lives, true);
        } else if (!holes_.settle) {
            cache_->drop_local(*ended.key);
        }
    } catch (...) {
        try {
            cache_->drop_local(*ended.key);
        } catch (...) {  // the key's: nothing can be looked up by it
        }
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::land_locked(shard& at, slot& ended) {
    const std::size_t bytes = ended.is_counted ? ended.flying->size : 0;
    const std::size_t keys = ended.is_counted ? 1 : 0;
    const std::uint64_t hash = hash_of(*ended.key);
    if (ended.waiting) {
        // What waits behind a write that went past the bounds takes a place, even if there is none.
        keys_.fetch_add(1 - keys);
        ended.is_counted = true;
    }
    const bool is_gone = at.writes.land(ended);
    give_room(is_gone ? keys : 0, bytes);
    if (is_gone) {
        filter_.remove(hash);
    }
}

}  // namespace levee::cache_detail
