/// Line plots as SVG.
#pragma once

#include <string>
#include <vector>

namespace levee::lab {

/// One point; `x` is above zero because its axis is logarithmic.
struct plot_point {
    double x = 0;
    double y = 0;
};

/// One line of the plot, with its points in the order of x.
struct plot_series {
    std::string name{};
    std::vector<plot_point> points{};
    bool emphasised = false;  ///< Drawn thicker, and behind the others.
};

/// What stands around the lines.
struct plot_options {
    std::string title{};
    std::string x_label{};
    std::string y_label{};
    bool x_in_bytes = false;  ///< Label x in Ki, Mi, Gi at powers of two, not in k and M at powers of ten.
    int width = 800;          ///< In pixels, at least 400.
    int height = 500;         ///< In pixels, at least 250.
};

/// Draws lines over a logarithmic x axis: a whole SVG document with axes, grid, and a legend in the order of
/// the lines' right ends. Ten lines have colours of their own; further ones are dashed as well. Points whose
/// y is not finite are left out.
///
/// Errors: std::invalid_argument for a picture smaller than that, for no point at all, and for an x that
/// is not above zero.
[[nodiscard]] std::string render_svg(const std::vector<plot_series>& series, const plot_options& options);

}  // namespace levee::lab
