#include "levee/resilience/backoff.hpp"

#include "resilience/option_error.hpp"

#include <algorithm>
#include <cmath>

namespace levee {

void validate(const backoff_options& options) {
    using resilience_detail::option_text;
    using resilience_detail::refuse_option;
    if (options.initial <= duration::zero()) {
        refuse_option("backoff_options::initial", option_text(options.initial), "above zero");
    }
    if (options.max < options.initial) {
        refuse_option("backoff_options::max", option_text(options.max), "at least `initial`");
    }
    if (!(options.multiplier >= 1.0 && options.multiplier <= 100.0)) {  // written so that NaN is refused
        refuse_option("backoff_options::multiplier", option_text(options.multiplier), "in [1, 100]");
    }
    if (options.growth != backoff_growth::exponential && options.growth != backoff_growth::linear) {
        refuse_option("backoff_options::growth", std::to_string(static_cast<int>(options.growth)),
                      "one of the enumerators");
    }
    if (options.jitter != backoff_jitter::full && options.jitter != backoff_jitter::equal &&
        options.jitter != backoff_jitter::none) {
        refuse_option("backoff_options::jitter", std::to_string(static_cast<int>(options.jitter)),
                      "one of the enumerators");
    }
}

duration backoff_ceiling(const backoff_options& options, std::uint64_t attempt) noexcept {
    if (attempt == 0) {
        return options.initial;
    }
    const auto steps = static_cast<double>(attempt);
    const double factor =
        options.growth == backoff_growth::linear ? steps + 1.0 : std::pow(options.multiplier, steps);
    // In double, where what grows too far becomes infinite instead of wrong. Below max, which is at most
    // 2^63 there, the result fits 64 bits.
    const double grown = static_cast<double>(options.initial.count()) * factor;
    if (!(grown < static_cast<double>(options.max.count()))) {
        return options.max;
    }
    return std::clamp(duration(static_cast<duration::rep>(grown)), options.initial, options.max);
}

duration backoff_delay(const backoff_options& options, std::uint64_t attempt, double unit) noexcept {
    const duration ceiling = backoff_ceiling(options, attempt);
    duration sure = duration::zero();
    switch (options.jitter) {
        case backoff_jitter::full:
            break;
        case backoff_jitter::equal:
            sure = ceiling / 2;
            break;
        case backoff_jitter::none:
            return ceiling;
    }
    const double left = static_cast<double>((ceiling - sure).count());
    // Capped before the cast: 2^63 - 1 rounds up to 2^63 in double, which does not fit.
    const auto drawn = static_cast<duration::rep>(std::min(left * unit, 0x1p63 - 1024.0));
    return sure + duration(std::min(drawn, (ceiling - sure).count()));
}

backoff::backoff(const backoff_options& options, std::uint64_t seed) : options_(options), random_(seed) {
    validate(options_);
}

duration backoff::next() noexcept {
    const duration wait = backoff_delay(options_, attempts_, uniform_unit(random_));
    attempts_ += attempts_ < UINT64_MAX ? 1 : 0;
    return wait;
}

}  // namespace levee
