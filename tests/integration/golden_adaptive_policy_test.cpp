/// The cache's policy on real traces: how far from the best fixed policy of each, at most.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/trace_reader.hpp"

namespace levee::lab {
namespace {

std::filesystem::path path_of(std::string_view trace) {
    const char* folder = std::getenv("LEVEE_TRACES");
    return std::filesystem::path(folder != nullptr ? folder : LEVEE_LAB_DEFAULT_TRACES) /
           (std::string(trace) + ".txt.gz");
}

const std::vector<std::string> fixed_policies{"fifo",    "lru", "clock",       "sieve",
                                              "s3-fifo", "arc", "w-tinylfu-1", "w-tinylfu-20"};

struct traced {
    std::string_view trace;
    std::vector<std::uint64_t> entries;
    double behind;  ///< The policy is at most so many points of hit ratio below the best.
};

void PrintTo(const traced& row, std::ostream* out) {
    *out << row.trace;
}

class golden_adaptive_policy : public testing::TestWithParam<traced> {};

TEST_P(golden_adaptive_policy, is_never_far_from_the_best_fixed_one) {
    const traced& row = GetParam();
    if (!std::filesystem::exists(path_of(row.trace))) {
        GTEST_SKIP() << "no trace " << path_of(row.trace) << "; LEVEE_TRACES names the folder of the traces";
    }
    const trace input = read_trace(path_of(row.trace).string());
    curve_options options{.policies = fixed_policies, .capacities = row.entries};
    options.policies.emplace_back("adaptive");
    const auto points = miss_ratio_curve(input, options);
    for (std::size_t at = 0; at < points.size(); at += options.policies.size()) {
        double best = 0;
        for (std::size_t i = 0; i < fixed_policies.size(); ++i) {
            best = std::max(best, 100 * points[at + i].hit_ratio());
        }
        const double ours = 100 * points[at + fixed_policies.size()].hit_ratio();
        EXPECT_GE(ours, best - row.behind) << points[at].capacity << " entries";
        RecordProperty("behind_at_" + std::to_string(points[at].capacity), std::to_string(best - ours));
    }
}

std::string name_of_trace(const testing::TestParamInfo<traced>& row) {
    return std::string(row.param.trace);
}

INSTANTIATE_TEST_SUITE_P(
    traces, golden_adaptive_policy,
    testing::Values(traced{"adaptsize_request", {402, 4024}, 1.0},
                    traced{"arc_OLTP", {512, 1000, 1869, 2000, 8192, 18688}, 1.0},
                    traced{"cache2k_web07", {1000, 2048}, 1.0},
                    traced{"corda_vaultservice", {512, 905, 9047}, 1.0},
                    traced{"libcachesim_cloudPhysicsIO_vscsi", {566, 5000, 5663, 20000}, 1.0},
                    traced{"lirs_2_pools", {100, 994}, 1.0}, traced{"lirs_loop", {512, 1000}, 1.0},
                    traced{"lirs_sprite", {200, 708, 1000}, 1.5},
                    traced{"scarab_recs", {258, 2584, 16384, 25837}, 1.0},
                    // A few thousand requests: over before the workload is known.
                    traced{"lirs_gli", {512, 1024}, 3.0}, traced{"lirs_multi1", {261, 1000}, 2.5},
                    traced{"lirs_multi2", {568, 1000}, 1.5}, traced{"lirs_multi3", {745, 1000}, 2.0}),
    name_of_trace);

// Shards, slots that wait for readers, and another seed each time are all that differ.
TEST(golden_local_cache, hits_what_its_policy_alone_hits) {
    const std::vector<traced> rows{{"arc_OLTP", {1000, 2000, 8192}, 1.0},
                                   {"lirs_loop", {512, 1000}, 1.0},
                                   {"lirs_2_pools", {994}, 1.0},
                                   {"scarab_recs", {2584}, 1.0}};
    for (const traced& row : rows) {
        if (!std::filesystem::exists(path_of(row.trace))) {
            GTEST_SKIP() << "no trace " << path_of(row.trace);
        }
        const trace input = read_trace(path_of(row.trace).string());
        const auto points =
            miss_ratio_curve(input, {.policies = {"adaptive", "levee"}, .capacities = row.entries});
        for (std::size_t at = 0; at < points.size(); at += 2) {
            EXPECT_NEAR(100 * points[at].hit_ratio(), 100 * points[at + 1].hit_ratio(), row.behind)
                << row.trace << " at " << points[at].capacity;
        }
    }
}

}  // namespace
}  // namespace levee::lab
