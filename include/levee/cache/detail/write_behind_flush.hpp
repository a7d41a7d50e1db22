// Sending batches, and what becomes of them: bodies of write_behind_core. Included by it alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::wake(shard& at) {
    bool is_to_start = false;
    {
        const std::lock_guard lock(at.mutex);
        is_to_start = !at.is_running && !at.writes.schedule().is_idle() && !is_abandoned_.load();
        at.is_running = at.is_running || is_to_start;
        at.is_rung = true;
    }
    if (!is_to_start) {
        at.bell->notify();
        return;
    }
    boost::asio::co_spawn(runs_on_, work(this->shared_from_this(), at), boost::asio::detached);
    if (options_.age_alarm > duration::zero() && options_.on_age_alarm && !is_watching_.exchange(true)) {
        const auto& own = cache_->options().executor;
        boost::asio::co_spawn(own ? own : runs_on_, watch(this->shared_from_this()), boost::asio::detached);
    }
}

// A source's stores end by themselves, as its documentation says: there is no timeout here, because a newer
// write of a key must not be sent while an older one may still arrive.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::work(self_ptr self, shard& at) -> awaitable<void> {
    for (;;) {
        std::optional<write_batch> batch;
        operations wanted;
        time_point until = (time_point::max)();
        const time_point now = self->time_->now();
        {
            const std::lock_guard lock(at.mutex);
            at.is_rung = false;
            at.sleeps_until = (time_point::min)();
            const bool is_urgent = self->is_urgent();
            if (self->is_abandoned_.load() || at.writes.schedule().is_idle()) {
                at.is_running = false;
                co_return;
            }
            batch = at.writes.take(now, is_urgent);
            if (!batch) {
                at.sleeps_until = until = at.writes.schedule().next_at(is_urgent);
            }
        }
        if (!batch) {
            // One timer for the next wake-up; an earlier one that is set already will do, and is looked at
            // again.
            if (until < at.timer_at || at.timer_at <= now) {
                at.timer_at = until;
                at.bell->notify_at(self->time_, until);
            }
            auto waiting = wake_up::async_wait(at.bell);
            co_await std::move(waiting);
            continue;
        }
        if (self->holes_.keep_until) {
            std::vector<slot*> early;
            for (write_slot* each : batch->slots) {
                early.push_back(&pending_writes<K, V, Hash, Eq>::of(each));
            }
            self->release(early);
        }
        wanted = self->operations_of(*batch);
        bump(self->counters_.batches);
        write_report report;
        std::exception_ptr whole;
        try {
            report = co_await self->source_->async_store(std::move(wanted));
        } catch (...) {
            whole = std::current_exception();
        }
        if (whole == nullptr && report.size() != batch->slots.size()) {
            whole = std::make_exception_ptr(
                error(errc::invalid_data, "a source answered " + std::to_string(batch->slots.size()) +
                                              " writes with " + std::to_string(report.size()) + " results"));
        }
        const duration took = self->time_->now() - now;
        auto ending = end_batch(self, at, std::move(*batch), std::move(report), std::move(whole), took);
        co_await std::move(ending);
        self->changes_.notify_all();
    }
}

// Without the lock: what flies is not changed by anybody else.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::operations_of(const write_batch& batch) const -> operations {
    operations all;
    all.reserve(batch.slots.size());
    for (write_slot* each : batch.slots) {
        all.push_back(operation_of(pending_writes<K, V, Hash, Eq>::of(each)));
    }
    return all;
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::operation_of(const slot& at) const -> write_op<K, V> {
    return {.key = *at.key,
            .value = at.flying->value,
            .version = at.flying->version,
            .writer = writer_,
            .sequence = at.flying->sequence};
}

template <class K, class V, class Hash, class Eq>
write_failure write_behind_core<K, V, Hash, Eq>::kind_of(const std::exception_ptr& failure) const {
    try {
        return options_.classify ? options_.classify(failure) : classify_write_failure(failure);
    } catch (...) {
        return write_failure::retryable;
    }
}

