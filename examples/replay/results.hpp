/// What was measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/monitor/percentile_monitor.hpp"

namespace replay {

/// One replay.
struct run_result {
    std::uint64_t capacity = 0;  ///< Entries or bytes; zero: without a cache.
    std::uint64_t planned = 0;   ///< Requests that it should have had.
    std::uint64_t requests = 0;  ///< Requests that were answered.
    levee::duration elapsed{};
    levee::latency_summary all{};     ///< Of every request.
    levee::latency_summary hits{};    ///< Of those that needed no load of their own.
    levee::latency_summary misses{};  ///< Of those that went to the database; without a cache, all.
    levee::cache_stats cache{};
    std::uint64_t entries = 0;            ///< Held at the end.
    std::optional<std::uint64_t> heap{};  ///< Bytes of heap that the cache held at the end; empty: not known.

    [[nodiscard]] bool is_complete() const noexcept { return requests == planned; }
};

/// Everything the report is made from.
struct results {
    std::string name{};
    bool is_made_up = false;
    std::uint64_t requests = 0, distinct = 0;
    bool has_sizes = false;   ///< The trace says how big values are.
    bool by_size = false;     ///< Capacities are bytes, else entries.
    std::uint64_t whole = 0;  ///< What all keys together would need, in that unit.
    unsigned threads = 0;
    std::uint64_t database_bytes = 0;      ///< On disk.
    std::optional<run_result> baseline{};  ///< Without a cache.
    std::vector<run_result> runs{};        ///< With one, by rising capacity.
    bool is_interrupted = false;
};

}  // namespace replay
