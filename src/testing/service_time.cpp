#include "levee/testing/service_time.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "testing/refusal.hpp"

namespace levee::testing {

using testing_detail::refuse;
using testing_detail::text;

namespace {

double nanoseconds(duration value) noexcept {
    return static_cast<double>(value.count());
}

// A tail too far out for 64 bits is held at a year, so that sums of times stay in range.
duration rounded(double value) noexcept {
    constexpr double year = 365.0 * 86400.0 * 1e9;
    return duration(std::llround(std::min(value, year)));
}

void check_not_negative(const char* what, duration value) {
    if (value < duration::zero()) {
        refuse(what, text(value), "zero or above");
    }
}

void check_positive(const char* what, duration value) {
    if (value <= duration::zero()) {
        refuse(what, text(value), "above zero");
    }
}

}  // namespace

service_time service_time::constant(duration value) {
    check_not_negative("service_time::constant's value", value);
    return {kind::constant, value, nanoseconds(value), 0.0, 0.0};
}

service_time service_time::uniform(duration low, duration high) {
    check_not_negative("service_time::uniform's low", low);
    if (high < low) {
        refuse("service_time::uniform's high", text(high), "at least `low`");
    }
    return {kind::uniform, low + (high - low) / 2, nanoseconds(low), nanoseconds(high), 0.0};
}

service_time service_time::exponential(duration mean) {
    check_positive("service_time::exponential's mean", mean);
    return {kind::exponential, mean, nanoseconds(mean), 0.0, 0.0};
}

service_time service_time::log_normal(duration median, double sigma) {
    check_positive("service_time::log_normal's median", median);
    if (!(sigma > 0.0 && sigma <= 4.0)) {  // written so that NaN is refused
        refuse("service_time::log_normal's sigma", text(sigma), "in (0, 4]");
    }
    const double mean = nanoseconds(median) * std::exp(sigma * sigma / 2.0);
    return {kind::log_normal, rounded(mean), nanoseconds(median), sigma, 0.0};
}

service_time service_time::bimodal(duration usual, duration rare, double rare_share) {
    check_not_negative("service_time::bimodal's usual", usual);
    check_not_negative("service_time::bimodal's rare", rare);
    if (!(rare_share >= 0.0 && rare_share <= 1.0)) {
        refuse("service_time::bimodal's rare_share", text(rare_share), "in [0, 1]");
    }
    const double mean = nanoseconds(usual) * (1.0 - rare_share) + nanoseconds(rare) * rare_share;
    return {kind::bimodal, rounded(mean), nanoseconds(usual), nanoseconds(rare), rare_share};
}

service_time service_time::measured(std::vector<duration> samples) {
    if (samples.empty()) {
        refuse("service_time::measured's samples", "empty", "at least one");
    }
    double sum = 0.0;
    for (const duration sample : samples) {
        check_not_negative("a sample of service_time::measured", sample);
        sum += nanoseconds(sample);
    }
    service_time made(kind::measured, rounded(sum / static_cast<double>(samples.size())), 0.0, 0.0, 0.0);
    made.samples_ = std::make_shared<const std::vector<duration>>(std::move(samples));
    return made;
}

duration service_time::draw(splitmix64& random) const noexcept {
    switch (what_) {
        case kind::constant:
            return mean_;
        case kind::uniform:
            return rounded(a_ + (b_ - a_) * uniform_unit(random));
        case kind::exponential:
            return rounded(-std::log1p(-uniform_unit(random)) * a_);
        case kind::log_normal: {
            // Box and Muller 1958. 1 - u is in (0, 1], where the logarithm is finite.
            const double radius = std::sqrt(-2.0 * std::log1p(-uniform_unit(random)));
            const double normal = radius * std::cos(2.0 * std::numbers::pi * uniform_unit(random));
            return rounded(a_ * std::exp(b_ * normal));
        }
        case kind::bimodal:
            return rounded(uniform_unit(random) < share_ ? b_ : a_);
        case kind::measured:
            return (*samples_)[static_cast<std::size_t>(uniform_below(random, samples_->size()))];
    }
    return mean_;
}

}  // namespace levee::testing
