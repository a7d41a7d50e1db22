// Accepting writes, and ending: bodies of write_behind_core. Included by write_behind_core.hpp alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

[[nodiscard]] inline schedule_options schedule_of(const auto& options, std::uint64_t seed) {
    return {.batch_size = options.batch_size,
            .batch_bytes = options.batch_bytes,
            .flush_interval = options.flush_interval,
            .batch_time = options.batch_time,
            .batch_attempts = options.batch_attempts,
            .max_attempts = options.max_attempts,
            .permanent_attempts = options.permanent_attempts,
            .backoff = options.backoff,
            .writes_per_second = options.max_writes_per_second / static_cast<double>(options.workers),
            .seed = seed};
}

template <class K, class V, class Hash, class Eq>
write_behind_core<K, V, Hash, Eq>::write_behind_core(std::shared_ptr<cache_type> cache,
                                                     std::shared_ptr<source<K, V>> to, options_type options)
    : cache_(std::move(cache)),
      source_(std::move(to)),
      options_(std::move(options)),
      holes_(options_.holes != nullptr ? *options_.holes : write_defences_off{}),
      runs_on_(source_->is_blocking() ? cache_->options().blocking_executor : cache_->options().executor),
      time_(cache_->options().scheduler != nullptr ? cache_->options().scheduler
                                                   : async::steady_scheduler(runs_on_)),
      writer_(options_.writer != 0 ? options_.writer : system_seed()),
      filter_(options_.max_pending),
      letters_(options_.max_dead_letters) {
    const auto& o = options_;
    validate(write_behind_limits{o.flush_interval, o.full_timeout, o.durable_timeout, o.batch_time,
                                 o.age_alarm, o.close_timeout, o.max_pending, o.max_pending_bytes,
                                 o.max_dead_letters, o.workers, o.batch_size, o.batch_attempts,
                                 o.max_attempts, o.permanent_attempts, o.max_writes_per_second, o.backoff});
    const std::uint64_t seed = cache_->options().seed != 0 ? cache_->options().seed : system_seed();
    for (std::size_t i = 0; i < options_.workers; ++i) {
        shards_.push_back(std::make_unique<shard>(schedule_of(options_, seed + i), holes_));
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::open() {
    if (!options_.journal) {
        return;
    }
    if constexpr (key_encodable<K> && encodable<V>) {
        const auto& disk = cache_->options().blocking_executor;
        journal_options dead = *options_.journal;
        if (!dead.folder.empty() && dead.files == nullptr) {
            dead.folder += "/dead";
            dead.sync = journal_sync::always;
            letters_.open(std::move(dead), disk, time_);
        }
        struct record {
            std::uint64_t sequence;
            bytes what;
        };
        std::vector<record> found;
        std::vector<std::uint64_t> ended;
        log_ = write_log::open(*options_.journal, disk, time_, [&](std::uint64_t sequence, bytes_view what) {
            if (holes_.replay_order) {
                found.push_back({sequence, bytes(what.begin(), what.end())});
            } else if (!take_up(sequence, what)) {
                ended.push_back(sequence);
            }
        });
        for (auto each = found.rbegin(); each != found.rend(); ++each) {
            static_cast<void>(take_up(each->sequence, each->what));
        }
        log_->release(ended);
        last_sequence_.store((std::max)(last_sequence_.load(), log_->stats().last_sequence));
        for (const auto& each : shards_) {
            wake(*each);
        }
    } else {
        throw std::invalid_argument(
            "write_behind_options::journal is set; it needs a levee::key_codec for K and a levee::codec for "
            "V");
    }
}

// In the order of the records, past all bounds: they were accepted once. False: there is nothing to do.
template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::take_up(std::uint64_t sequence, bytes_view raw) {
    if constexpr (key_encodable<K> && encodable<V>) {
        const auto record = decode_write_record(raw);
        std::optional<K> key;
        std::optional<V> value;
        if (record &&
            (record->what == write_record::kind::put || record->what == write_record::kind::erase)) {
            key = key_codec<K>::decode(record->key);
            if (record->what == write_record::kind::put) {
                value = codec<V>::decode(record->value);
            }
        }
        if (!key || (record->what == write_record::kind::put && !value)) {
            throw error(errc::invalid_data, "record " + std::to_string(sequence) +
                                                " of the journal is not a write of this key and value type");
        }
        const bool is_dead = letters_.has(record->writer, sequence, *key);
        write made = prepare(*key, std::move(value), record->version);
        made.sequence = made.oldest = sequence;
        made.is_journaled = true;
        made.since = time_->now();
        const std::uint64_t hash = hash_of(*key);
        shard& at = shard_of(hash);
        const std::lock_guard lock(at.mutex);
        slot* held = at.writes.find(*key);
        bump(counters_.replayed);
        if (is_dead && held == nullptr) {
            return false;  // given up already, and nothing older is to be done before it
        }
        keys_.fetch_add(held == nullptr ? 1 : 0);
        bytes_.fetch_add(made.size);
        if (held != nullptr) {
            bytes_.fetch_sub(held->waiting->size);
        } else {
            filter_.add(hash);
        }
        filter_.count_write(hash);
        letters_.supersede(*key, sequence);
        at.writes.accept(held, *key, std::move(made));
        last_sequence_.store(sequence);
        if (has_peers()) {
            tell_about(at, *held);
        }
    } else {
        static_cast<void>(sequence);
        static_cast<void>(raw);
    }
    return true;
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::prepare(const K& key, std::optional<V> value,
                                                std::uint64_t version) const -> write {
    write made;
    made.version = version;
    made.size = 2 * sizeof(K) + sizeof(V) + owned_bytes(key);
    if (value) {
        made.size += options_.size_of ? options_.size_of(key, *value) : owned_bytes(*value);
    }
    made.value = std::move(value);
    if constexpr (key_encodable<K> && encodable<V>) {
        if (log_ != nullptr) {
            write_record record{.what = made.value ? write_record::kind::put : write_record::kind::erase,
                                .writer = writer_,
                                .version = version,
                                .key = key_codec<K>::encode(key)};
            if (made.value) {
                codec<V>::encode(*made.value, record.value);
            }
            made.record = encode(record);
        }
    }
    return made;
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::take_room(std::size_t keys, std::size_t bytes) noexcept {
    if (keys != 0 && keys_.fetch_add(keys) + keys > options_.max_pending) {
        keys_.fetch_sub(keys);
        return false;
    }
    // A write bigger than all room is accepted when nothing else is pending.
    const std::size_t before = bytes_.fetch_add(bytes);
    if (before + bytes > options_.max_pending_bytes && before != 0) {
        bytes_.fetch_sub(bytes);
        keys_.fetch_sub(keys);
        return false;
    }
    return true;
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::give_room(std::size_t keys, std::size_t bytes) noexcept {
    keys_.fetch_sub(keys);
    bytes_.fetch_sub(bytes);
}

// The journal's number, or the next. Under the key's lock: a key's writes are numbered in their order.
template <class K, class V, class Hash, class Eq>
std::uint64_t write_behind_core<K, V, Hash, Eq>::number(write& made) {
    if (log_ == nullptr) {
        return last_sequence_.fetch_add(1, std::memory_order_acq_rel) + 1;
    }
    const std::uint64_t sequence = log_->append(made.record);
    made.record = {};
    made.is_journaled = true;
    std::uint64_t last = last_sequence_.load(std::memory_order_relaxed);
    while (last < sequence && !last_sequence_.compare_exchange_weak(last, sequence)) {
    }
    return sequence;
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::accept(const K& key, write& made, const std::uint32_t* only_if)
    -> accepted_write {
    const std::uint64_t hash = hash_of(key);
    shard& at = shard_of(hash);
    const time_point now = time_->now();
    accepted_write done;
    bool is_new_work = false;
    {
        const std::lock_guard lock(at.mutex);
        check_open();
        if (only_if != nullptr && filter_.writes(hash) != *only_if) {
            return {.what = answer::changed};
        }
        slot* held = at.writes.find(key);
        if (held != nullptr && made.version != 0 && made.version <= held->newest().version) {
            bump(counters_.stale);
            return {.what = answer::stale, .sequence = held->newest().sequence};
        }
        const std::size_t bytes = made.size;
        const std::size_t replaced = held != nullptr && held->waiting ? held->waiting->size : 0;
        const answer no_room = held == nullptr ? answer::full : answer::full_of_bytes;
        if (!take_room(held == nullptr ? 1 : 0, bytes > replaced ? bytes - replaced : 0)) {
            return {.what = no_room};
        }
        try {
            made.sequence = made.oldest = number(made);
        } catch (const std::system_error& e) {
            give_room(held == nullptr ? 1 : 0, bytes > replaced ? bytes - replaced : 0);
            if (e.code() != errc::full) {
                throw;
            }
            return {.what = answer::full_of_bytes};
        }
        if (bytes < replaced) {
            bytes_.fetch_sub(replaced - bytes);
        }
        made.since = now;
        done.sequence = made.sequence;
        filter_.count_write(hash);
        if (held == nullptr) {
            filter_.add(hash);
        }
        letters_.supersede(key, made.sequence);
        if (at.writes.accept(held, key, std::move(made))) {
            bump(counters_.coalesced);
        }
        bump(counters_.accepted);
        if (has_peers()) {
            tell_about(at, *held);
        }
        const write_schedule& schedule = at.writes.schedule();
        is_new_work = !at.is_running ||
                      (!at.is_rung &&
                       (schedule.is_full_batch() ||
                        (schedule.queued() == 1 && after(now, options_.flush_interval) < at.sleeps_until)));
    }
    if (is_new_work) [[unlikely]] {
        wake(at);
    }
    if (has_peers()) {
        start_tellers(at);
    }
    return done;
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::check_open() const {
    if (is_closed_.load(std::memory_order_relaxed)) {
        throw error(errc::closed, "writing to a write-behind cache that was closed");
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::check_may_block(const char* what) const {
    if (async::runs_on_this_thread(runs_on_) || async::runs_on_this_thread(cache_->options().executor)) {
        throw error(errc::would_deadlock, what);
    }
}

// `only_if` does not hold: `is_changed`, and nothing was done.
template <class K, class V, class Hash, class Eq>
std::uint64_t write_behind_core<K, V, Hash, Eq>::put_blocking(const K& key, write made, time_point deadline,
                                                              const std::uint32_t* only_if,
                                                              bool& is_changed) {
    is_changed = false;
    auto got = accept(key, made, only_if);
    if (got.what == answer::accepted || got.what == answer::stale) [[likely]] {
        return got.sequence;
    }
    if (got.what != answer::changed) {
        bump(counters_.blocked);
        if (options_.full == when_full::reject) {
            bump(counters_.rejected);
            throw error(errc::full, "too many writes are pending");
        }
        check_may_block("waiting for room among the pending writes");
    }
    const wait_list::place place(changes_);
    for (;; got = accept(key, made, only_if)) {
        if (got.what == answer::accepted || got.what == answer::stale) {
            return got.sequence;
        }
        if (got.what == answer::changed) {
            is_changed = true;
            return 0;
        }
        if (got.what == answer::full && options_.full == when_full::write_through) {
            if (write_through(key, made)) {
                return 0;
            }
            continue;
        }
        if (time_->now() >= deadline) {
            bump(counters_.rejected);
            throw error(errc::timeout, "waiting for room among the pending writes; nothing was accepted");
        }
        place.bell()->wait_until(deadline);
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::async_put(self_ptr self, K key, write made, time_point deadline,
                                                  std::optional<std::uint32_t> only_if,
                                                  std::shared_ptr<bool> is_changed)
    -> awaitable<std::uint64_t> {
    const wait_list::place place(self->changes_);
    const std::uint32_t* const condition = only_if ? &*only_if : nullptr;
    for (bool is_first = true;; is_first = false) {
        const auto got = self->accept(key, made, condition);
        if (got.what == answer::accepted || got.what == answer::stale) {
            co_return got.sequence;
        }
        if (got.what == answer::changed) {
            *is_changed = true;
            co_return 0;
        }
        if (is_first) {
            bump(self->counters_.blocked);
        }
        if (self->options_.full == when_full::reject) {
            bump(self->counters_.rejected);
            throw error(errc::full, "too many writes are pending");
        }
        if (got.what == answer::full && self->options_.full == when_full::write_through) {
            auto through = [](self_ptr me, K k, write w) -> awaitable<bool> {
                std::uint64_t sequence = 0;
                shard& at = me->shard_of(me->hash_of(k));
                slot* mine = me->find_direct(at, k, w, sequence);
                if (mine == nullptr) {
                    co_return false;
                }
                write_report report;
                std::exception_ptr failure;
                try {
                    operations one;
                    one.push_back(me->operation_of(*mine));
                    report = co_await me->source_->async_store(std::move(one));
                } catch (...) {
                    failure = std::current_exception();
                }
                if (failure == nullptr) {
                    co_await async_durable(me, sequence);
                }
                me->end_direct(at, *mine, report, failure);
                co_return true;
            };
            auto work = through(self, key, made);
            if (co_await boost::asio::co_spawn(self->runs_on_, std::move(work), boost::asio::use_awaitable)) {
                co_return 0;
            }
            continue;
        }
        if (self->time_->now() >= deadline) {
            bump(self->counters_.rejected);
            throw error(errc::timeout, "waiting for room among the pending writes; nothing was accepted");
        }
        if (is_first) {
            place.bell()->notify_at(self->time_, deadline);
        }
        auto waiting = wake_up::async_wait(place.bell());
        co_await std::move(waiting);
    }
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::has_up_to(std::uint64_t sequence) {
    return std::any_of(shards_.begin(), shards_.end(), [sequence](const auto& at) {
        const std::lock_guard lock(at->mutex);
        return at->writes.has_up_to(sequence);
    });
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::hurry(bool on) {
    hurried_.fetch_add(on ? 1 : -1);
    if (on) {
        for (const auto& each : shards_) {
            each->bell->notify();
        }
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::abandon() {
    is_closed_.store(true);
    if (is_abandoned_.exchange(true)) {
        return;
    }
    std::vector<dead_letter<K, V>> left;
    for (const auto& each : shards_) {
        const std::lock_guard lock(each->mutex);
        each->writes.for_each([&](slot& at) {
            if (log_ == nullptr && at.is_counted && (at.waiting || at.landed != landing::stored)) {
                const write& newest = at.newest();
                left.push_back({.operation = {.key = *at.key,
                                              .value = newest.value,
                                              .version = newest.version,
                                              .writer = writer_,
                                              .sequence = newest.sequence},
                                .code = errc::closed,
                                .reason = "the write-behind cache was closed before this write was flushed"});
            }
        });
        each->bell->notify();
    }
    for (auto& each : left) {
        bump(counters_.dead_letters);
        try {
            if (options_.on_dead_letter) {
                options_.on_dead_letter(each);
            }
        } catch (...) {  // the user's: documented as ignored
        }
        letters_.add(std::move(each));
    }
    if (log_ != nullptr) {
        try {
            log_->close();
        } catch (...) {  // what was acknowledged is safe already
        }
    }
    letters_.close();
    changes_.notify_all();
}

template <class K, class V, class Hash, class Eq>
duration write_behind_core<K, V, Hash, Eq>::oldest_age() {
    time_point oldest = (time_point::max)();
    for (const auto& each : shards_) {
        const std::lock_guard lock(each->mutex);
        oldest = (std::min)(oldest, each->writes.oldest());
    }
    return oldest == (time_point::max)() ? duration::zero() : time_->now() - oldest;
}

template <class K, class V, class Hash, class Eq>
write_behind_statistics write_behind_core<K, V, Hash, Eq>::stats() {
    write_behind_statistics all;
    all.pending = keys_.load();
    all.pending_bytes = bytes_.load();
    all.oldest_age = oldest_age();
    all.dead_letters_kept = letters_.size();
    all.batch_limit = options_.batch_size;
    for (const auto& each : shards_) {
        const std::lock_guard lock(each->mutex);
        all.batch_limit = (std::min)(all.batch_limit, each->writes.schedule().batch_limit());
    }
    const auto get = [](const std::atomic<std::uint64_t>& counter) {
        return counter.load(std::memory_order_relaxed);
    };
    all.accepted = get(counters_.accepted);
    all.coalesced = get(counters_.coalesced);
    all.superseded = get(counters_.superseded);
    all.stale = get(counters_.stale);
    all.flushed = get(counters_.flushed);
    all.batches = get(counters_.batches);
    all.failed_batches = get(counters_.failed_batches);
    all.retried = get(counters_.retried);
    all.dead_letters = get(counters_.dead_letters);
    all.blocked = get(counters_.blocked);
    all.rejected = get(counters_.rejected);
    all.written_through = get(counters_.written_through);
    all.replayed = get(counters_.replayed);
    all.alarms = get(counters_.alarms);
    {
        const std::lock_guard lock(times_mutex_);
        all.flush_latency = flush_latency_;
        all.batch_sizes = batch_sizes_;
    }
    if (log_ != nullptr) {
        all.has_journal = true;
        all.journal = log_->stats();
    }
    return all;
}

}  // namespace levee::cache_detail
