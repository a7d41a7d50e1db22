#include "hit_ratio/plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string_view>

#include "hit_ratio/axis.hpp"

namespace levee::lab {
namespace {

// Okabe and Ito, "Color universal design", 2008, without their yellow, which is too pale for lines, and with
// grey, purple and brown.
constexpr std::string_view colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9",
                                        "#e69f00", "#7f7f7f", "#6a3d9a", "#8c2d04", "#000000"};
constexpr std::string_view dashes[] = {"", "7 4", "2 3"};

constexpr double margin_left = 64;
constexpr double margin_right = 150;  // the legend
constexpr double margin_top = 44;
constexpr double margin_bottom = 56;

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += c;
        }
    }
    return result;
}

class svg {
public:
    svg(int width, int height) {
        const std::string w = std::to_string(width);
        const std::string h = std::to_string(height);
        text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
                "\" viewBox=\"0 0 " + w + ' ' + h + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
                "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    }
    void line(double x1, double y1, double x2, double y2, std::string_view colour) {
        text_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
                 number(y2) + "\" stroke=\"" + std::string(colour) + "\"/>\n";
    }
    void label(double x, double y, std::string_view anchor, std::string_view text,
               std::string_view more = "") {
        text_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" +
                 std::string(anchor) + "\"" + std::string(more) + ">" + escaped(text) + "</text>\n";
    }
    void path(std::string_view points, std::string_view style) {
        text_ += "<polyline points=\"" + std::string(points) + "\" fill=\"none\" " +
                 "stroke-linejoin=\"round\" " + std::string(style) + "/>\n";
    }
    void dot(double x, double y, std::string_view colour) {
        text_ += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"2.5\" fill=\"" +
                 std::string(colour) + "\"/>\n";
    }
    [[nodiscard]] std::string finish() { return text_ + "</svg>\n"; }

private:
    std::string text_;
};

// Maps values to pixels.
struct frame {
    axis x, y;
    double left = 0, right = 0, top = 0, bottom = 0;

    [[nodiscard]] double at_x(double value) const {
        return left + (right - left) * std::log(value / x.low) / std::log(x.high / x.low);
    }
    [[nodiscard]] double at_y(double value) const {
        return bottom - (bottom - top) * (value - y.low) / (y.high - y.low);
    }
};

frame make_frame(const std::vector<plot_series>& series, const plot_options& options) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double x_low = infinity, x_high = -infinity, y_low = infinity, y_high = -infinity;
    for (const auto& one : series) {
        for (const auto& [x, y] : one.points) {
            if (!(x > 0 && x < infinity)) {
                throw std::invalid_argument("plot_point::x is " + std::to_string(x) +
                                            "; it must be in (0, inf)");
            }
            if (std::isfinite(y)) {
                x_low = std::min(x_low, x);
                x_high = std::max(x_high, x);
                y_low = std::min(y_low, y);
                y_high = std::max(y_high, y);
            }
        }
    }
    if (x_low == infinity) {
        throw std::invalid_argument("render_svg: series hold no point; there must be at least one");
    }
    return {logarithmic_axis(x_low, x_high, options.x_in_bytes),
            linear_axis(y_low, y_high),
            margin_left,
            options.width - margin_right,
            margin_top,
            options.height - margin_bottom};
}

void draw_axes(svg& picture, const frame& f, const plot_options& options) {
    for (const auto& tick : f.y.ticks) {
        picture.line(f.left, f.at_y(tick.value), f.right, f.at_y(tick.value), "#e4e4e4");
        picture.label(f.left - 8, f.at_y(tick.value) + 4, "end", tick.label);
    }
    for (const auto& tick : f.x.ticks) {
        picture.line(f.at_x(tick.value), f.top, f.at_x(tick.value), f.bottom, "#e4e4e4");
        picture.line(f.at_x(tick.value), f.bottom, f.at_x(tick.value), f.bottom + 5, "#444444");
        picture.label(f.at_x(tick.value), f.bottom + 19, "middle", tick.label);
    }
    picture.line(f.left, f.bottom, f.right, f.bottom, "#444444");
    picture.line(f.left, f.top, f.left, f.bottom, "#444444");
    const double middle_x = (f.left + f.right) / 2;
    const double middle_y = (f.top + f.bottom) / 2;
    picture.label(middle_x, f.top - 18, "middle", options.title, " font-size=\"15\" font-weight=\"bold\"");
    picture.label(middle_x, f.bottom + 42, "middle", options.x_label);
    picture.label(18, middle_y, "middle", options.y_label,
                  " transform=\"rotate(-90 18 " + number(middle_y) + ")\"");
}

std::string_view colour_of(std::size_t index) {
    return colours[index % std::size(colours)];
}

std::string style_of(std::size_t index, bool emphasised) {
    const auto dash = dashes[(index / std::size(colours)) % std::size(dashes)];
    std::string style = "stroke=\"" + std::string(colour_of(index)) + "\" stroke-width=\"" +
                        (emphasised ? "4" : "1.8") + "\"";
    if (!dash.empty()) {
        style += " stroke-dasharray=\"" + std::string(dash) + "\"";
    }
    return style;
}

void draw_line(svg& picture, const frame& f, const plot_series& one, std::size_t index) {
    std::string points;
    for (const auto& [x, y] : one.points) {
        if (std::isfinite(y)) {
            points += (points.empty() ? "" : " ") + number(f.at_x(x)) + ',' + number(f.at_y(y));
        }
    }
    picture.path(points, style_of(index, one.emphasised));
    for (const auto& [x, y] : one.points) {
        if (std::isfinite(y)) {
            picture.dot(f.at_x(x), f.at_y(y), colour_of(index));
        }
    }
}

void draw_lines(svg& picture, const frame& f, const std::vector<plot_series>& series) {
    for (const bool emphasised : {true, false}) {
        for (std::size_t i = 0; i < series.size(); ++i) {
            if (series[i].emphasised == emphasised) {
                draw_line(picture, f, series[i], i);
            }
        }
    }
}

// From the top line to the bottom one as they end on the right, so that the eye finds them.
void draw_legend(svg& picture, const frame& f, const std::vector<plot_series>& series) {
    std::vector<std::size_t> order(series.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto end_of = [&](std::size_t i) {
        double end = -std::numeric_limits<double>::infinity();
        for (const auto& point : series[i].points) {
            end = std::isfinite(point.y) ? point.y : end;
        }
        return end;
    };
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const double end_a = end_of(a);
        const double end_b = end_of(b);
        return end_a > end_b || (end_a == end_b && a < b);
    });
    double y = f.top + 8;
    for (const std::size_t i : order) {
        const double x = f.right + 14;
        picture.path(number(x) + ',' + number(y) + ' ' + number(x + 24) + ',' + number(y),
                     style_of(i, series[i].emphasised));
        picture.dot(x + 12, y, colour_of(i));
        picture.label(x + 31, y + 4, "start", series[i].name);
        y += 19;
    }
}

}  // namespace

std::string render_svg(const std::vector<plot_series>& series, const plot_options& options) {
    if (options.width < 400) {
        throw std::invalid_argument("plot_options::width is " + std::to_string(options.width) +
                                    "; it must be at least 400");
    }
    if (options.height < 250) {
        throw std::invalid_argument("plot_options::height is " + std::to_string(options.height) +
                                    "; it must be at least 250");
    }
    const frame f = make_frame(series, options);
    svg picture(options.width, options.height);
    draw_axes(picture, f, options);
    draw_lines(picture, f, series);
    draw_legend(picture, f, series);
    return picture.finish();
}

}  // namespace levee::lab
