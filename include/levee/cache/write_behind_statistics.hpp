/// What a write-behind cache has counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/journal/journal_stats.hpp"
#include "levee/monitor/histogram.hpp"

namespace levee {

/// Counters are never reset; take differences for rates.
struct write_behind_statistics {
    // Now.
    std::size_t pending = 0;        ///< Keys with writes that the source does not have.
    std::size_t pending_bytes = 0;  ///< Of these, about.
    duration oldest_age{};          ///< Since the oldest of them was accepted.
    std::size_t dead_letters_kept = 0;
    std::size_t batch_limit = 0;  ///< The adaptive size of batches; the smallest of all workers.

    // Since the start.
    std::uint64_t accepted = 0;    ///< Writes, erasures included.
    std::uint64_t coalesced = 0;   ///< Of these, how many replaced one that waited: never sent.
    std::uint64_t superseded = 0;  ///< Writes that failed and were not repeated, because a newer one came.
    std::uint64_t stale = 0;       ///< Writes of an older version than what was pending: dropped.
    std::uint64_t flushed = 0;     ///< Writes that the source took.
    std::uint64_t batches = 0;     ///< Sent, failed ones included.
    std::uint64_t failed_batches = 0;   ///< In whole or in part.
    std::uint64_t retried = 0;          ///< Writes sent again.
    std::uint64_t dead_letters = 0;     ///< Writes given up.
    std::uint64_t blocked = 0;          ///< Writes that found no room and waited.
    std::uint64_t rejected = 0;         ///< Writes that found none and were refused, or waited in vain.
    std::uint64_t written_through = 0;  ///< Writes that found none and went to the source themselves.
    std::uint64_t replayed = 0;         ///< Records of the journal that were taken up at the start.
    std::uint64_t alarms = 0;           ///< Calls of `on_age_alarm`.

    histogram flush_latency{};  ///< How long the source took for a batch, in nanoseconds.
    histogram batch_sizes{};    ///< Writes in a batch.

    bool has_journal = false;
    journal_stats journal{};  ///< `lag`, `oldest_lag`: how far the disk is behind.

    /// Of the writes accepted, how many the source was spared.
    [[nodiscard]] double coalesced_ratio() const noexcept {
        return accepted == 0 ? 0.0
                             : static_cast<double>(coalesced + superseded) / static_cast<double>(accepted);
    }
};

}  // namespace levee
