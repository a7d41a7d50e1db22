/// What a balancer knows about one endpoint, kept by id across updates.
#pragma once

#include "levee/balance/detail/latency_score.hpp"
#include "levee/core/thread_slots.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace levee::detail {

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class balancer_core;
struct endpoint_extras;  // src/balance/endpoint_extras.hpp: what picks do not look at

/// The line that picks read and, where the strategy goes by load, write. Nothing here points to the
/// endpoint's data, which updates replace.
struct alignas(line_size) endpoint_state {
    endpoint_state();
    endpoint_state(const endpoint_state&) = delete;
    endpoint_state& operator=(const endpoint_state&) = delete;
    ~endpoint_state();

    /// Requests under way; counted only where the strategy or a limit asks for it.
    std::atomic<std::uint32_t> in_flight{0};

    /// Failures since the last success; the cheap half of outlier detection.
    std::atomic<std::uint32_t> failures_in_row{0};

    /// Requests at once; the largest value: no limit. Moves where the limit is adaptive.
    std::atomic<std::uint32_t> limit{~std::uint32_t{0}};

    latency_score score;

    const std::unique_ptr<endpoint_extras> extras;  // never null
};

}  // namespace levee::detail
