#include "hit_ratio/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace levee::lab {
namespace {

// How often each key was asked for, the most popular first.
std::vector<std::size_t> counts(const trace& t, std::size_t from, std::size_t to) {
    std::vector<std::size_t> result(t.distinct());
    for (std::size_t i = from; i < to; ++i) {
        ++result[t.keys[i]];
    }
    std::ranges::sort(result, std::greater<>());
    return result;
}

std::uint32_t favourite(const trace& t, std::size_t from, std::size_t to) {
    std::vector<std::size_t> result(t.distinct());
    for (std::size_t i = from; i < to; ++i) {
        ++result[t.keys[i]];
    }
    return static_cast<std::uint32_t>(std::ranges::max_element(result) - result.begin());
}

std::size_t scans(const trace& t) {
    return static_cast<std::size_t>(
        std::ranges::count_if(t.keys, [&](auto id) { return t.names[id].starts_with("scan:"); }));
}

TEST(synthetic, repeats_with_the_same_seed_and_differs_with_another) {
    const synthetic_options options{.requests = 5000, .seed = 7};
    const trace one = make_synthetic_trace(options);
    const trace same = make_synthetic_trace(options);
    EXPECT_EQ(one.keys, same.keys);
    EXPECT_EQ(one.names, same.names);
    EXPECT_NE(one.keys, make_synthetic_trace({.requests = 5000, .seed = 8}).keys);
}

TEST(synthetic, makes_as_many_requests_as_asked_with_ids_in_order_of_appearance) {
    const trace t = make_synthetic_trace({.requests = 20'001});
    EXPECT_EQ(t.requests(), 20'001U);
    std::uint32_t next = 0;
    for (const auto id : t.keys) {
        ASSERT_LE(id, next);
        next += id == next ? 1 : 0;
    }
    EXPECT_EQ(next, t.distinct());
}

TEST(synthetic, follows_zipf) {
    const trace t = make_synthetic_trace(
        {.requests = 200'000, .popular_keys = 1000, .skew = 1.0, .drift = 0, .scan_share = 0});
    const auto c = counts(t, 0, t.requests());
    const double harmonic = 7.485;  // of 1000
    EXPECT_NEAR(static_cast<double>(c[0]), 200'000 / harmonic, 1000);
    EXPECT_NEAR(static_cast<double>(c[9]), 200'000 / harmonic / 10, 250);
    EXPECT_NEAR(static_cast<double>(c[99]), 200'000 / harmonic / 100, 80);
}

TEST(synthetic, is_even_without_skew) {
    const trace t = make_synthetic_trace(
        {.requests = 100'000, .popular_keys = 10, .skew = 0, .drift = 0, .scan_share = 0});
    const auto c = counts(t, 0, t.requests());
    EXPECT_LT(c.front() - c.back(), 700U);
}

TEST(synthetic, drifts) {
    synthetic_options options{.requests = 100'000, .popular_keys = 1000, .drift = 0, .scan_share = 0};
    const trace still = make_synthetic_trace(options);
    EXPECT_EQ(favourite(still, 0, 20'000), favourite(still, 80'000, 100'000));
    options.drift = 0.02;
    const trace drifting = make_synthetic_trace(options);
    EXPECT_NE(favourite(drifting, 0, 20'000), favourite(drifting, 80'000, 100'000));
}

TEST(synthetic, scans_keys_once_in_their_share_of_the_requests) {
    const trace t = make_synthetic_trace({.requests = 400'000, .scan_share = 0.2, .scan_length = 100});
    EXPECT_NEAR(static_cast<double>(scans(t)) / 400'000, 0.2, 0.02);
    std::vector<int> seen(t.distinct());
    for (const auto id : t.keys) {
        ++seen[id];
    }
    for (std::size_t id = 0; id < seen.size(); ++id) {
        ASSERT_TRUE(seen[id] == 1 || t.names[id].starts_with("key:"));
    }
    EXPECT_EQ(scans(make_synthetic_trace({.requests = 20'000, .scan_share = 0})), 0U);
}

TEST(synthetic, gives_each_key_one_size) {
    const trace t = make_synthetic_trace({.requests = 20'000, .with_sizes = true});
    ASSERT_EQ(t.sizes.size(), t.requests());
    trace fixed = t;
    fix_sizes(fixed);
    EXPECT_EQ(fixed.sizes, t.sizes);
    const auto [least, most] = std::ranges::minmax(t.sizes);
    EXPECT_GE(least, 100U);
    EXPECT_LE(most, 1U << 20);
    EXPECT_GT(most, 100'000U);
}

TEST(synthetic, names_the_option_that_is_out_of_range) {
    const auto complaint = [](const synthetic_options& options) -> std::string {
        try {
            (void)make_synthetic_trace(options);
        } catch (const std::invalid_argument& problem) {
            return problem.what();
        }
        return "accepted";
    };
    EXPECT_EQ(complaint({.requests = 0}), "synthetic_options::requests is 0; it must be in [1, 2^32)");
    EXPECT_EQ(complaint({.popular_keys = 0}),
              "synthetic_options::popular_keys is 0; it must be in [1, 2^24]");
    EXPECT_NE(complaint({.skew = -0.1}).find("::skew is -0.1"), std::string::npos);
    EXPECT_NE(complaint({.skew = std::numeric_limits<double>::quiet_NaN()}).find("::skew is nan"),
              std::string::npos);
    EXPECT_NE(complaint({.drift = 1.5}).find("::drift is 1.5"), std::string::npos);
    EXPECT_NE(complaint({.scan_share = 1}).find("::scan_share is 1.0"), std::string::npos);
    EXPECT_NE(complaint({.scan_length = 0}).find("::scan_length is 0"), std::string::npos);
}

}  // namespace
}  // namespace levee::lab
