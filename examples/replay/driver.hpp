/// Sends a trace's requests, and measures the answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hit_ratio/trace.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "replay/database.hpp"
#include "replay/interrupts.hpp"
#include "replay/metrics_file.hpp"
#include "replay/progress.hpp"
#include "replay/results.hpp"

namespace replay {

/// Replays one trace several times against one database.
///
/// Threads take short runs of requests from a common counter, so that the trace's order is kept but for
/// what the threads have in hand. The loop is closed: a thread asks again when it has its answer.
///
/// Each replay counts in operations of its own, named after the cache's size: "1,000 entries: hit" and
/// "1,000 entries: miss".
///
/// Thread safety: unsafe. Blocks: the functions return when the requests are answered, or soon after an
/// interruption with what was measured until then. Errors: those of the database, from the first request
/// that failed; those of the metrics file.
class driver {
public:
    driver(const levee::lab::trace& trace, std::shared_ptr<table> database, unsigned threads,
           levee::percentile_monitor& monitor, metrics_file& metrics, progress& shown, interrupts& signals);

    /// The first `requests` requests, straight to the database.
    [[nodiscard]] run_result without_cache(std::uint64_t requests);

    /// All requests through a `read_through` of its own that holds `capacity` entries, or bytes.
    [[nodiscard]] run_result with_cache(std::uint64_t capacity, bool by_size);

private:
    template <class Ask>
    void send(const std::string& label, run_result& result, const Ask& ask);

    const levee::lab::trace& trace_;
    const std::shared_ptr<table> database_;
    const unsigned threads_;
    levee::percentile_monitor& monitor_;
    metrics_file& metrics_;
    progress& shown_;
    interrupts& signals_;
};

}  // namespace replay
