#include "replay/metrics_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace replay {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct folder {
    folder() {
        std::string name = (fs::temp_directory_path() / "levee-metrics-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~folder() { fs::remove_all(path); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& file : fs::directory_iterator(path)) {
            all.push_back(file.path().filename());
        }
        return all;
    }
    fs::path path;
};

std::string rest_of(std::istream& file) {
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(a_metrics_file, holds_the_monitors_page) {
    const folder in;
    levee::percentile_monitor monitor;
    metrics_file metrics(in.path / "x.prom", monitor);
    monitor.record("1,000 entries: hit", 3us);
    metrics.write();
    std::ifstream file(in.path / "x.prom");
    const std::string page = rest_of(file);
    EXPECT_NE(page.find("replay_operation_duration_seconds_count{operation=\"1,000 entries: hit\""),
              std::string::npos)
        << page;
    EXPECT_EQ(in.names(), std::vector<std::string>{"x.prom"});
}

TEST(a_metrics_file, leaves_a_reader_with_the_page_that_it_opened) {
    const folder in;
    levee::percentile_monitor monitor;
    metrics_file metrics(in.path / "x.prom", monitor);
    monitor.record("before", 3us);
    metrics.write();
    std::ifstream former(in.path / "x.prom");
    const int first = former.get();  // it has begun to read
    monitor.record("after", 3us);
    metrics.write();
    const std::string page = static_cast<char>(first) + rest_of(former);
    EXPECT_NE(page.find("\"before\""), std::string::npos);
    EXPECT_EQ(page.find("\"after\""), std::string::npos);
    std::ifstream later(in.path / "x.prom");
    EXPECT_NE(rest_of(later).find("\"after\""), std::string::npos);
}

TEST(a_metrics_file, is_written_by_the_first_update) {
    const folder in;
    levee::percentile_monitor monitor;
    metrics_file metrics(in.path / "x.prom", monitor);
    metrics.update();
    EXPECT_TRUE(fs::exists(in.path / "x.prom"));
}

TEST(a_metrics_file, says_which_one_cannot_be_written_and_leaves_nothing) {
    const folder in;
    fs::create_directory(in.path / "x.prom");  // cannot be replaced by a file
    levee::percentile_monitor monitor;
    metrics_file metrics(in.path / "x.prom", monitor);
    try {
        metrics.write();
        ADD_FAILURE() << "it was written";
    } catch (const std::system_error& problem) {
        EXPECT_NE(std::string(problem.what()).find("x.prom"), std::string::npos);
        EXPECT_EQ(problem.code(), std::errc::is_a_directory);
    }
    EXPECT_EQ(in.names(), std::vector<std::string>{"x.prom"});
    metrics_file nowhere(in.path / "absent" / "x.prom", monitor);
    EXPECT_THROW(nowhere.write(), std::system_error);
}

TEST(a_metrics_file, is_none_without_a_path) {
    levee::percentile_monitor monitor;
    metrics_file metrics({}, monitor);
    EXPECT_NO_THROW(metrics.write());
    EXPECT_NO_THROW(metrics.update());
}

}  // namespace
}  // namespace replay
