#include "hit_ratio/plot.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/axis.hpp"

namespace levee::lab {
namespace {

std::size_t occurrences(const std::string& text, std::string_view of) {
    std::size_t count = 0;
    for (std::size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) {
        ++count;
    }
    return count;
}

std::vector<std::string> labels(const axis& a) {
    std::vector<std::string> result;
    result.reserve(a.ticks.size());
    for (const auto& tick : a.ticks) {
        result.push_back(tick.label);
    }
    return result;
}

using strings = std::vector<std::string>;

TEST(linear_axis, ends_at_round_ticks_and_begins_at_zero) {
    EXPECT_EQ(labels(linear_axis(12, 71)), (strings{"0", "10", "20", "30", "40", "50", "60", "70", "80"}));
    EXPECT_EQ(labels(linear_axis(0, 0.3)), (strings{"0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3"}));
}

TEST(linear_axis, leaves_zero_out_when_all_values_are_high) {
    EXPECT_EQ(labels(linear_axis(91, 98)), (strings{"91", "92", "93", "94", "95", "96", "97", "98"}));
}

TEST(linear_axis, gives_one_value_some_room) {
    const axis a = linear_axis(50, 50);
    EXPECT_LT(a.low, 50);
    EXPECT_GT(a.high, 50);
    const axis zero = linear_axis(0, 0);
    EXPECT_EQ(zero.low, 0);
    EXPECT_GT(zero.high, 0);
}

TEST(logarithmic_axis, has_ticks_at_round_numbers) {
    EXPECT_EQ(labels(logarithmic_axis(100, 20'000, false)),
              (strings{"100", "200", "500", "1k", "2k", "5k", "10k", "20k"}));
    EXPECT_EQ(labels(logarithmic_axis(10, 3e6, false)), (strings{"10", "100", "1k", "10k", "100k", "1M"}));
    EXPECT_EQ(labels(logarithmic_axis(128 << 20, 2048.0 * (1 << 20), true)),
              (strings{"128 Mi", "256 Mi", "512 Mi", "1 Gi", "2 Gi"}));
}

TEST(logarithmic_axis, always_has_a_few_ticks_inside) {
    for (const auto& [low, high] :
         {std::pair{1.0, 1.0}, {512.0, 1000.0}, {700.0, 720.0}, {1.0, 1e12}, {3.0, 5.0}, {1013.0, 1017.0}}) {
        for (const bool in_bytes : {false, true}) {
            const axis a = logarithmic_axis(low, high, in_bytes);
            EXPECT_GE(a.ticks.size(), 2U) << low << ' ' << high;
            EXPECT_LE(a.ticks.size(), 10U) << low << ' ' << high;
            for (const auto& tick : a.ticks) {
                EXPECT_GE(tick.value, a.low * 0.99);
                EXPECT_LE(tick.value, a.high * 1.01);
            }
        }
    }
}

TEST(plot, draws_a_line_and_a_legend_for_each_series) {
    const std::string svg =
        render_svg({{"lru", {{512, 76.3}, {1000, 67.2}}}, {"opt", {{512, 53.3}, {1000, 46.4}}}},
                   {.title = "T", .x_label = "X", .y_label = "Y"});
    EXPECT_TRUE(svg.starts_with("<svg "));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
    EXPECT_EQ(occurrences(svg, "<polyline "), 4U);
    EXPECT_EQ(occurrences(svg, "<circle "), 6U);
    for (const char* text : {">T<", ">X<", ">Y<", ">lru<", ">opt<", "width=\"800\"", "height=\"500\""}) {
        EXPECT_NE(svg.find(text), std::string::npos) << text;
    }
    EXPECT_LT(svg.find(">lru<"), svg.find(">opt<"));  // as they end on the right
}

TEST(plot, places_points_on_a_logarithmic_axis) {
    // The frame is 586 wide from 64 and 400 high from 44; 100 is in the middle of 10 and 1,000.
    const std::string svg = render_svg({{"s", {{10, 0}, {100, 50}, {1000, 100}}}}, {});
    EXPECT_NE(svg.find("points=\"64.0,444.0 357.0,244.0 650.0,44.0\""), std::string::npos);
}

TEST(plot, escapes_text) {
    const std::string svg = render_svg({{"a<b>&\"c\"", {{1, 1}}}}, {.title = "<&>"});
    EXPECT_NE(svg.find(">a&lt;b&gt;&amp;&quot;c&quot;<"), std::string::npos);
    EXPECT_NE(svg.find(">&lt;&amp;&gt;<"), std::string::npos);
}

TEST(plot, leaves_out_what_is_not_finite) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string svg = render_svg({{"a", {{1, 5}, {2, nan}, {3, 6}}}, {"b", {{1, nan}}}}, {});
    EXPECT_EQ(occurrences(svg, "<circle "), 4U);  // two points and two of the legend
    EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(plot, tells_twelve_series_apart) {
    std::vector<plot_series> series;
    series.reserve(12);
    for (int i = 0; i < 12; ++i) {
        series.push_back({"s" + std::to_string(i), {{1, double(i)}, {2, double(i)}}});
    }
    const std::string svg = render_svg(series, {});
    EXPECT_EQ(occurrences(svg, "stroke-dasharray"), 4U);  // two lines and their legend
}

TEST(plot, refuses_what_it_cannot_draw) {
    EXPECT_THROW((void)render_svg({}, {}), std::invalid_argument);
    EXPECT_THROW((void)render_svg({{"a", {}}}, {}), std::invalid_argument);
    EXPECT_THROW((void)render_svg({{"a", {{0, 1}}}}, {}), std::invalid_argument);
    EXPECT_THROW((void)render_svg({{"a", {{1, 1}}}}, {.width = 399}), std::invalid_argument);
    EXPECT_THROW((void)render_svg({{"a", {{1, 1}}}}, {.height = 249}), std::invalid_argument);
}

}  // namespace
}  // namespace levee::lab
