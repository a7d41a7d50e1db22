/// The laboratory's policies on real traces, against published and independently simulated figures.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/trace_reader.hpp"

namespace levee::lab {
namespace {

std::filesystem::path trace_folder() {
    const char* folder = std::getenv("LEVEE_TRACES");
    return folder != nullptr ? folder : LEVEE_LAB_DEFAULT_TRACES;
}

std::filesystem::path trace_path(std::string_view name) {
    return trace_folder() / (std::string(name) + ".txt.gz");
}

constexpr std::array<std::string_view, 9> policies{"fifo", "lru",         "clock",        "sieve", "s3-fifo",
                                                   "arc",  "w-tinylfu-1", "w-tinylfu-20", "opt"};

struct golden_row {
    std::string_view trace;
    std::uint64_t entries;
    std::array<std::string_view, policies.size()> hit_percent;
};

void PrintTo(const golden_row& row, std::ostream* out) {
    *out << row.trace << " @ " << row.entries;
}

// Hit ratio in %, all to the digit but for the S3-FIFO of four rows, see below.
constexpr golden_row rows[] = {
    {"lirs_loop", 512, {"0.00", "0.00", "0.00", "0.00", "0.00", "0.00", "42.79", "35.27", "50.54"}},
    {"lirs_loop", 1000, {"0.00", "0.00", "0.00", "0.00", "89.45", "0.00", "90.53", "77.15", "98.71"}},
    {"lirs_gli", 512, {"0.96", "0.98", "1.16", "1.41", "16.48", "1.41", "34.40", "27.95", "35.06"}},
    {"lirs_gli", 1024, {"11.14", "11.21", "11.31", "31.34", "35.41", "21.31", "51.12", "46.20", "53.53"}},
    {"lirs_multi1", 1000, {"44.79", "48.23", "48.58", "49.74", "57.82", "49.75", "68.31", "65.07", "71.40"}},
    {"lirs_multi2", 1000, {"38.77", "47.80", "48.02", "50.71", "49.80", "50.75", "56.06", "55.49", "62.16"}},
    {"lirs_multi3", 1000, {"32.97", "37.70", "37.78", "39.16", "45.37", "44.41", "51.28", "48.70", "56.28"}},
    {"lirs_sprite", 200, {"40.20", "39.88", "40.81", "42.42", "46.71", "42.63", "49.70", "48.92", "68.86"}},
    {"lirs_sprite", 1000, {"87.24", "90.64", "90.30", "86.97", "89.35", "89.84", "84.89", "87.97", "93.24"}},
    {"lirs_2_pools", 100, {"19.38", "21.95", "23.87", "47.90", "44.67", "46.88", "47.90", "41.47", "50.64"}},
    {"lirs_cpp", 50, {"10.71", "9.26", "10.19", "44.30", "45.74", "33.28", "57.18", "51.13", "62.76"}},
    {"arc_OLTP", 512, {"20.83", "23.69", "24.34", "20.89", "32.95", "30.91", "29.43", "34.55", "46.67"}},
    {"arc_OLTP", 1000, {"28.53", "32.83", "33.27", "32.56", "40.84", "39.06", "35.94", "41.26", "53.61"}},
    {"arc_OLTP", 2000, {"37.44", "42.47", "43.03", "41.19", "47.01", "46.17", "42.42", "46.97", "60.40"}},
    {"arc_OLTP", 8192, {"55.22", "58.86", "59.06", "58.14", "60.75", "59.70", "57.90", "60.27", "71.72"}},
    {"corda_vaultservice",
     512,
     {"33.33", "33.33", "33.33", "0.38", "33.33", "33.30", "0.56", "33.33", "33.33"}},
    {"cache2k_web07",
     1000,
     {"47.69", "50.41", "50.99", "53.25", "54.11", "53.08", "52.72", "53.58", "63.58"}},
    {"libcachesim_cloudPhysicsIO_vscsi",
     5000,
     {"19.58", "19.62", "19.68", "21.14", "25.02", "22.92", "20.30", "19.65", "37.38"}},
    {"libcachesim_cloudPhysicsIO_vscsi",
     20000,
     {"36.57", "36.72", "36.64", "43.42", "38.16", "43.43", "46.64", "44.46", "54.47"}},
    {"scarab_recs", 16384, {"51.10", "54.62", "55.07", "56.09", "58.13", "57.34", "56.50", "57.04", "71.21"}},
};

// The paper of S3-FIFO leaves corner cases open, and the golden figures decide one of them in another way:
// four rows differ by up to 0.28 points. The other sixteen agree to the digit.
double tolerance(const golden_row& row, std::string_view policy) {
    const bool open = policy == "s3-fifo" && ((row.trace == "lirs_loop" && row.entries == 1000) ||
                                              (row.trace == "lirs_sprite" && row.entries == 1000) ||
                                              row.trace == "lirs_2_pools" || row.trace == "lirs_cpp");
    return open ? 0.30 : 0.0;
}

class golden_hit_ratio : public testing::TestWithParam<golden_row> {};

TEST_P(golden_hit_ratio, is_reproduced) {
    const golden_row& row = GetParam();
    if (!std::filesystem::exists(trace_path(row.trace))) {
        GTEST_SKIP() << "no trace " << trace_path(row.trace)
                     << "; LEVEE_TRACES names the folder of the traces";
    }
    const trace input = read_trace(trace_path(row.trace).string());
    const auto points = miss_ratio_curve(
        input, {.policies = {policies.begin(), policies.end()}, .capacities = {row.entries}});
    for (std::size_t i = 0; i < policies.size(); ++i) {
        const double allowed = tolerance(row, policies[i]);
        if (allowed == 0.0) {
            EXPECT_EQ(as_percent(points[i].hits, points[i].requests), row.hit_percent[i]) << policies[i];
        } else {
            EXPECT_NEAR(100 * points[i].hit_ratio(), std::stod(std::string(row.hit_percent[i])), allowed)
                << policies[i];
        }
    }
}

std::string case_name(const testing::TestParamInfo<golden_row>& info) {
    return std::string(info.param.trace) + "_at_" + std::to_string(info.param.entries);
}

INSTANTIATE_TEST_SUITE_P(traces, golden_hit_ratio, testing::ValuesIn(rows), case_name);

// Misses at 128 MiB, 256 MiB, ... 1 GiB, as libCacheSim's tests have them for all four. Their trace gives
// every request the size of its key's first one.
TEST(golden_hit_ratio, is_reproduced_by_bytes) {
    constexpr std::string_view name = "libcachesim_cloudPhysicsIO_vscsi";
    if (!std::filesystem::exists(trace_path(name))) {
        GTEST_SKIP() << "no trace " << trace_path(name) << "; LEVEE_TRACES names the folder of the traces";
    }
    trace input = read_trace(trace_path(name).string());
    fix_sizes(input);
    struct golden_misses {
        std::string policy;
        std::array<std::uint64_t, 8> misses;
    };
    const golden_misses all[] = {
        {"fifo", {93403, 89386, 84387, 84025, 72498, 72228, 72182, 72140}},
        {"lru", {93374, 89783, 83572, 81722, 72494, 72104, 71972, 71704}},
        {"clock", {93313, 89775, 83411, 81328, 74815, 72283, 71927, 64456}},
        {"sieve", {91699, 86720, 78578, 76707, 69945, 66221, 64445, 64376}},
    };
    curve_options options{.by_size = true};
    for (std::uint64_t i = 1; i <= 8; ++i) {
        options.capacities.push_back(i * (128ULL << 20));
    }
    for (const auto& [policy, misses] : all) {
        options.policies = {policy};
        const auto points = miss_ratio_curve(input, options);
        for (std::size_t i = 0; i < misses.size(); ++i) {
            EXPECT_EQ(points[i].misses(), misses[i]) << policy << " at " << as_size(points[i].capacity);
        }
    }
}

// What traces/README.md says of the files themselves.
TEST(golden_trace, has_the_stated_requests_keys_and_sizes) {
    struct stated {
        std::string_view trace;
        std::size_t requests, distinct;
        bool has_sizes;
    };
    constexpr stated files[] = {{"arc_OLTP", 914'145, 186'880, false},
                                {"arc_P3", 3'912'296, 762'543, false},
                                {"corda_vaultservice", 135'702, 90'468, false},
                                {"libcachesim_cloudPhysicsIO_vscsi", 113'872, 48'974, true},
                                {"adaptsize_request", 66'987, 36'815, true},
                                {"lirs_loop", 505'500, 1'011, false}};
    for (const auto& file : files) {
        if (!std::filesystem::exists(trace_path(file.trace))) {
            GTEST_SKIP() << "no trace " << trace_path(file.trace)
                         << "; LEVEE_TRACES names the folder of the traces";
        }
        const trace input = read_trace(trace_path(file.trace).string());
        EXPECT_EQ(input.requests(), file.requests) << file.trace;
        EXPECT_EQ(input.distinct(), file.distinct) << file.trace;
        EXPECT_EQ(input.has_sizes(), file.has_sizes) << file.trace;
    }
}

}  // namespace
}  // namespace levee::lab
