#include "levee/core/clock.hpp"

#include <time.h>

namespace levee {
namespace {

struct precise_clock final : clock {
    [[nodiscard]] time_point now() const noexcept override {
        return std::chrono::time_point_cast<duration>(std::chrono::steady_clock::now());
    }
};

struct coarse_clock final : clock {
    [[nodiscard]] time_point now() const noexcept override {
#ifdef CLOCK_MONOTONIC_COARSE
        timespec tick{};
        ::clock_gettime(CLOCK_MONOTONIC_COARSE, &tick);
        return time_point(std::chrono::seconds(tick.tv_sec) + duration(tick.tv_nsec));
#else
        return clock::precise().now();
#endif
    }
};

// Stateless, so neither their construction nor their destruction has an order to get wrong.
constinit const precise_clock precise_instance;
constinit const coarse_clock coarse_instance;

}  // namespace

const clock& clock::precise() noexcept {
    return precise_instance;
}

const clock& clock::coarse() noexcept {
    return coarse_instance;
}

}  // namespace levee
