/// What is told in the end.
#pragma once

#include <string>

#include "replay/results.hpp"

namespace replay {

/// The report, in lines of at most 100 characters. With `colour`, headings stand out on a terminal.
[[nodiscard]] std::string report_of(const results& measured, bool colour);

/// The miss-ratio curve as an SVG document; empty when no replay was complete.
[[nodiscard]] std::string plot_of(const results& measured);

}  // namespace replay
