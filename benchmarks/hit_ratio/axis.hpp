/// Where an axis begins and ends, and where its ticks are.
#pragma once

#include <string>
#include <vector>

namespace levee::lab {

/// A place on an axis with its label.
struct axis_tick {
    double value = 0;
    std::string label;
};

/// An axis: `low` and `high` are its ends, `ticks` lie between them in rising order.
struct axis {
    double low = 0;
    double high = 1;
    std::vector<axis_tick> ticks;
};

/// A linear axis with four to ten ticks at multiples of 1, 2 or 5 × 10^n, which are also its ends. It
/// begins at zero unless the values lie in the upper part of such an axis.
[[nodiscard]] axis linear_axis(double lowest, double highest);

/// A logarithmic axis that begins and ends at the given values, both above zero, with ticks at round
/// numbers. Labels: "500", "20k", "3M"; with `in_bytes` "512", "64 Ki", "3 Mi".
[[nodiscard]] axis logarithmic_axis(double lowest, double highest, bool in_bytes);

}  // namespace levee::lab
