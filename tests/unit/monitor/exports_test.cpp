#include "levee/monitor/percentile_monitor.hpp"
#include "monitor/utf8.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::percentile_monitor;
using levee::prometheus_options;

struct percentile_monitor_exports : testing::Test {
    levee::test::manual_clock_stub clock;
    percentile_monitor monitor{{.clock = &clock}};

    std::string prometheus(const prometheus_options& options = {}) {
        std::ostringstream text;
        monitor.prometheus(text, options);
        return text.str();
    }
    std::string json() {
        std::ostringstream text;
        monitor.json(text);
        return text.str();
    }
    std::string table(levee::window of = levee::window::since_start) {
        std::ostringstream text;
        monitor.table(text, of);
        return text.str();
    }
};

void expect_line(const std::string& text, const std::string& line) {
    EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\nis not in\n" << text;
}

TEST_F(percentile_monitor_exports, prometheus_has_cumulative_buckets_sum_and_count_by_outcome) {
    auto op = monitor.operation("db:get_user");
    op.record(1ms);
    op.record(2ms);
    op.record(40s);
    op.record_failure(3ms);
    const std::string page = prometheus({.buckets = {100us, 1ms, 2ms, 30s}});
    const std::string name = "levee_operation_duration_seconds";
    expect_line(page, "# TYPE " + name + " histogram");
    const std::string success = "{operation=\"db:get_user\",outcome=\"success\"";
    expect_line(page, name + "_bucket" + success + ",le=\"0.0001\"} 0");
    expect_line(page, name + "_bucket" + success + ",le=\"0.001\"} 1");
    expect_line(page, name + "_bucket" + success + ",le=\"0.002\"} 2");
    expect_line(page, name + "_bucket" + success + ",le=\"30\"} 2");
    expect_line(page, name + "_bucket" + success + ",le=\"+Inf\"} 3");
    expect_line(page, name + "_sum" + success + "} 40.003");
    expect_line(page, name + "_count" + success + "} 3");
    expect_line(page, name + "_count{operation=\"db:get_user\",outcome=\"failure\"} 1");
    expect_line(page, "levee_monitor_lost_values_total 0");
}

TEST_F(percentile_monitor_exports, prometheus_quantiles_are_of_the_last_minute) {
    monitor.record("op", 5s);
    for (int second = 0; second < 61; ++second) {
        clock.advance(1s);
        monitor.tick();
    }
    const std::string line =
        "levee_operation_recent_duration_seconds{operation=\"op\",outcome=\"success\",quantile=\"0.5\"} ";
    expect_line(prometheus({.quantiles = {0.5}}), line + "NaN");
    monitor.record("op", 256ns);
    const std::string page = prometheus({.quantiles = {0.5}});
    expect_line(page, line + "2.56e-07");
    expect_line(page,
                "levee_operation_recent_duration_seconds_count{operation=\"op\",outcome=\"success\"} 2");
}

TEST_F(percentile_monitor_exports, prometheus_escapes_names_and_replaces_what_is_no_text) {
    monitor.record("a\"b\\c\nd\xFF\xC3\xA9", 1ms);
    EXPECT_NE(prometheus().find("{operation=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD"
                                "FF\xC3\xA9\",outcome="),
              std::string::npos);
}

TEST_F(percentile_monitor_exports, prometheus_leaves_out_what_is_not_asked_for) {
    const std::string empty = prometheus();
    EXPECT_EQ(empty.find("_operation_"), std::string::npos) << "no operations, no metrics";
    monitor.record("op", 1ms);
    EXPECT_EQ(prometheus({.buckets = {}}).find("_bucket"), std::string::npos);
    EXPECT_EQ(prometheus({.quantiles = {}}).find("quantile="), std::string::npos);
    EXPECT_NE(prometheus({.prefix = "my_app"}).find("\nmy_app_operation_duration_seconds_bucket{"),
              std::string::npos);
}

TEST_F(percentile_monitor_exports, prometheus_refuses_wrong_options_and_says_why) {
    const auto refusal = [&](const prometheus_options& options) -> std::string {
        try {
            static_cast<void>(prometheus(options));
        } catch (const std::invalid_argument& refused) {
            return refused.what();
        }
        return "accepted";
    };
    EXPECT_EQ(
        refusal({.prefix = "9"}),
        "prometheus_options::prefix is \"9\"; it must be letters, digits, '_' and ':', and not begin with a "
        "digit");
    EXPECT_NE(refusal({.prefix = ""}), "accepted");
    EXPECT_NE(refusal({.prefix = "a b"}), "accepted");
    EXPECT_EQ(
        refusal({.buckets = {1ms, 1ms}}),
        "prometheus_options::buckets has 1000000 ns after 1000000 ns; bounds must be above zero and rise");
    EXPECT_NE(refusal({.buckets = {0ms}}), "accepted");
    EXPECT_NE(refusal({.buckets = {levee::duration::max() - 1ns, levee::duration::max()}}), "accepted")
        << "two buckets of one name";
    EXPECT_EQ(refusal({.quantiles = {0.5, 0.5}}),
              "prometheus_options::quantiles has 0.5 after 0.5; they must be in (0, 1) and rise");
    EXPECT_NE(refusal({.quantiles = {1.0}}), "accepted");
    EXPECT_NE(refusal({.quantiles = {std::numeric_limits<double>::quiet_NaN()}}), "accepted");
}

