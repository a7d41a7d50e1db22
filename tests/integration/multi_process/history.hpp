/// What several processes did with one cache's keys, and what must never be seen in it (G1 to G4).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"

namespace levee::tests {

enum class act : std::uint8_t {
    none,         ///< Never begun.
    read_local,   ///< L1 said that `value` is fresh.
    read_remote,  ///< L2 said so.
    read,         ///< A `get` answered `value`; where it came from is not known.
    change,       ///< What was loaded before `began` is invalid; the source held `value` by then.
    load,         ///< The source was asked and answered `value`.
};

/// How far an act got.
enum class progress : std::uint8_t { begun, failed, queued, acknowledged, done };

/// One act of one process. The source's values only grow, a change raises them first, and time is
/// CLOCK_MONOTONIC, which all processes share. So "loaded before" shows in the value.
struct event {
    act what = act::none;
    progress how = progress::begun;  ///< `begun`: its end was not seen, as when the process was killed.
    std::uint16_t key = 0;
    bool by_mark = false;   ///< Of a change: by tag, prefix or `clear`, which others hear of as of messages.
    bool is_leased = true;  ///< Of a load: nothing suggests that it was made without a lease.
    std::uint64_t value = 0;
    time_point began{};
    time_point ended{};
};

/// When something was done to a process or to the server.
struct disturbance {
    time_point began{};
    time_point ended{};
};

struct history {
    std::vector<std::vector<event>> processes{};  ///< Each in any order.
    std::vector<disturbance> of_server{};         ///< It was killed or stopped: leases may have been lost.
    duration link_bound{};      ///< G3: ping interval and timeout, and the coarse clock's error.
    duration marks_interval{};  ///< How old marks may be when the link says nothing.
    duration lease{};
};

/// What was violated, a line each, "G1: ...". At most `most`.
[[nodiscard]] std::vector<std::string> violations(const history& of, std::size_t most = 10);

/// How much was there to be checked, so that a test can see that it did.
struct checked_counts {
    std::uint64_t g1 = 0, g2 = 0, marks = 0, g3 = 0,
                  g4 = 0;  ///< Reads, or pairs of loads, that a rule applied to.
};
[[nodiscard]] checked_counts checked(const history& of);

}  // namespace levee::tests
