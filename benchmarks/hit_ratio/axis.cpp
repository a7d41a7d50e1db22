#include "hit_ratio/axis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace levee::lab {
namespace {

std::string short_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string scaled(double value, double base, const std::string_view (&units)[5]) {
    std::size_t unit = 0;
    while (unit + 1 < std::size(units) && value >= base) {
        value /= base;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text + std::string(units[unit]);
}

std::string log_label(double value, bool in_bytes) {
    static constexpr std::string_view decimal[] = {"", "k", "M", "G", "T"};
    static constexpr std::string_view binary[] = {"", " Ki", " Mi", " Gi", " Ti"};
    return in_bytes ? scaled(value, 1024, binary) : scaled(value, 1000, decimal);
}

// The smallest of 1, 2, 5 × 10^n that divides the span into at most `most` steps.
double round_step(double span, double most) {
    const double rough = span / most;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= rough * (1 - 1e-9)) {
            return factor * power;
        }
    }
    return 10 * power;
}

// `factors` × `base`^n within the axis.
std::vector<double> log_ticks(const axis& a, double base, const std::vector<double>& factors) {
    std::vector<double> values;
    for (double power = std::pow(base, std::floor(std::log(a.low) / std::log(base)) - 1);
         power <= a.high * 1.001; power *= base) {
        for (const double factor : factors) {
            const double value = factor * power;
            if (value >= a.low * 0.999 && value <= a.high * 1.001) {
                values.push_back(value);
            }
        }
    }
    return values;
}

}  // namespace

axis linear_axis(double lowest, double highest) {
    if (lowest > 0 && lowest < 0.6 * highest) {
        lowest = 0;
    }
    if (!(highest > lowest)) {  // one value: a little room on both sides
        const double room = lowest == 0 ? 1 : std::abs(lowest) * 0.1;
        lowest = lowest == 0 ? 0 : lowest - room;
        highest += room;
    }
    const double step = round_step(highest - lowest, 8);
    const auto first = static_cast<long>(std::floor(lowest / step + 1e-9));
    const auto last = static_cast<long>(std::ceil(highest / step - 1e-9));
    axis result{static_cast<double>(first) * step, static_cast<double>(last) * step, {}};
    for (long i = first; i <= last; ++i) {
        const double value = static_cast<double>(i) * step;
        result.ticks.push_back({value, short_number(value)});
    }
    return result;
}

axis logarithmic_axis(double lowest, double highest, bool in_bytes) {
    if (highest < lowest * 1.05) {  // one size: half and double of it around
        lowest /= 2;
        highest *= 2;
    }
    axis result{lowest, highest, {}};
    // From coarse to fine: as many as fit, but not finer than needed to have a few.
    const std::vector<std::vector<double>> decimal{{1}, {1, 3}, {1, 2, 5}, {1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9}};
    const std::vector<std::vector<double>> binary{{1, 4, 16, 64, 256},
                                                  {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}};
    std::vector<double> values;
    for (const auto& factors : in_bytes ? binary : decimal) {
        const auto finer = log_ticks(result, in_bytes ? 1024 : 10, factors);
        if (values.size() >= 6 || (values.size() >= 3 && finer.size() > 10)) {
            break;
        }
        values = finer;
    }
    if (values.size() < 3) {  // too narrow for those: the ends of the axis, and between them
        values = {lowest, std::sqrt(lowest * highest), highest};
    }
    const std::size_t every = (values.size() + 9) / 10;
    for (std::size_t i = 0; i < values.size(); i += every) {
        result.ticks.push_back({values[i], log_label(values[i], in_bytes)});
    }
    return result;
}

}  // namespace levee::lab
