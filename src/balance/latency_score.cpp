#include "levee/balance/detail/latency_score.hpp"

#include <algorithm>

namespace levee::detail {

void latency_score::on_success(float nanoseconds, std::uint32_t now, const decay_scale& scale) noexcept {
    const auto seen = latency_.load();
    if (nanoseconds >= 0.0F) {
        if (seen.value >= 0.0F && now - seen.tick - pause < ~std::uint32_t{0} >> 4) [[unlikely]] {
            on_success_after_pause(nanoseconds, now, seen, scale);
        } else if (nanoseconds >= seen.value) {
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

// It went on from what it had faded to: otherwise the answer would call the old mark back.
void latency_score::on_success_after_pause(float nanoseconds, std::uint32_t now, decaying_float::reading seen,
                                           const decay_scale& scale) noexcept {
    const std::uint32_t passed = now - seen.tick;
    const float expected = seen.value * scale.kept(passed, idle_pace());
    const std::uint32_t confirmed = confirmed_.load(std::memory_order_relaxed);
    if (nanoseconds > expected * 2.0F) {
        confirmed_.store(confirmed < 3 ? confirmed + 1 : 3, std::memory_order_relaxed);
    } else if (nanoseconds < expected && confirmed > 0) {
        confirmed_.store(confirmed - 1, std::memory_order_relaxed);
    }
    const float kept = scale.kept(passed);
    latency_.store(
        {nanoseconds >= expected ? nanoseconds : expected * kept + nanoseconds * (1.0F - kept), now});
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
        const float left = errors.value * scale.kept(now - errors.tick);
        const float share = left + (1.0F - left) * step;
        if (errors_.replace(errors, {share, now})) {
            if (share > 1.0F / 3.0F) {
                confirmed_.store(3, std::memory_order_relaxed);  // more than a bad sample
            }
            return;
        }
    }
}

}  // namespace levee::detail
