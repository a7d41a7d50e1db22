#include "levee/testing/manual_clock.hpp"

namespace levee::testing {

void manual_clock::advance(duration by) noexcept {
    time_point seen = now_.load(std::memory_order_relaxed);
    while (!now_.compare_exchange_weak(seen, after(seen, by), std::memory_order_acq_rel)) {
    }
}

}  // namespace levee::testing
