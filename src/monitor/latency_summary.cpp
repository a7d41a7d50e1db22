#include "levee/monitor/latency_summary.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace levee {
namespace {

std::optional<duration> as_duration(std::optional<std::uint64_t> nanoseconds) {
    constexpr auto longest = static_cast<std::uint64_t>(duration::max().count());
    if (!nanoseconds) {
        return std::nullopt;
    }
    return duration(static_cast<duration::rep>(std::min(*nanoseconds, longest)));
}

}  // namespace

latency_summary summarise(const histogram& nanoseconds) {
    static constexpr std::array percentiles{50.0, 90.0, 95.0, 99.0, 99.9};
    std::array<std::optional<std::uint64_t>, percentiles.size()> values;
    nanoseconds.values_at_percentiles(percentiles, values);
    std::optional<duration> mean;
    if (const auto exact = nanoseconds.mean()) {
        mean = *exact < 0x1p63 ? duration(static_cast<duration::rep>(*exact)) : duration::max();
    }
    return {.count = nanoseconds.count(),
            .min = as_duration((nanoseconds.min)()),
            .max = as_duration((nanoseconds.max)()),
            .mean = mean,
            .p50 = as_duration(values[0]),
            .p90 = as_duration(values[1]),
            .p95 = as_duration(values[2]),
            .p99 = as_duration(values[3]),
            .p999 = as_duration(values[4])};
}

call_stats summarise(const operation_histograms& calls) {
    return {summarise(calls.succeeded), calls.failed.count(), summarise(calls.failed), calls.span};
}

std::optional<double> call_stats::rate() const noexcept {
    if (span <= duration::zero()) {
        return std::nullopt;
    }
    return static_cast<double>(count + failures) / std::chrono::duration<double>(span).count();
}

std::optional<double> call_stats::error_rate() const noexcept {
    const std::uint64_t all = count + failures;
    return all == 0 ? std::nullopt : std::optional(static_cast<double>(failures) / static_cast<double>(all));
}

}  // namespace levee
