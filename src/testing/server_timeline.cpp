#include "testing/server_timeline.hpp"

#include <algorithm>
#include <cmath>

namespace levee::testing_detail {

using testing::server_fault;

namespace {

constexpr duration never = (duration::max)();
constexpr int warming_steps = 32;  // a cold start's slope, as stairs

duration sum(duration a, duration b) noexcept {
    return a > never - b ? never : a + b;
}

// The latest time at or before `at` when the fault began, and how long it then lasts; none: begin > at.
struct occurrence {
    duration begin;
    duration end;
};

occurrence latest(const server_fault& fault, duration at) noexcept {
    duration begin = fault.from;
    if (fault.period > duration::zero() && at > begin) {
        const duration last = std::min(at, fault.until - duration(1));
        begin += (last - begin) / fault.period * fault.period;
    }
    return {begin, sum(begin, fault.length)};
}

// When the fault next begins after `begin`, its latest beginning.
duration next_begin(const server_fault& fault, duration begin) noexcept {
    const duration next = fault.period > duration::zero() ? sum(begin, fault.period) : never;
    return next < fault.until ? next : never;
}

}  // namespace

server_phase server_timeline::evaluate(duration at) const noexcept {
    server_phase phase;
    const auto changes = [&](duration when) { phase.until = std::min(phase.until, when); };
    for (const server_fault& fault : faults_) {
        const auto [begin, end] = latest(fault, at);
        if (begin > at) {
            changes(begin);
            continue;
        }
        changes(next_begin(fault, begin));
        if (at >= end) {
            continue;
        }
        changes(end);
        switch (fault.what) {
            case server_fault::kind::slow:
                phase.slowness *= fault.factor;
                break;
            case server_fault::kind::pause:
                phase.is_paused = true;
                break;
            case server_fault::kind::fail:
                if (fault.share > phase.failing_share) {
                    phase.failing_share = fault.share;
                    phase.failure_latency = fault.latency;
                }
                break;
            case server_fault::kind::hang:
                phase.is_hanging = true;
                break;
            case server_fault::kind::cold_start: {
                const duration step = std::max(fault.length / warming_steps, duration(1));
                const auto taken = (at - begin) / step;
                changes(begin + (taken + 1) * step);
                phase.slowness *= fault.factor + (1.0 - fault.factor) * static_cast<double>(taken) /
                                                     static_cast<double>(warming_steps);
                break;
            }
        }
    }
    return phase;
}

duration server_timeline::finish(duration at, duration work) {
    server_phase phase = now(at);
    auto left = static_cast<double>(work.count());
    for (;;) {
        if (!phase.is_paused) {
            const double needed = left * phase.slowness;
            const auto room = static_cast<double>((phase.until - at).count());
            if (needed < room || (phase.until == never && needed < 0x1p61)) {
                return at + duration(std::llround(needed));
            }
            left -= room / phase.slowness;
        }
        if (phase.until == never) {
            return never;
        }
        at = phase.until;
        phase = evaluate(at);
    }
}

}  // namespace levee::testing_detail
