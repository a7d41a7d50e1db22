#include "levee/balance/outlier_detector.hpp"

#include "balance/option_error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace levee {

void validate(const outlier_options& options) {
    using balance_detail::option_text;
    using balance_detail::refuse_option;
    if (!(options.failure_share >= 0.0 && options.failure_share <= 1.0)) {  // so that NaN is refused
        refuse_option("outlier_options::failure_share", option_text(options.failure_share), "in [0, 1]");
    }
    if (options.minimum_requests == 0) {
        refuse_option("outlier_options::minimum_requests", "0", "at least 1");
    }
    if (!(options.success_deviations >= 0.0 && options.success_deviations <= 100.0)) {
        refuse_option("outlier_options::success_deviations", option_text(options.success_deviations),
                      "in [0, 100]");
    }
    if (options.minimum_endpoints < 2) {
        refuse_option("outlier_options::minimum_endpoints", std::to_string(options.minimum_endpoints),
                      "at least 2");
    }
    if (options.interval < std::chrono::milliseconds(1)) {
        refuse_option("outlier_options::interval", option_text(options.interval), "at least 1 ms");
    }
    if (options.base_ejection <= duration::zero()) {
        refuse_option("outlier_options::base_ejection", option_text(options.base_ejection), "above zero");
    }
    if (options.max_ejection < options.base_ejection) {
        refuse_option("outlier_options::max_ejection", option_text(options.max_ejection),
                      "at least `base_ejection`");
    }
    if (!(options.max_ejected_share >= 0.0 && options.max_ejected_share <= 1.0)) {
        refuse_option("outlier_options::max_ejected_share", option_text(options.max_ejected_share),
                      "in [0, 1]");
    }
}

outlier_detector::outlier_detector(const outlier_options& options) : options_(options) {
    validate(options);
}

// What happened in this half interval and the one before: the last 0.5 to 1 intervals.
outlier_detector::totals outlier_detector::history::recent(totals so_far, time_point now,
                                                           duration interval) noexcept {
    const duration half = interval / 2;
    if (half_began_ == (time_point::min)()) {
        half_began_ = now;  // what came before the first look counts as of this half
    } else if (now >= half_began_ + 2 * half) {
        last_ = this_ = so_far_;
        half_began_ = now;
    } else if (now >= half_began_ + half) {
        last_ = this_;
        this_ = so_far_;
        half_began_ += half;
    }
    so_far_ = so_far;
    return {so_far.succeeded - (std::min)(last_.succeeded, so_far.succeeded),
            so_far.failed - (std::min)(last_.failed, so_far.failed)};
}

double outlier_detector::success_share(history& of, totals so_far, time_point now) const noexcept {
    const totals recent = of.recent(so_far, now, options_.interval);
    const std::uint64_t all = recent.succeeded + recent.failed;
    return all < options_.minimum_requests ? -1.0
                                           : static_cast<double>(recent.succeeded) / static_cast<double>(all);
}

double outlier_detector::on_failure(history& of, std::uint32_t in_row, totals so_far, time_point now) const {
    const double successes = success_share(of, so_far, now);
    if (of.is_ejected(now)) {
        return 0.0;  // it was sent before, or in panic
    }
    if (options_.consecutive_failures > 0 && in_row >= options_.consecutive_failures) {
        return 1.0;
    }
    const bool is_out =
        options_.failure_share > 0.0 && successes >= 0.0 && 1.0 - successes >= options_.failure_share;
    return is_out ? 1.0 - successes : 0.0;
}

bool outlier_detector::allows(std::size_t all, std::size_t ejected, std::size_t eligible) const noexcept {
    // Counted after the ejection: a cap that is looked at before is overrun by one.
    return eligible > 1 &&
           static_cast<double>(ejected + 1) <= options_.max_ejected_share * static_cast<double>(all) + 1e-9;
}

time_point outlier_detector::eject(history& of, time_point now) const noexcept {
    if (of.multiplier_ > 0 && now > of.ejected_until_) {
        const auto quiet = static_cast<std::uint64_t>((now - of.ejected_until_) / options_.base_ejection);
        of.multiplier_ -= static_cast<std::uint32_t>((std::min<std::uint64_t>)(quiet, of.multiplier_));
    }
    of.multiplier_ += of.multiplier_ < (std::numeric_limits<std::uint32_t>::max)() ? 1U : 0U;
    of.ejections_ += 1;
    const duration length = options_.max_ejection / of.multiplier_ < options_.base_ejection
                                ? options_.max_ejection
                                : options_.base_ejection * of.multiplier_;
    of.ejected_at_ = now;
    of.ejected_until_ = after(now, length);
    return of.ejected_until_;
}

void outlier_detector::lift(history& of, time_point now) const noexcept {
    if (of.is_ejected(now)) {
        of.ejected_until_ = now;
        of.multiplier_ -= of.multiplier_ > 0 ? 1U : 0U;
    }
}

std::vector<std::size_t> outlier_detector::below_the_others(std::span<const double> shares) const {
    std::vector<std::size_t> found;
    double sum = 0.0;
    double squares = 0.0;
    std::size_t counted = 0;
    for (const double share : shares) {
        if (share >= 0.0) {
            sum += share;
            counted += 1;
        }
    }
    if (options_.success_deviations == 0.0 || counted < options_.minimum_endpoints) {
        return found;
    }
    const double mean = sum / static_cast<double>(counted);
    for (const double share : shares) {
        squares += share >= 0.0 ? (share - mean) * (share - mean) : 0.0;
    }
    const double bound =
        mean - options_.success_deviations * std::sqrt(squares / static_cast<double>(counted));
    for (std::size_t i = 0; i < shares.size(); ++i) {
        // The second part: with rounding alone between them, nobody falls below.
        if (shares[i] >= 0.0 && shares[i] < bound && shares[i] < mean - 1e-6) {
            found.push_back(i);
        }
    }
    return found;
}

}  // namespace levee
