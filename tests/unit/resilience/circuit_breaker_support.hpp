/// What the breaker's tests share.
#pragma once

#include "levee/resilience/circuit_breaker.hpp"

#include <cstddef>
#include <ostream>

namespace levee {

/// How GoogleTest shows a state.
inline void PrintTo(circuit_state state, std::ostream* out) {
    constexpr const char* names[] = {"closed", "open", "half_open", "forced_open", "forced_closed"};
    *out << names[static_cast<std::size_t>(state)];
}

/// How GoogleTest shows a transition.
inline void PrintTo(const circuit_transition& change, std::ostream* out) {
    PrintTo(change.from, out);
    *out << " -> ";
    PrintTo(change.to, out);
}

/// Makes calls that fail at once.
inline void fail_times(circuit_breaker& breaker, int times, time_point now) {
    for (int i = 0; i < times; ++i) {
        breaker.try_acquire(now).record_failure(now);
    }
}

}  // namespace levee
