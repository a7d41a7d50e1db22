// Prometheus' own tool reads what the monitor writes.
#include "levee/monitor/percentile_monitor.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/json/src.hpp>  // the library itself: it is not linked
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace {

using namespace std::chrono_literals;

struct outcome {
    int code;
    std::string output;
};

outcome run(const std::string& command) {
    std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    std::string output;
    std::array<char, 4096> piece{};
    while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
        output.append(piece.data(), size);
    }
    return {::pclose(pipe), output};
}

void record_some(levee::percentile_monitor& monitor) {
    for (const auto* const name : {"db:get_user", "a \"quoted\"\\ name\nof two lines", "\xFF\xFE no text",
                                   "\xE6\xBC\xA2\xE5\xAD\x97", "", "{}=,#"}) {
        auto op = monitor.operation(name);
        for (int i = 1; i < 1000; ++i) {
            op.record(i * i * 1us);
        }
        op.record_failure(30s);
    }
    static_cast<void>(monitor.operation("never called"));
}

TEST(prometheus_page, is_accepted_without_a_word_by_promtool) {
    if (run("command -v promtool").code != 0) {
        ASSERT_EQ(std::getenv("CI"), nullptr) << "promtool is not installed";
        GTEST_SKIP() << "promtool (Debian package prometheus) is not installed";
    }
    const levee::tests::temp_dir folder;
    const auto file = folder.path() / "page";
    levee::percentile_monitor empty;
    levee::percentile_monitor used;
    record_some(used);
    for (const auto* const monitor : {&empty, &used}) {
        std::ofstream page(file, std::ios::binary);
        monitor->prometheus(page);
        page.close();
        const auto checked = run("promtool check metrics < '" + file.string() + "'");
        EXPECT_EQ(checked.code, 0) << checked.output;
        EXPECT_EQ(checked.output, "");
    }
    std::ofstream(file, std::ios::binary) << "# TYPE wrong histogram\nwrong{ 1\n";
    EXPECT_NE(run("promtool check metrics < '" + file.string() + "'").code, 0) << "it does check";
}

TEST(json_page, is_read_by_a_parser_with_all_names_and_numbers) {
    levee::percentile_monitor monitor;
    record_some(monitor);
    std::ostringstream text;
    monitor.json(text);
    const auto page = boost::json::parse(text.str()).as_object();
    const auto& operations = page.at("operations").as_array();
    ASSERT_EQ(operations.size(), 7u);
    EXPECT_EQ(operations[1].at("name").as_string(), "a \"quoted\"\\ name\nof two lines");
    EXPECT_EQ(operations[1].at("since_start").at("count").to_number<int>(), 999);
    EXPECT_EQ(operations[1].at("since_start").at("failed").at("max_ns").to_number<long>(), 30'000'000'000);
    EXPECT_EQ(operations[3].at("name").as_string(), "never called");
    EXPECT_TRUE(operations[3].at("last_minute").at("p50_ns").is_null());
    EXPECT_EQ(page.at("lost").to_number<int>(), 0);
}

}  // namespace