TEST_F(percentile_monitor_exports, json_has_numbers_null_for_what_is_not_there_and_escaped_names) {
    monitor.record("a\"\n\xFF", 1ms);
    clock.advance(2s);
    const std::string text = json();
    EXPECT_NE(text.find(R"({"name":"a\"\u000a)"
                        "\xEF\xBF\xBD"
                        "FF\""),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("since_start":{"count":1,"min_ns":1000000,"max_ns":1000000,"mean_ns":1000000,)"
                        R"("p50_ns":1000000)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("failures":0,"error_rate":0,"rate":0.5,"span_ns":2000000000,"failed":{"count":0,)"
                        R"("min_ns":null)"),
              std::string::npos)
        << text;
}

TEST_F(percentile_monitor_exports, table_has_a_line_for_each_operation_that_was_called_then) {
    monitor.record("db:get_user", 1'234us);
    monitor.record("web", 999'700us);
    monitor.operation("web").record_failure(1us);
    static_cast<void>(monitor.operation("unused"));
    clock.advance(2s);
    EXPECT_EQ(table(),
              "operation    calls  a second   failed      p50      p95      p99    p99.9      max\n"
              "db:get_user      1      0.50   0.00 %  1.23 ms  1.23 ms  1.23 ms  1.23 ms  1.23 ms\n"
              "web              2         1  50.00 %   1.00 s   1.00 s   1.00 s   1.00 s   1.00 s\n");
    for (int second = 0; second < 11; ++second) {
        clock.advance(1s);
        monitor.tick();
    }
    monitor.record("web", 5ms);
    const std::string recent = table(levee::window::last_10s);
    EXPECT_EQ(recent.find("db:get_user"), std::string::npos);
    EXPECT_NE(recent.find("\nweb"), std::string::npos);
}

TEST_F(percentile_monitor_exports, table_keeps_to_its_width_whatever_the_names) {
    monitor.record(std::string(300, 'x'), levee::duration::max());
    monitor.record("tab\tand\nline and \xC3\xA9t\xC3\xA9", 1ns);
    for (int i = 0; i < 1'000'000; ++i) {
        monitor.record("many", 123456789ns);
    }
    clock.advance(1ms);
    std::istringstream lines(table());
    std::string line;
    std::size_t count = 0;
    while (std::getline(lines, line)) {
        std::size_t width = 0;
        levee::monitor_detail::for_each_character(line, [&width](std::string_view) { ++width; });
        EXPECT_LE(width, 100u) << line;
        ++count;
    }
    EXPECT_EQ(count, 4u);
}

TEST(utf8, replaces_each_byte_that_belongs_to_no_character) {
    const auto cleaned = [](std::string_view text) {
        std::string made;
        levee::monitor_detail::for_each_character(text, [&made](std::string_view c) { made += c; });
        return made;
    };
    const auto wrong = [](const char* byte) { return "\xEF\xBF\xBD" + std::string(byte); };
    for (const std::string right :
         {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
        EXPECT_EQ(cleaned(right), right);
    }
    EXPECT_EQ(cleaned("\x80"), wrong("80"));
    EXPECT_EQ(cleaned("\xC0\xAF"), wrong("C0") + wrong("AF")) << "longer than needed";
    EXPECT_EQ(cleaned("\xE0\x80\xAF"), wrong("E0") + wrong("80") + wrong("AF"));
    EXPECT_EQ(cleaned("\xED\xA0\x80"), wrong("ED") + wrong("A0") + wrong("80")) << "a surrogate";
    EXPECT_EQ(cleaned("\xF4\x90\x80\x80"), wrong("F4") + wrong("90") + wrong("80") + wrong("80"))
        << "beyond U+10FFFF";
    EXPECT_EQ(cleaned("a\xE2\x82"), "a" + wrong("E2") + wrong("82")) << "cut short";
    EXPECT_EQ(cleaned("\xC3"
                      "a"),
              wrong("C3") + "a");
    EXPECT_NE(cleaned("\xFF"), cleaned("\xFE")) << "different names stay different";
}

}  // namespace
