/// The latencies in a file, for Prometheus.
#pragma once

#include <string>

#include "levee/core/clock.hpp"
#include "levee/monitor/percentile_monitor.hpp"

namespace replay {

/// Keeps a monitor's page for Prometheus in a file. Each page is written to a file beside it, which then
/// takes its name: who reads has one page or the next, never a part of one.
///
/// Thread safety: unsafe. Errors: levee::error when the file cannot be written.
class metrics_file {
public:
    /// An empty path: no file, and nothing happens.
    metrics_file(std::string path, const levee::percentile_monitor& monitor);

    /// Writes a page.
    void write();

    /// Writes a page if the last one is a second old. To be called every 50 ms or so.
    void update();

private:
    const std::string path_, unfinished_;
    const levee::percentile_monitor& monitor_;
    levee::time_point next_{};
};

}  // namespace replay
