// Sending batches: bodies of write_behind_core. Included by it alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::wake(shard& at) noexcept {
    bool is_to_start = false;
    {
        const std::lock_guard lock(at.mutex);
        is_to_start = !at.is_running && !at.writes.schedule().is_idle() && !is_abandoned_.load();
        at.is_running = at.is_running || is_to_start;
        at.is_rung = true;
    }
    if (!is_to_start) {
        at.bell->notify();
    } else {
        try {
            // Posted, as a writer on that executor would become the worker by `co_spawn`, stores and all.
            boost::asio::post(runs_on_, [self = this->shared_from_this(), &at] { self->start(at); });
        } catch (...) {  // no memory: whoever comes next starts it
            const std::lock_guard lock(at.mutex);
            at.is_running = false;
        }
    }
    if (has_alarm() && !is_watching_.exchange(true)) {
        try {
            const auto& own = cache_->options().executor;
            boost::asio::co_spawn(own ? own : runs_on_, watch(this->shared_from_this()),
                                  boost::asio::detached);
        } catch (...) {
            is_watching_.store(false);
        }
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::start(shard& at) noexcept {
    try {
        boost::asio::co_spawn(runs_on_, work(this->shared_from_this(), at), boost::asio::detached);
    } catch (...) {
        const std::lock_guard lock(at.mutex);
        at.is_running = false;
    }
}

// Whatever is thrown in here, by copies of K and V or for want of memory, the worker rests, puts what it had
// taken from the queue back, and goes on.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::work(self_ptr self, shard& at) -> awaitable<void> {
    bool is_broken = false;
    for (;;) {
        turn next = turn::again;
        try {
            if (std::exchange(is_broken, false)) {
                const auto landed = self->keep_strays(at);
                self->end_all(at, landed);
            } else {
                auto sending = send_next(self, at);
                next = co_await std::move(sending);
            }
        } catch (...) {
            is_broken = true;
        }
        if (is_broken) {
            try {
                at.timer_at = (time_point::max)();
                at.bell->notify_at(self->time_, after(self->time_->now(), self->options_.backoff.max));
                next = turn::asleep;
            } catch (...) {  // then without a rest
            }
        }
        if (next == turn::over) {
            co_return;  // from here on, another worker may run
        }
        if (next == turn::asleep) {
            auto waiting = wake_up::async_wait(at.bell);
            co_await std::move(waiting);
        }
    }
}

// A source's stores end by themselves, as its documentation says: there is no timeout here, because a newer
// write of a key must not be sent while an older one may still arrive.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::send_next(self_ptr self, shard& at) -> awaitable<turn> {
    std::optional<write_batch> batch;
    time_point until = (time_point::max)();
    const time_point now = self->time_->now();
    {
        const std::lock_guard lock(at.mutex);
        at.is_rung = false;
        at.sleeps_until = (time_point::min)();
        const bool is_urgent = self->is_urgent();
        if (self->is_abandoned_.load() || at.writes.schedule().is_idle()) {
            at.bell->notify_never();  // under the lock: before another worker sets it
            at.timer_at = (time_point::max)();
            at.is_running = false;
            co_return turn::over;
        }
        batch = at.writes.take(now, is_urgent);
        if (!batch) {
            at.sleeps_until = until = at.writes.schedule().next_at(is_urgent);
        }
    }
    if (!batch) {
        // One timer for the next wake-up; an earlier one that is set already will do, and is looked at again.
        if (until < at.timer_at || at.timer_at <= now) {
            at.timer_at = (time_point::max)();
            at.bell->notify_at(self->time_, until);
            at.timer_at = until;
        }
        co_return turn::asleep;
    }
    if (self->holes_.keep_until) {
        std::vector<slot*> early;
        for (write_slot* each : batch->slots) {
            early.push_back(&pending_writes<K, V, Hash, Eq>::of(each));
        }
        self->release(early);
    }
    bump(self->counters_.batches);
    write_report report;
    std::exception_ptr whole;
    try {
        operations wanted = self->operations_of(*batch);
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
    co_return turn::again;
}

// After an exception: what is with the source no longer waits for another attempt. What has landed is
// returned, to be ended.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::keep_strays(shard& at) -> std::vector<slot*> {
    std::vector<slot*> landed;
    std::vector<slot*> strays;
    const time_point now = time_->now();
    const std::lock_guard lock(at.mutex);
    at.writes.for_each_flying([&](slot& each) {
        if (each.landed == landing::none) {
            strays.push_back(&each);
        } else if (each.tell == telling::idle) {
            landed.push_back(&each);
        }
    });
    for (slot* each : strays) {
        at.writes.keep(*each, now, [&](const write& older) { bytes_.fetch_sub(older.size); });
    }
    return landed;
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
            .writer = at.flying->writer,
            .sequence = at.flying->sequence};
}

}  // namespace levee::cache_detail