// A row that failed by itself is known: it waits alone. Rows that failed together stay together.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::sort(write_batch batch, const write_report& report,
                                             const std::exception_ptr& whole,
                                             std::vector<slot*>& stored) const -> std::vector<failed_part> {
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
        alone.batch = {.slots = {&at},
                       .attempts = batch.slots.size() == 1 ? batch.attempts : 0,
                       .is_split = true,
                       .due = {},
                       .successes = batch.successes};
        parts.push_back(std::move(alone));
    }
    if (!away.batch.slots.empty()) {
        away.batch.attempts = batch.attempts;
        away.batch.is_split = batch.is_split;
        away.batch.successes = batch.successes;
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

// The letter is safe before the write is forgotten.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::give_up(self_ptr self, shard& at, slot* lost, std::exception_ptr why)
    -> awaitable<void> {
    auto reason = code_and_text(why);
    dead_letter<K, V> letter;
    letter.operation = self->operation_of(*lost);
    letter.code = reason.first;
    letter.reason = std::move(reason.second);
    dead_letter<K, V> copy = letter;
    auto adding = self->letters_.async_add(std::move(copy));
    const auto id = co_await std::move(adding);
    if (!id) {
        const std::lock_guard lock(at.mutex);
        at.writes.keep(*lost, self->time_->now(),
                       [&](const write& older) { self->bytes_.fetch_sub(older.size); });
        co_return;
    }
    letter.id = *id;
    bump(self->counters_.dead_letters);
    std::vector<slot*> ended;
    {
        const std::lock_guard lock(at.mutex);
        lost->landed = landing::given_up;
        letter.is_superseded = lost->waiting.has_value();
        ended.push_back(lost);
    }
    if (letter.is_superseded) {
        self->letters_.supersede(letter.operation.key, letter.operation.sequence + 1);
    }
    try {
        if (self->options_.on_dead_letter) {
            self->options_.on_dead_letter(letter);
        }
    } catch (...) {  // the user's: documented as ignored
    }
    self->end_all(at, ended);
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::release(const std::vector<slot*>& ended) noexcept {
    if (log_ == nullptr) {
        return;
    }
    std::vector<std::uint64_t> sequences;
    for (const slot* each : ended) {
        sequences.insert(sequences.end(), each->flying->covers.begin(), each->flying->covers.end());
        sequences.push_back(each->flying->sequence);
    }
    log_->release(sequences);
}

// The source is done with what flies. Its effects are seen before its slot goes: by this process's readers in
// L1, by the others in L2 and by messages.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::end_all(shard& at, const std::vector<slot*>& ended) {
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
        cache_->drop_local(*ended.key);
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

// Null: the key has writes pending after all.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::find_direct(shard& at, const K& key, write& made,
                                                    std::uint64_t& sequence) -> slot* {
    const std::lock_guard lock(at.mutex);
    check_open();
    if (at.writes.find(key) != nullptr) {
        return nullptr;
    }
    sequence = made.sequence = made.oldest = number(made);
    made.since = time_->now();
    const std::uint64_t hash = hash_of(key);
    filter_.count_write(hash);
    filter_.add(hash);
    letters_.supersede(key, sequence);
    return &at.writes.begin_direct(key, std::move(made));
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::end_direct(shard& at, slot& mine, const write_report& report,
                                                   std::exception_ptr failure) {
    if (failure == nullptr && (report.size() != 1 || report.front().error != nullptr)) {
        failure = report.size() == 1 ? report.front().error
                                     : std::make_exception_ptr(error(errc::invalid_data, "not one result"));
    }
    {
        const std::lock_guard lock(at.mutex);
        mine.landed = failure == nullptr ? landing::stored : landing::given_up;
        mine.stored_version = failure == nullptr ? report.front().version : 0;
    }
    end_all(at, {&mine});
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
    bump(counters_.accepted);
    bump(counters_.flushed);
    bump(counters_.written_through);
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::write_through(const K& key, write& made) {
    std::uint64_t sequence = 0;
    shard& at = shard_of(hash_of(key));
    slot* const mine = find_direct(at, key, made, sequence);
    if (mine == nullptr) {
        return false;
    }
    write_report report;
    std::exception_ptr failure;
    try {
        operations one;
        one.push_back(operation_of(*mine));
        report = source_->store(std::move(one));
        wait_durable(sequence);
    } catch (...) {
        failure = std::current_exception();
    }
    end_direct(at, *mine, report, failure);
    return true;
}

}  // namespace levee::cache_detail
