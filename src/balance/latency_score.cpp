#include "levee/balance/detail/latency_score.hpp"

#include <algorithm>

namespace levee::detail {

void latency_score::on_success(float nanoseconds, std::uint32_t now, const decay_scale& scale) noexcept {
    const auto seen = latency_.load();
    if (nanoseconds >= 0.0F) {
        if (nanoseconds >= seen.value) {
            latency_.store({nanoseconds, now});
        } else if (seen.tick != now) {
            const float kept = scale.kept(now - seen.tick);
            latency_.store({seen.value * kept + nanoseconds * (1.0F - kept), now});
        }
    }
    auto errors = errors_.load();
    while (errors.value != 0.0F) {
        const float left = errors.value * scale.kept(now - errors.tick) * (1.0F - step);
        if (errors_.replace(errors, {left < 1e-4F ? 0.0F : left, now})) {
            break;
        }
    }
}

void latency_score::on_error(float nanoseconds, std::uint32_t now, const decay_scale& scale) noexcept {
    auto seen = latency_.load();
    // Only a latency that was known can get worse: a connection refused in no time is not one.
    while (seen.value >= 0.0F && nanoseconds > seen.value) {
        if (latency_.replace(seen, {nanoseconds, now})) {
            break;
        }
    }
    auto errors = errors_.load();
    for (;;) {
        const float share = errors.value * scale.kept(now - errors.tick);
        if (errors_.replace(errors, {share + (1.0F - share) * step, now})) {
            return;
        }
    }
}

}  // namespace levee::detail
