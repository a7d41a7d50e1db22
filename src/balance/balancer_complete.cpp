#include "balance/balancer_core.hpp"

#include <thread>
#include <utility>

namespace levee {
namespace detail {
namespace {

void add(std::atomic<std::uint64_t>& to, bool is_shared) noexcept {
    if (is_shared) {
        to.fetch_add(1, std::memory_order_release);
    } else {
        to.store(to.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
}

// The cheap half of an asymmetric fence; `epoch::oldest` has the other (see epoch.hpp).
void announce_finishing(std::atomic<std::uint32_t>& finishing) noexcept {
#if defined(LEVEE_THREAD_SANITIZER)
    finishing.exchange(1, std::memory_order_seq_cst);
#else
    finishing.store(1, std::memory_order_release);
    if (the_epoch.readers_need_no_fence.load(std::memory_order_relaxed)) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
#endif
}

bool is_finishing(std::atomic<std::uint32_t>& finishing) noexcept {
#if defined(LEVEE_THREAD_SANITIZER)
    return finishing.fetch_add(0, std::memory_order_seq_cst) != 0;
#else
    return finishing.load(std::memory_order_acquire) != 0;
#endif
}

float nanoseconds(duration latency) noexcept {
    return latency > duration::zero() ? static_cast<float>(latency.count()) : 0.0F;
}

}  // namespace

void complete_pick(picked& pick, const outcome& how) noexcept {
    pick.record->core->complete(pick, how);
}

const endpoint& endpoint_of(const endpoint_record& record) noexcept {
    return *record.data;
}

endpoint_key key_of(const endpoint_record& record) noexcept {
    return record.key;
}

void balancer_core::uncount(endpoint_record& record) noexcept {
    if (counts_in_flight_) {
        record.state->in_flight.fetch_sub(1, std::memory_order_relaxed);
    }
    if (needs_.total_in_flight) {
        total_in_flight_.fetch_sub(1, std::memory_order_relaxed);
    }
}

// The last touch of record and core. Counting is announced, so that `abandon` knows that nobody is between
// looking at `is_abandoned_` and counting.
[[gnu::always_inline]] inline void balancer_core::finish(endpoint_record& record,
                                                         outcome_kind kind) noexcept {
    balancer_cell* const mine = cells_.try_local();
    if (mine == nullptr) {
        finishing_without_slot_.fetch_add(1, std::memory_order_seq_cst);
    } else {
        announce_finishing(mine->finishing);
    }
    if (!is_abandoned_.load(std::memory_order_acquire)) [[likely]] {
        ledger_entry* entry = nullptr;
        if (mine != nullptr) {
            entry = mine->ledger.find(record.place);
            if (entry == nullptr) [[unlikely]] {
                try {
                    entry = &mine->ledger.get(record.index);
                } catch (...) {
                }
            }
        }
        const bool is_shared = entry == nullptr;
        ledger_entry& to = is_shared ? record.elsewhere : *entry;
        if (kind == outcome_kind::failed || kind == outcome_kind::timed_out) {
            add(to.failed, is_shared);
        } else if (kind == outcome_kind::cancelled) {
            add(to.cancelled, is_shared);
        } else if (kind == outcome_kind::overloaded) {
            add(to.overloaded, is_shared);
        }
        add(to.completed, is_shared);  // release; pairs with `raw_totals`
        if (mine == nullptr) {
            finishing_without_slot_.fetch_sub(1, std::memory_order_release);
        } else {
            mine->finishing.store(0, std::memory_order_release);
        }
        return;
    }
    if (mine == nullptr) {
        finishing_without_slot_.fetch_sub(1, std::memory_order_release);
    } else {
        mine->finishing.store(0, std::memory_order_release);
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete this;
    }
}

void balancer_core::complete(picked& pick, const outcome& how) noexcept {
    endpoint_record& record = *std::exchange(pick.record, nullptr);
    endpoint_state& state = *record.state;
    if (is_frugal_ && how.kind == outcome_kind::ok && (how.latency || !needs_.latency)) [[likely]] {
        if (needs_.latency) {
            // A latency that was told saves a look at the clock.
            state.score.on_success(nanoseconds(*how.latency), scale_.tick(after(pick.at, *how.latency)),
                                   scale_);
        }
        if (state.failures_in_row.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            try {
                end_row(state);
            } catch (...) {
                // As below.
            }
        }
    } else if (!is_abandoned_.load(std::memory_order_relaxed)) {
        try {
            feed(record, pick, how);
        } catch (...) {
            // For want of memory, or a user's strategy that would not prepare: the state before stays in
            // use, and the next event tries again.
        }
    }
    pick.permit.cancel();
    uncount(record);
    finish(record, how.kind);
}

void balancer_core::feed(endpoint_record& record, picked& pick, const outcome& how) {
    endpoint_state& state = *record.state;
    endpoint_extras& extras = *state.extras;
    if (how.kind == outcome_kind::cancelled) {
        return;
    }
    std::optional<time_point> read_at;
    const auto now = [&] {
        if (!read_at) {
            read_at = clock_.now();
        }
        return *read_at;
    };
    const bool was_timed = pick.at != (time_point::min)();
    std::optional<duration> latency = how.latency;
    if (!latency && was_timed) {
        latency = now() - pick.at;
    }
    const bool is_ok = how.kind == outcome_kind::ok;
    const bool is_failure = how.kind == outcome_kind::failed || how.kind == outcome_kind::timed_out;

    if (needs_.latency) {
        const float value = latency ? nanoseconds(*latency) : -1.0F;
        // A latency that was told saves a look at the clock.
        const time_point ended = how.latency && was_timed ? after(pick.at, *how.latency) : now();
        const std::uint32_t tick = scale_.tick(ended);
        is_ok ? state.score.on_success(value, tick, scale_) : state.score.on_error(value, tick, scale_);
    }
    if (record.monitor && latency) {
        is_ok ? record.monitor->record(*latency) : record.monitor->record_failure(*latency);
    }
    if (extras.adaptive && latency) {
        const std::unique_lock lock(extras.limit_mutex, std::try_to_lock);
        if (lock) {
            if (how.kind == outcome_kind::timed_out || how.kind == outcome_kind::overloaded) {
                extras.adaptive->on_drop();
            } else if (is_ok) {
                extras.adaptive->on_answer(*latency, state.in_flight.load(std::memory_order_relaxed));
            }
            state.limit.store(extras.adaptive->limit(), std::memory_order_relaxed);
        }
    }
    if (options_.retry_budget && pick.is_first_attempt) {
        options_.retry_budget->record_request(now());
    }
    bool has_changed = false;
    if (pick.permit) {
        if (is_ok || is_failure) {
            has_changed = static_cast<bool>(is_ok ? pick.permit.record_success(now())
                                                  : pick.permit.record_failure(now()));
        }
    }
    if (is_failure) {
        count_failure(record, now());
    } else if (is_ok && state.failures_in_row.load(std::memory_order_relaxed) != 0) {
        end_row(state);
    }
    if (detector_ && options_.outlier->success_deviations > 0.0) {
        eject_the_worst(now());
    }
    if (has_changed) {
        refresh();
    }
}

// No picks come any more; completions may. As the reference counts of Linux' percpu_ref (Overstreet 2013):
// until now each thread counted for itself, from now on they count down one shared number. Each completion
// does one of the two: it announced itself and either saw `is_abandoned_`, or it is waited for here, a few
// instructions, and its count is seen. The shared number is biased until the sum has been added.
//
// Completions may still be building, and builders change the lists of records. So it is done by a builder
// that stays the last one: here, or in `refresh` by whoever is building just now. That one has a request
// that is not counted yet, so all this lives until it has left.
void balancer_core::abandon() noexcept {
    is_abandoned_.store(true, std::memory_order_seq_cst);
    if (requests_to_build_.fetch_add(1, std::memory_order_acq_rel) == 0) {
        settle();
    }
}

void balancer_core::settle() noexcept {
    for (int tries = 0; epoch::oldest() == 0 && tries < 100; ++tries) {
        std::this_thread::yield();  // the kernel had no memory for the fence
    }
    cells_.for_each([](const balancer_cell& cell) {
        while (is_finishing(cell.finishing)) {
            std::this_thread::yield();
        }
    });
    while (finishing_without_slot_.load(std::memory_order_seq_cst) != 0) {
        std::this_thread::yield();
    }
    std::int64_t in_flight = 0;
    for (const auto& [id, record] : records_) {
        in_flight += static_cast<std::int64_t>(totals(*record).in_flight());
    }
    for (const auto& record : drained_) {
        in_flight += static_cast<std::int64_t>(totals(*record).in_flight());
    }
    const std::int64_t bias = std::int64_t{1} << 48U;
    if (left_.fetch_add(in_flight - bias, std::memory_order_acq_rel) + in_flight == bias) {
        delete this;
    }
}

// `completed` first: what it counts was started before, and is then seen to be.
ledger_totals balancer_core::raw_totals(const endpoint_record& record) const noexcept {
    ledger_totals sum;
    const auto each = [&](auto&& f) {
        cells_.for_each([&](const balancer_cell& cell) {
            if (const ledger_entry* const entry = cell.ledger.find(record.place)) {
                f(*entry);
            }
        });
        f(record.elsewhere);
    };
    each([&](const ledger_entry& from) { sum.completed += from.completed.load(std::memory_order_acquire); });
    each([&](const ledger_entry& from) {
        sum.failed += from.failed.load(std::memory_order_relaxed);
        sum.cancelled += from.cancelled.load(std::memory_order_relaxed);
        sum.overloaded += from.overloaded.load(std::memory_order_relaxed);
        sum.started += from.started.load(std::memory_order_relaxed);
    });
    return sum;
}

}  // namespace detail
}  // namespace levee
