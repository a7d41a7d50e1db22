#include "hit_ratio/miss_ratio_curve.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "hit_ratio/policies.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/synthetic.hpp"

namespace levee::lab {
namespace {

std::string complaint(const trace& input, const curve_options& options) {
    try {
        (void)miss_ratio_curve(input, options);
    } catch (const std::invalid_argument& problem) {
        return problem.what();
    }
    return "accepted";
}

TEST(miss_ratio_curve, counts_hits_by_capacity_then_policy) {
    const trace input{.keys = {0, 1, 0, 2, 0, 1}, .sizes = {}, .names = {"a", "b", "c"}};
    const auto points = miss_ratio_curve(input, {.policies = {"lru", "fifo"}, .capacities = {2, 3}});
    ASSERT_EQ(points.size(), 4U);
    EXPECT_EQ(points[0].policy, "lru");
    EXPECT_EQ(points[0].capacity, 2U);
    EXPECT_EQ(points[0].hits, 2U);
    EXPECT_EQ(points[1].policy, "fifo");
    EXPECT_EQ(points[1].hits, 1U);
    EXPECT_EQ(points[3].capacity, 3U);
    EXPECT_EQ(points[3].hits, 3U);
    EXPECT_EQ(points[3].misses(), 3U);
    EXPECT_DOUBLE_EQ(points[3].hit_ratio(), 0.5);
}

TEST(miss_ratio_curve, is_the_same_with_any_number_of_threads) {
    const trace input = make_synthetic_trace({.requests = 20'000, .popular_keys = 2000});
    curve_options options{.capacities = {10, 100, 1000}};
    for (const auto& info : known_policies()) {
        if (info.name != "levee") {  // seeds its hashes anew each time
            options.policies.emplace_back(info.name);
        }
    }
    options.threads = 1;
    const auto alone = miss_ratio_curve(input, options);
    for (const unsigned threads : {2U, 8U, 100U}) {
        options.threads = threads;
        const auto together = miss_ratio_curve(input, options);
        ASSERT_EQ(together.size(), alone.size());
        for (std::size_t i = 0; i < alone.size(); ++i) {
            EXPECT_EQ(together[i].hits, alone[i].hits) << alone[i].policy << ' ' << alone[i].capacity;
            EXPECT_EQ(together[i].hits, count_hits(input, alone[i].policy, alone[i].capacity));
        }
    }
}

TEST(miss_ratio_curve, bounds_by_bytes) {
    const trace input{.keys = {0, 1, 0, 2, 1}, .sizes = {6, 4, 6, 5, 4}, .names = {"a", "b", "c"}};
    const auto points =
        miss_ratio_curve(input, {.policies = {"fifo"}, .capacities = {10, 15}, .by_size = true});
    EXPECT_EQ(points[0].hits, 2U);  // c pushes a out, b stays
    EXPECT_EQ(points[1].hits, 2U);
    EXPECT_EQ(count_hits(input, "fifo", 9, true), 0U);
}

TEST(miss_ratio_curve, refuses_options_out_of_range_before_it_begins) {
    const trace input{.keys = {0}, .sizes = {}, .names = {"a"}};
    EXPECT_NE(complaint(input, {.capacities = {1}}).find("curve_options::policies is empty"),
              std::string::npos);
    EXPECT_NE(complaint(input, {.policies = {"lru"}}).find("curve_options::capacities is empty"),
              std::string::npos);
    EXPECT_NE(complaint(input, {.policies = {"lru"}, .capacities = {1}, .threads = 0}).find("threads is 0"),
              std::string::npos);
    EXPECT_NE(complaint(input, {.policies = {"lru"}, .capacities = {1, 0}}).find("capacity is 0"),
              std::string::npos);
    EXPECT_NE(complaint(input, {.policies = {"lru", "mru"}, .capacities = {1}}).find("'mru'"),
              std::string::npos);
    EXPECT_NE(
        complaint(input, {.policies = {"lru"}, .capacities = {1}, .by_size = true}).find("without sizes"),
        std::string::npos);
}

const std::vector<curve_point> some_points{{"fifo", 512, 1000, 208},
                                           {"w-tinylfu-1", 512, 1000, 1000},
                                           {"fifo", 1024, 1000, 7},
                                           {"w-tinylfu-1", 1024, 1000, 0}};

TEST(report, prints_an_aligned_table_of_hit_ratios) {
    std::ostringstream out;
    print_curve(out, some_points, false);
    EXPECT_EQ(out.str(),
              "entries   fifo  w-tinylfu-1\n"
              "    512  20.80       100.00\n"
              "  1,024   0.70         0.00\n");
}

TEST(report, prints_sizes_in_binary_units) {
    std::ostringstream out;
    print_curve(out, std::vector<curve_point>{{"lru", 128 << 20, 4, 1}}, true);
    EXPECT_EQ(out.str(),
              "  bytes    lru\n"
              "128 MiB  25.00\n");
    EXPECT_EQ(as_size(1ULL << 30), "1 GiB");
    EXPECT_EQ(as_size(3 << 10), "3 KiB");
    EXPECT_EQ(as_size(1500), "1,500 B");
    EXPECT_EQ(as_size(0), "0 B");
}

TEST(report, prints_rows_of_different_lengths) {
    std::ostringstream out;
    print_table(out, std::vector<std::vector<std::string>>{{"a", "bb"}, {}, {"ccc", "d", "e"}});
    EXPECT_EQ(out.str(), "  a  bb\n\nccc   d  e\n");
}

TEST(report, writes_csv_and_quotes_what_must_be) {
    std::ostringstream out;
    write_csv(out, "a \"b\", c", std::vector<curve_point>{some_points[0]}, false);
    EXPECT_EQ(out.str(),
              "trace,unit,capacity,policy,requests,hits,hit_percent\n"
              "\"a \"\"b\"\", c\",entries,512,fifo,1000,208,20.80\n");
}

TEST(report, rounds_per_cent_to_the_nearest_hundredth) {
    EXPECT_EQ(as_percent(47'895, 100'000), "47.90");
    EXPECT_EQ(as_percent(1, 3), "33.33");
    EXPECT_EQ(as_percent(0, 0), "0.00");
}

TEST(report, separates_thousands) {
    EXPECT_EQ(with_separators(0), "0");
    EXPECT_EQ(with_separators(999), "999");
    EXPECT_EQ(with_separators(1000), "1,000");
    EXPECT_EQ(with_separators(1234567), "1,234,567");
}

}  // namespace
}  // namespace levee::lab
