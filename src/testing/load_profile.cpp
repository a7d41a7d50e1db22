#include "levee/testing/load_profile.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "testing/refusal.hpp"

namespace levee::testing {
namespace {

using std::chrono::hours;

constexpr double most_per_second = 1e7;
constexpr std::size_t most_phases = 100'000;
constexpr std::size_t most_steps = 10'000;
constexpr std::uint64_t most_requests = 100'000'000;
constexpr duration most_time = hours(30 * 24);

double seconds(duration time) noexcept {
    return std::chrono::duration<double>(time).count();
}

double requests_in(const load_phase& phase) noexcept {
    return (phase.from_per_second + phase.to_per_second) / 2.0 * seconds(phase.length);
}

bool is_rate(double per_second) noexcept {
    return per_second >= 0.0 && per_second <= most_per_second;  // not if it is NaN
}

void check(const load_phase& phase, std::size_t index) {
    const std::string name = "load_profile::phases[" + std::to_string(index) + "].";
    if (phase.length <= duration::zero() || phase.length > most_time) {
        testing_detail::refuse(name + "length", testing_detail::text(phase.length), "in (0, 30 days]");
    }
    if (!is_rate(phase.from_per_second)) {
        testing_detail::refuse(name + "from_per_second", testing_detail::text(phase.from_per_second),
                               "in [0, 10000000]");
    }
    if (!is_rate(phase.to_per_second)) {
        testing_detail::refuse(name + "to_per_second", testing_detail::text(phase.to_per_second),
                               "in [0, 10000000]");
    }
}

load_profile bounded(std::vector<load_phase> phases) {
    load_profile profile;
    profile.phases = std::move(phases);
    for (std::size_t i = 0; i < profile.phases.size(); ++i) {
        check(profile.phases[i], i);  // before anything is computed from them
    }
    // Bounds that are too great for a load test are held at the greatest, and `validate` refuses.
    profile.max_time = std::min(2 * profile.length(), most_time);
    const double twice = 2.0 * profile.expected_requests() + 100.0;
    profile.max_requests = static_cast<std::uint64_t>(std::min(twice, static_cast<double>(most_requests)));
    profile.validate();
    return profile;
}

// How far into a phase `requests` of its requests have come.
double time_of(const load_phase& phase, double requests) noexcept {
    const double slope = (phase.to_per_second - phase.from_per_second) / seconds(phase.length);
    const double rate = phase.from_per_second;
    // The root of slope / 2 × t² + rate × t = requests, in the form that does not cancel out digits.
    const double square = std::max(0.0, rate * rate + 2.0 * slope * requests);
    const double divisor = rate + std::sqrt(square);
    return divisor > 0.0 ? 2.0 * requests / divisor : 0.0;
}

}  // namespace

load_profile load_profile::load(double per_second, duration length) {
    return bounded({{length, per_second, per_second}});
}

load_profile load_profile::stress(double from_per_second, double to_per_second, duration length,
                                  std::size_t steps) {
    if (steps > most_steps) {
        testing_detail::refuse("load_profile::stress's steps", std::to_string(steps), "in [0, 10000]");
    }
    if (steps == 0) {
        return bounded({{length, from_per_second, to_per_second}});
    }
    std::vector<load_phase> phases;
    for (std::size_t i = 0; i < steps; ++i) {
        const double part = steps == 1 ? 1.0 : static_cast<double>(i) / static_cast<double>(steps - 1);
        const double rate = from_per_second + part * (to_per_second - from_per_second);
        phases.push_back({length / static_cast<duration::rep>(steps), rate, rate});
    }
    return bounded(std::move(phases));
}

load_profile load_profile::spike(double base_per_second, double peak_per_second, duration around,
                                 duration at_peak) {
    return bounded({{around, base_per_second, base_per_second},
                    {at_peak, peak_per_second, peak_per_second},
                    {around, base_per_second, base_per_second}});
}

load_profile load_profile::endurance(double per_second, duration length) {
    if (length < hours(1)) {
        testing_detail::refuse("load_profile::endurance's length", testing_detail::text(length),
                               "at least 1 hour");
    }
    return load(per_second, length);
}

duration load_profile::length() const noexcept {
    duration sum{};
    for (const load_phase& phase : phases) {
        const bool fits = phase.length <= (duration::max)() - sum;
        sum = fits ? sum + phase.length : (duration::max)();
    }
    return sum;
}

double load_profile::expected_requests() const noexcept {
    double sum = 0.0;
    for (const load_phase& phase : phases) {
        sum += requests_in(phase);
    }
    return sum;
}

void load_profile::validate() const {
    if (phases.empty() || phases.size() > most_phases) {
        testing_detail::refuse("load_profile::phases.size()", std::to_string(phases.size()),
                               "in [1, 100000]");
    }
    for (std::size_t i = 0; i < phases.size(); ++i) {
        check(phases[i], i);
    }
    if (pattern != arrival_pattern::constant && pattern != arrival_pattern::poisson) {
        testing_detail::refuse("load_profile::pattern", std::to_string(static_cast<int>(pattern)),
                               "constant or poisson");
    }
    if (max_requests < 1 || max_requests > most_requests) {
        testing_detail::refuse("load_profile::max_requests", std::to_string(max_requests),
                               "in [1, 100000000]");
    }
    if (expected_requests() > static_cast<double>(max_requests) * (1.0 + 1e-9)) {
        testing_detail::refuse(
            "load_profile::max_requests", std::to_string(max_requests),
            ("at least " + testing_detail::text(expected_requests()) + ", what its phases have").c_str());
    }
    if (max_time <= duration::zero() || max_time > most_time) {
        testing_detail::refuse("load_profile::max_time", testing_detail::text(max_time), "in (0, 30 days]");
    }
    if (length() > max_time) {
        testing_detail::refuse(
            "load_profile::max_time", testing_detail::text(max_time),
            ("at least " + testing_detail::text(length()) + ", the length of its phases").c_str());
    }
}

arrival_schedule::arrival_schedule(load_profile profile)
    : profile_(std::move(profile)), random_(profile_.seed) {
    profile_.validate();
}

std::optional<duration> arrival_schedule::next() noexcept {
    if (given_ == profile_.max_requests) {
        return std::nullopt;
    }
    // Evenly spaced ones begin at the start: request i comes when i have been due. (Not summed up: that
    // would drift.)
    due_ = profile_.pattern == arrival_pattern::constant ? static_cast<double>(given_)
                                                         : due_ - std::log1p(-uniform_unit(random_));
    for (; phase_ < profile_.phases.size(); ++phase_) {
        const load_phase& phase = profile_.phases[phase_];
        const double requests = requests_in(phase);
        // 330 requests at 3.3 a second must not become 331 because a sum was rounded.
        const double within = std::max(0.0, due_ - before_);
        if (within < requests * (1.0 - 1e-12)) {
            const auto offset = std::chrono::duration<double, std::nano>(1e9 * time_of(phase, within));
            const auto whole = std::chrono::duration_cast<duration>(offset);
            ++given_;
            return begin_ + std::clamp(whole, duration::zero(), phase.length - duration(1));
        }
        before_ += requests;
        begin_ += phase.length;
    }
    return std::nullopt;
}

std::uint64_t arrival_schedule::size(const load_profile& profile) {
    arrival_schedule schedule(profile);
    while (schedule.next()) {
    }
    return schedule.given_;
}

}  // namespace levee::testing
