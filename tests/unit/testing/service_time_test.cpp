#include "levee/testing/service_time.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "levee/core/random.hpp"

namespace levee::testing {
namespace {

using namespace std::chrono_literals;

struct moments {
    double mean, median, p99;
};

moments of(const service_time& time) {
    splitmix64 random(7);
    std::vector<double> drawn;
    double sum = 0.0;
    for (int i = 0; i < 200'000; ++i) {
        const duration value = time.draw(random);
        EXPECT_GE(value, 0ns);
        drawn.push_back(static_cast<double>(value.count()) * 1e-6);
        sum += drawn.back();
    }
    std::sort(drawn.begin(), drawn.end());
    return {sum / 200'000.0, drawn[100'000], drawn[198'000]};
}

TEST(a_service_time, has_the_moments_of_its_distribution) {
    EXPECT_EQ(of(service_time::constant(3ms)).p99, 3.0);
    const moments uniform = of(service_time::uniform(1ms, 3ms));
    EXPECT_NEAR(uniform.mean, 2.0, 0.01);
    EXPECT_NEAR(uniform.p99, 2.98, 0.01);
    const moments exponential = of(service_time::exponential(2ms));
    EXPECT_NEAR(exponential.mean, 2.0, 0.03);
    EXPECT_NEAR(exponential.p99, 2.0 * std::log(100.0), 0.2);
    const moments log_normal = of(service_time::log_normal(2ms, 0.5));
    EXPECT_NEAR(log_normal.mean, 2.0 * std::exp(0.125), 0.03);
    EXPECT_NEAR(log_normal.median, 2.0, 0.03);
    EXPECT_NEAR(log_normal.p99, 2.0 * std::exp(0.5 * 2.3263), 0.15);
    const moments bimodal = of(service_time::bimodal(1ms, 50ms, 0.02));
    EXPECT_NEAR(bimodal.mean, 0.98 + 1.0, 0.06);
    EXPECT_EQ(bimodal.median, 1.0);
    EXPECT_EQ(bimodal.p99, 50.0);
    const moments measured = of(service_time::measured({1ms, 1ms, 7ms, 3ms}));
    EXPECT_NEAR(measured.mean, 3.0, 0.03);
}

TEST(a_service_time, knows_its_mean) {
    for (const service_time& each :
         {service_time(), service_time::constant(3ms), service_time::uniform(1ms, 3ms),
          service_time::exponential(2ms), service_time::log_normal(2ms, 1.0),
          service_time::bimodal(1ms, 50ms, 0.02), service_time::measured({1ms, 8ms})}) {
        const double mean = static_cast<double>(each.mean().count()) * 1e-6;
        EXPECT_NEAR(of(each).mean, mean, 0.03 * mean);
    }
}

TEST(a_service_time, refuses_arguments_out_of_range) {
    EXPECT_THROW(static_cast<void>(service_time::constant(-1ns)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(service_time::uniform(2ms, 1ms)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(service_time::exponential(0ns)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(service_time::log_normal(1ms, std::nan(""))), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(service_time::bimodal(1ms, 2ms, 1.5)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(service_time::measured({})), std::invalid_argument);
}

}  // namespace
}  // namespace levee::testing
