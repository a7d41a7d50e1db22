#include "levee/balance/concurrency_limit.hpp"

#include "balance/option_error.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace levee {

void validate(const adaptive_limit_options& options) {
    using balance_detail::option_text;
    using balance_detail::refuse_option;
    if (options.minimum == 0) {
        refuse_option("adaptive_limit_options::minimum", "0", "at least 1");
    }
    if (options.maximum < options.minimum) {
        refuse_option("adaptive_limit_options::maximum", std::to_string(options.maximum),
                      "at least `minimum`");
    }
    if (options.initial < options.minimum || options.initial > options.maximum) {
        refuse_option("adaptive_limit_options::initial", std::to_string(options.initial),
                      "in [minimum, maximum]");
    }
    if (!(options.tolerance >= 1.0 && options.tolerance <= 100.0)) {
        refuse_option("adaptive_limit_options::tolerance", option_text(options.tolerance), "in [1, 100]");
    }
    if (!(options.smoothing > 0.0 && options.smoothing <= 1.0)) {
        refuse_option("adaptive_limit_options::smoothing", option_text(options.smoothing), "in (0, 1]");
    }
    if (options.window == 0) {
        refuse_option("adaptive_limit_options::window", "0", "at least 1");
    }
}

gradient_limit::gradient_limit(const adaptive_limit_options& options)
    : options_((validate(options), options)), limit_(static_cast<double>(options.initial)) {}

void gradient_limit::on_answer(duration latency, std::uint32_t in_flight) noexcept {
    window_sum_ += static_cast<double>((std::max)(latency, duration(1)).count());
    window_count_ += 1;
    window_in_flight_ = (std::max)(window_in_flight_, in_flight);
    if (window_count_ < options_.window) {
        return;
    }
    const double present = window_sum_ / window_count_;
    const double in_use = window_in_flight_;
    window_sum_ = 0.0;
    window_count_ = 0;
    window_in_flight_ = 0;
    usual_ = usual_ == 0.0 ? present : usual_ + (present - usual_) / 600.0;
    if (usual_ > 2.0 * present) {
        usual_ *= 0.9;  // it has become faster for good
    }
    if (in_use < limit_ / 2.0) {
        return;  // the limit was not what held it back
    }
    const double gradient = std::clamp(options_.tolerance * usual_ / present, 0.5, 1.0);
    const double wanted = limit_ * gradient + std::sqrt(limit_);
    limit_ = std::clamp(limit_ + (wanted - limit_) * options_.smoothing,
                        static_cast<double>(options_.minimum), static_cast<double>(options_.maximum));
}

void gradient_limit::on_drop() noexcept {
    limit_ = (std::max)(limit_ * 0.9, static_cast<double>(options_.minimum));
}

}  // namespace levee
