// Accepting writes: bodies of write_behind_core. Included by it alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::prepare(const K& key, std::optional<V> value,
                                                std::uint64_t version) const -> write {
    write made;
    made.version = version;
    made.writer = writer_;
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
auto write_behind_core<K, V, Hash, Eq>::prepare_late(const K& key, std::optional<V> value,
                                                     std::uint64_t version) -> write {
    const callback_gate::pass mine(callbacks_);
    if (!mine) {
        throw error(errc::closed, "writing to a write-behind cache that was closed");
    }
    return prepare(key, std::move(value), version);
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
    const bool is_last = keys_.fetch_sub(keys) == keys && keys != 0;
    bytes_.fetch_sub(bytes);
    if (is_last && has_alarm()) {
        watch_bell_->notify();
    }
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

// A record whose write was not accepted after all. Not under a lock: it may have a segment deleted.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::forget(std::uint64_t sequence) noexcept {
    if (log_ != nullptr && sequence != 0) {
        log_->release(std::span(&sequence, 1));
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::accept(const K& key, write& made, const write_condition& condition)
    -> accepted_write {
    const std::uint64_t hash = hash_of(key);
    shard& at = shard_of(hash);
    const time_point now = time_->now();
    accepted_write done;
    std::uint64_t unused = 0;
    bool is_new_work = false;
    try {
        const std::lock_guard lock(at.mutex);
        check_open();
        if (!holds(condition, hash)) {
            return {.what = answer::changed};
        }
        slot* held = at.writes.find(key);
        if (condition.letter != 0 && held != nullptr && held->is_direct()) {
            return {.what = answer::full_of_bytes};  // if the source takes that, the letter is an older write
        }
        if (held != nullptr && made.version != 0 && made.version <= held->newest().version) {
            if (condition.letter != 0) {
                return {.what = answer::changed};
            }
            bump(counters_.stale);
            return {.what = answer::stale, .sequence = held->newest().sequence};
        }
        const std::size_t keys = held == nullptr ? 1 : 0;
        const std::size_t bytes = made.size;
        const std::size_t replaced = held != nullptr && held->waiting ? held->waiting->size : 0;
        const std::size_t more = bytes > replaced ? bytes - replaced : 0;
        if (!take_room(keys, more)) {
            return {.what = held == nullptr ? answer::full : answer::full_of_bytes};
        }
        try {
            done.sequence = number(made);
            unused = done.sequence;
            made.sequence = made.oldest = done.sequence;
            made.since = now;
            auto older = letters_.older_than(key, done.sequence, condition.letter);
            if (at.writes.accept(held, key, std::move(made))) {
                bump(counters_.coalesced);
            }
            supersede_letters(std::move(older), done.sequence);
        } catch (...) {
            give_room(keys, more);
            throw;
        }
        if (bytes < replaced) {
            bytes_.fetch_sub(replaced - bytes);
        }
        filter_.count_write(hash);
        if (keys != 0) {
            filter_.add(hash);
        }
        bump(counters_.accepted);
        if (has_peers()) {
            tell_about(at, *held);
        }
        const write_schedule& schedule = at.writes.schedule();
        is_new_work = !at.is_running || (has_alarm() && !is_watching_.load()) ||
                      (!at.is_rung &&
                       (schedule.is_full_batch() ||
                        (schedule.queued() == 1 && after(now, options_.flush_interval) < at.sleeps_until)));
    } catch (const std::system_error& e) {
        forget(unused);
        if (e.code() != errc::full) {
            throw;
        }
        return {.what = answer::full_of_bytes};  // the journal
    } catch (...) {
        forget(unused);
        throw;
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

template <class K, class V, class Hash, class Eq>
std::optional<std::uint64_t> write_behind_core<K, V, Hash, Eq>::put_blocking(
    const K& key, write made, time_point deadline, const write_condition& condition) {
    auto got = accept(key, made, condition);
    if (got.what == answer::accepted || got.what == answer::stale) [[likely]] {
        return got.sequence;
    }
    if (got.what == answer::changed) {
        return std::nullopt;
    }
    bump(counters_.blocked);
    if (options_.full == when_full::reject) {
        bump(counters_.rejected);
        throw error(errc::full, "too many writes are pending");
    }
    check_may_block("waiting for room among the pending writes");
    const wait_list::place place(changes_);
    for (;; got = accept(key, made, condition)) {
        if (got.what == answer::full && options_.full == when_full::write_through) {
            got.what = write_through(key, made, condition);
            if (got.what == answer::accepted) {
                return 0;
            }
            if (got.what == answer::full) {
                continue;  // the key has a place by now
            }
        }
        if (got.what == answer::accepted || got.what == answer::stale) {
            return got.sequence;
        }
        if (got.what == answer::changed) {
            return std::nullopt;
        }
        if (time_->now() >= deadline) {
            bump(counters_.rejected);
            throw error(errc::timeout, "waiting for room among the pending writes; nothing was accepted");
        }
        place.bell()->wait_until(deadline);
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::async_put(self_ptr self, K key, write given, time_point deadline,
                                                  write_condition condition)
    -> awaitable<std::optional<std::uint64_t>> {
    const auto made = std::make_shared<write>(std::move(given));
    const wait_list::place place(self->changes_);
    bool is_first = true;
    bool has_timer = false;
    for (;; is_first = false) {
        auto got = self->accept(key, *made, condition);
        if (got.what == answer::accepted || got.what == answer::stale) {
            co_return got.sequence;
        }
        if (got.what == answer::changed) {
            co_return std::nullopt;
        }
        if (is_first) {
            bump(self->counters_.blocked);
        }
        if (self->options_.full == when_full::reject) {
            bump(self->counters_.rejected);
            throw error(errc::full, "too many writes are pending");
        }
        if (got.what == answer::full && self->options_.full == when_full::write_through) {
            auto work = async_write_through(self, key, made, condition);
            const answer what =
                co_await boost::asio::co_spawn(self->runs_on_, std::move(work), boost::asio::use_awaitable);
            if (what == answer::accepted) {
                co_return 0;
            }
            if (what == answer::changed) {
                co_return std::nullopt;
            }
            continue;  // the key has a place by now
        }
        if (self->time_->now() >= deadline) {
            bump(self->counters_.rejected);
            throw error(errc::timeout, "waiting for room among the pending writes; nothing was accepted");
        }
        if (!std::exchange(has_timer, true)) {
            place.bell()->notify_at(self->time_, deadline);
        }
        auto waiting = wake_up::async_wait(place.bell());
        co_await std::move(waiting);
    }
}

// The last first: it most likely brings the others with it.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::wait_durable(std::span<const std::uint64_t> sequences) {
    const time_point deadline = durable_deadline();
    for (auto each = sequences.rbegin(); each != sequences.rend(); ++each) {
        if (must_wait_durable(*each)) {
            log_->wait_durable(*each, deadline);
        }
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::async_all_durable(self_ptr self, std::vector<std::uint64_t> sequences)
    -> awaitable<void> {
    const time_point deadline = self->durable_deadline();
    for (auto each = sequences.rbegin(); each != sequences.rend(); ++each) {
        if (self->must_wait_durable(*each)) {
            auto waiting = write_log::async_durable(self->log_, *each, deadline);
            co_await std::move(waiting);
        }
    }
}

}  // namespace levee::cache_detail
