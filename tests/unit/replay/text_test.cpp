#include "replay/text.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace replay {
namespace {

using namespace std::chrono_literals;

TEST(text, separates_thousands) {
    EXPECT_EQ(as_count(0), "0");
    EXPECT_EQ(as_count(999), "999");
    EXPECT_EQ(as_count(1'234'567), "1,234,567");
}

TEST(text, writes_bytes_with_three_digits_in_the_unit_that_fits) {
    EXPECT_EQ(as_bytes(0), "0 B");
    EXPECT_EQ(as_bytes(1023), "1023 B");
    EXPECT_EQ(as_bytes(1024), "1.00 KiB");
    EXPECT_EQ(as_bytes(25'270'682), "24.1 MiB");
    EXPECT_EQ(as_bytes((1U << 20) - 1), "1.00 MiB");  // not 1,024 KiB
    EXPECT_EQ(as_bytes(std::uint64_t{5} << 40), "5.00 TiB");
    EXPECT_EQ(as_bytes(std::uint64_t{5000} << 40), "5,000 TiB");
}

TEST(text, writes_capacities_as_they_were_given) {
    EXPECT_EQ(as_capacity(1000), "1,000 B");
    EXPECT_EQ(as_capacity(128U << 20), "128 MiB");
    EXPECT_EQ(as_capacity(1536U << 10), "1,536 KiB");
    EXPECT_EQ(as_capacity(123'456'789), "118 MiB");
}

TEST(text, writes_shares_with_two_decimals) {
    EXPECT_EQ(as_percent(47'895, 100'000), "47.90 %");
    EXPECT_EQ(as_percent(3, 2), "150.00 %");
    EXPECT_EQ(as_percent(0, 0), "0.00 %");
}

TEST(text, writes_latencies_in_microseconds) {
    EXPECT_EQ(as_microseconds(std::nullopt), "-");
    EXPECT_EQ(as_microseconds(0ns), "0.00");
    EXPECT_EQ(as_microseconds(412ns), "0.41");
    EXPECT_EQ(as_microseconds(9996ns), "10.0");  // not 10.00
    EXPECT_EQ(as_microseconds(99'960ns), "100");
    EXPECT_EQ(as_microseconds(1'022'700ns), "1,023");
}

TEST(text, writes_spans_for_people_who_wait) {
    EXPECT_EQ(as_span(-1s), "0.0 s");
    EXPECT_EQ(as_span(420ms), "0.4 s");
    EXPECT_EQ(as_span(9960ms), "10 s");
    EXPECT_EQ(as_span(59'600ms), "1 min 0 s");
    EXPECT_EQ(as_span(200s), "3 min 20 s");
    EXPECT_EQ(as_span(65min), "1 h 5 min");
}

TEST(text, has_no_rate_without_time) {
    EXPECT_EQ(per_second(10, 0s), 0);
    EXPECT_EQ(per_second(10, 4s), 2.5);
}

TEST(text, says_one_of_one) {
    EXPECT_EQ(counted(1, "key"), "1 key");
    EXPECT_EQ(counted(2000, "key"), "2,000 keys");
    EXPECT_EQ(as_entries(1), "1 entry");
    EXPECT_EQ(as_entries(0), "0 entries");
}

TEST(text, pads_and_does_not_cut) {
    EXPECT_EQ(padded("ab", 4), "ab  ");
    EXPECT_EQ(padded("abcdef", 4), "abcdef");
}

}  // namespace
}  // namespace replay
