#include "levee/testing/arrivals.hpp"

#include <algorithm>
#include <cmath>

#include "testing/refusal.hpp"

namespace levee::testing {
namespace {

// Rates below one a century mean never.
constexpr double longest_gap = 0x1p61;

duration rounded(double gap) noexcept {
    return duration(std::llround(std::min(gap, longest_gap)));
}

}  // namespace

arrivals::arrivals(double per_second, std::uint32_t at_once, bool is_random)
    : per_second_(per_second),
      mean_gap_(1e9 * static_cast<double>(at_once) / per_second),
      at_once_(at_once),
      is_random_(is_random) {
    if (!(per_second > 0.0) || !std::isfinite(per_second)) {
        testing_detail::refuse("arrivals' per_second", testing_detail::text(per_second),
                               "above zero and finite");
    }
    if (at_once == 0) {
        testing_detail::refuse("arrivals' size", "0", "at least 1");
    }
}

arrivals arrivals::poisson(double per_second) {
    return {per_second, 1, true};
}

arrivals arrivals::constant(double per_second) {
    return {per_second, 1, false};
}

arrivals arrivals::bursts(double per_second, std::uint32_t size) {
    return {per_second, size, true};
}

arrivals arrivals::with_rate(double per_second) const {
    return {per_second, at_once_, is_random_};
}

duration arrivals::first_gap(splitmix64& random) const noexcept {
    return is_random_ ? gap(random) : rounded(uniform_unit(random) * mean_gap_);
}

duration arrivals::gap(splitmix64& random) const noexcept {
    return rounded(is_random_ ? -std::log1p(-uniform_unit(random)) * mean_gap_ : mean_gap_);
}

}  // namespace levee::testing
