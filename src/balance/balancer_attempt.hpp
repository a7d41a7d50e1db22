/// What quick and careful picks have in common: how one is begun and taken back.
#pragma once

#include "balance/balancer_core.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace levee::detail {

/// A pick that has to look at more than one list. Its result is `taken`, or `located` for a look-up.
struct balancer_core::attempt {
    const balancer_snapshot& snapshot;
    balancer_cell& mine;
    const pick_context& context;
    time_point now;
    std::vector<endpoint_key> refused{};  // found impossible by trying
    bool has_passed_over = false;         // for slow start
    bool passes_over = true;
    bool is_look_up = false;
    std::optional<ticket> taken{};
    std::optional<endpoint_key> located{};
};

inline void balancer_core::unreserve(pick_view& view) noexcept {
    if (const candidate* const one = std::exchange(view.reserved_, nullptr)) {
        uncount(*one->record_);
    }
}

[[gnu::always_inline]] inline const candidate* balancer_core::ask_strategy(pick_view& view) {
    try {
        return strategy_->pick(view);
    } catch (...) {
        unreserve(view);  // it may have reserved before it threw
        throw;
    }
}

[[gnu::always_inline]] inline std::optional<ticket> balancer_core::start(pick_view& view,
                                                                         const candidate& chosen,
                                                                         balancer_cell& mine,
                                                                         circuit_breaker::permit&& permit) {
    endpoint_record& record = *chosen.record_;
    if (view.reserved_ != &chosen) {
        unreserve(view);
        if (counts_in_flight_) {
            const std::uint32_t before = chosen.state_->in_flight.fetch_add(1, std::memory_order_relaxed);
            if (before == 0 && needs_.latency) {
                chosen.state_->score.on_busy(view.tick());
            }
        }
        if (needs_.total_in_flight) {
            total_in_flight_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    ledger_entry* entry = mine.has_slot ? mine.ledger.find(record.place) : nullptr;
    if (entry == nullptr && mine.has_slot) [[unlikely]] {
        try {
            entry = &mine.ledger.get(record.index);
        } catch (...) {
        }
    }
    if (entry != nullptr) [[likely]] {
        entry->started.store(entry->started.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
        record.elsewhere.started.fetch_add(1, std::memory_order_relaxed);
    }
    return std::optional<ticket>(std::in_place, record, reads_clock_ ? view.now() : view.now_,
                                 view.context_->attempt == 0, std::move(permit));
}

}  // namespace levee::detail
