/// How many retries may be made, as a share of the requests: so that retries do not finish off what is ill.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/core/thread_slots.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace levee {

/// Defaults after Finagle: 20 % of the requests of the last 10 s, and 10 a second.
struct retry_budget_options {
    /// Retries allowed for each request of the window, in [0, 1000].
    double share = 0.2;

    /// Retries allowed a second whatever the requests, so that little traffic may retry too. At least 0.
    double minimum_a_second = 10.0;

    /// At least 1 ms. Forgotten in tenths.
    duration window = std::chrono::seconds(10);
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const retry_budget_options& options);

/// Counts requests and hands out leave for retries and hedges, which share it. It has no timer and reads
/// no clock.
///
///     budget.record_request(now);                      // each request once, its first attempt
///     if (failed && budget.try_spend(now)) { retry(); }
///
/// Thread safety: safe. Cost: `record_request` writes only the calling thread's own line; `try_spend`
/// takes a mutex and looks at every thread's.
class retry_budget {
public:
    /// Errors: std::invalid_argument.
    explicit retry_budget(const retry_budget_options& options = {});
    retry_budget(const retry_budget&) = delete;
    retry_budget& operator=(const retry_budget&) = delete;

    /// A request's first attempt was made.
    void record_request(time_point now) noexcept;

    /// Leave for one retry or hedge. False: the budget is spent; what already runs is not affected.
    [[nodiscard]] bool try_spend(time_point now);

    /// Leave not used after all: gives it back. Never for one that was sent.
    void give_back(time_point now);

    /// How many retries could be made now.
    [[nodiscard]] double available(time_point now) const;

private:
    static constexpr std::size_t parts = 10;

    /// A part's number and its count in one word, so that a reader never takes an old count for a new one.
    using counts = std::array<std::atomic<std::uint64_t>, parts + 1>;

    [[nodiscard]] std::uint32_t part_of(time_point at) const noexcept;
    [[nodiscard]] std::uint64_t requests(std::uint32_t part) const noexcept;
    [[nodiscard]] std::uint64_t spent_locked(std::uint32_t part) const noexcept;
    [[nodiscard]] double available_locked(std::uint32_t part) const noexcept;

    const retry_budget_options options_;
    thread_cells<counts> requests_;
    counts requests_without_slot_{};
    mutable std::mutex mutex_;                      // guards spent_
    std::array<std::uint64_t, parts + 1> spent_{};  // as `counts`
};

}  // namespace levee
