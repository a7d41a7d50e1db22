/// What tickets point to, and what a balancer keeps about an endpoint besides the line that picks read.
#pragma once

#include "levee/balance/concurrency_limit.hpp"
#include "levee/balance/detail/endpoint_state.hpp"
#include "levee/balance/endpoint.hpp"
#include "levee/balance/outlier_detector.hpp"
#include "levee/balance/strategy.hpp"
#include "levee/core/detail/slot_blocks.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace levee::detail {

struct endpoint_extras {
    std::optional<circuit_breaker> breaker{};

    std::mutex limit_mutex{};  // guards `adaptive`; who finds it taken drops the sample
    std::optional<gradient_limit> adaptive{};

    outlier_detector::history history{};  // guarded by the balancer's outlier mutex
    std::uint32_t priority = 0;           // the newest; likewise

    /// When slow start began; the lowest time: not starting. Written by whoever builds, read by picks.
    std::atomic<duration::rep> started_at{(duration::min)().count()};

    bool was_eligible = false;  // in the last snapshot; of whoever builds
};

/// One thread's counts of one endpoint. Written by that thread alone.
struct ledger_entry {
    std::atomic<std::uint64_t> started{0};
    std::atomic<std::uint64_t> completed{0};  // of whatever kind; release: the last touch of a request
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<std::uint64_t> overloaded{0};
};

struct ledger_totals {
    std::uint64_t started = 0, completed = 0, failed = 0, cancelled = 0, overloaded = 0;

    [[nodiscard]] std::uint64_t in_flight() const noexcept { return started - completed; }
    ledger_totals& operator+=(const ledger_totals& other) noexcept {
        started += other.started;
        completed += other.completed;
        failed += other.failed;
        cancelled += other.cancelled;
        overloaded += other.overloaded;
        return *this;
    }
    ledger_totals& operator-=(const ledger_totals& other) noexcept {
        started -= other.started;
        completed -= other.completed;
        failed -= other.failed;
        cancelled -= other.cancelled;
        overloaded -= other.overloaded;
        return *this;
    }
};

/// What one thread has to itself in one balancer.
struct balancer_cell {
    /// One while the thread counts a completion; see `balancer_core::finish`. Mutable: the thread sanitizer's
    /// way of reading it writes.
    mutable std::atomic<std::uint32_t> finishing{0};

    bool is_seeded = false;
    bool has_slot = false;  // false: a stand-in, for a thread that can have none
    splitmix64 random{0};
    // By group, so that one tier's picks do not disturb the turns of another; far ones share.
    static constexpr std::size_t groups = 8;
    std::array<rotation_place, groups> places{};

    slot_blocks<ledger_entry> ledger;  // by endpoint_record::index
};

/// An endpoint as it was when tickets were given out for it. An update that changes its data makes a new
/// one with the same state; weight and priority are read elsewhere, so that changing them does not.
///
/// It is freed once no snapshot has it and as many picks of it have completed as were started.
struct endpoint_record {
    std::shared_ptr<const endpoint> data;
    endpoint_key key = 0;
    std::shared_ptr<endpoint_state> state;
    balancer_core* core = nullptr;
    std::uint32_t index = 0;      ///< In the ledgers. An earlier record may have had it, up to `base`.
    slot_place place = no_place;  ///< The same, as look-ups need it.
    ledger_totals base{};
    ledger_totals carried{};  ///< What the records of this endpoint before this one counted.
    std::optional<percentile_monitor::handle> monitor{};
    ledger_entry elsewhere{};  ///< For threads without a slot, and when there is no memory: shared.
};

}  // namespace levee::detail
