// Flushing on request, ending, and counting: bodies of write_behind_core. Included by it alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

// A writer who saw that it is open has its key's lock until its write is counted.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::refuse_writes() noexcept {
    is_closed_.store(true);
    for (const auto& each : shards_) {
        const std::lock_guard lock(each->mutex);
    }
    changes_.notify_all();
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::has_up_to(std::uint64_t sequence) {
    return std::any_of(shards_.begin(), shards_.end(), [sequence](const auto& at) {
        const std::lock_guard lock(at->mutex);
        return at->writes.has_up_to(sequence);
    });
}

template <class K, class V, class Hash, class Eq>
bool write_behind_core<K, V, Hash, Eq>::flush(std::uint64_t sequence, time_point deadline) {
    if (!has_up_to(sequence)) {
        return true;
    }
    if (is_abandoned()) {
        return false;
    }
    check_may_block("waiting for a flush");
    const wait_list::place place(changes_);
    const hurry hurrying(*this);
    for (;;) {
        const bool is_done = !has_up_to(sequence);
        if (is_done || is_abandoned() || time_->now() >= deadline) {
            return is_done;
        }
        place.bell()->wait_until(deadline);
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::async_flush(self_ptr self, std::uint64_t sequence,
                                                    time_point deadline) -> awaitable<bool> {
    const wait_list::place place(self->changes_);
    place.bell()->notify_at(self->time_, deadline);
    const hurry hurrying(*self);
    for (;;) {
        const bool is_done = !self->has_up_to(sequence);
        if (is_done || self->is_abandoned() || self->time_->now() >= deadline) {
            co_return is_done;
        }
        auto waiting = wake_up::async_wait(place.bell());
        co_await std::move(waiting);
    }
}

// Whatever copies of K and V throw concerns one write: the others are kept, the end is reached, and then it
// is thrown on.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::abandon() {
    callback_gate::pass mine(callbacks_);
    refuse_writes();
    std::exception_ptr failure;
    if (!is_abandoned_.exchange(true)) {
        for (const auto& each : shards_) {
            if (log_ == nullptr) {
                keep_what_is_left(*each, failure);
            }
            each->bell->notify();
        }
        for (const auto& log : {log_, letters_.log()}) {
            try {
                if (log != nullptr) {
                    log->close();
                }
                if (log != nullptr && log == log_) {
                    letters_.forget_graves(log_->stats().marked_through);
                }
            } catch (...) {  // what was acknowledged is safe already
            }
        }
        changes_.notify_all();
        watch_bell_->notify();
    }
    mine.leave();
    callbacks_.close();
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
}

// Under the pass of `abandon`: a close that comes meanwhile may close the gate to others. A slot whose write
// has gone to the dead letters has landed: see write_off.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::keep_what_is_left(shard& at, std::exception_ptr& failure) noexcept {
    std::vector<dead_letter<K, V>> left;
    {
        const std::lock_guard lock(at.mutex);
        at.writes.for_each([&](slot& each) {
            if (!each.waiting && (!each.is_counted || each.landed != landing::none)) {
                return;
            }
            try {
                const write& newest = each.newest();
                left.push_back({.operation = {.key = *each.key,
                                              .value = newest.value,
                                              .version = newest.version,
                                              .writer = newest.writer,
                                              .sequence = newest.sequence},
                                .code = errc::closed,
                                .reason = "the write-behind cache was closed before this write was flushed"});
            } catch (...) {
                failure = std::current_exception();
            }
        });
    }
    for (auto& each : left) {
        try {
            each.id = letters_.add(each);
            bump(counters_.dead_letters);
        } catch (...) {
            failure = std::current_exception();
        }
        call_handler(each);
    }
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
