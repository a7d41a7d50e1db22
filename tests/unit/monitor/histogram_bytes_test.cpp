#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

namespace {

using levee::histogram;

histogram drawn(std::uint64_t seed, int values) {
    levee::xoshiro256 random(seed);
    histogram made;
    for (int i = 0; i < values; ++i) {
        made.record(random() >> uniform_below(random, 64), 1 + uniform_below(random, 1000));
    }
    return made;
}

std::string refusal(const levee::bytes& data) {
    try {
        static_cast<void>(histogram::deserialise(data));
        return "accepted";
    } catch (const levee::error& refused) {
        EXPECT_EQ(refused.code(), levee::errc::invalid_data);
        return refused.what();
    }
}

TEST(histogram_bytes, give_the_same_histogram_back) {
    for (const int values : {0, 1, 2, 10, 1000, 20'000}) {
        const histogram made = drawn(static_cast<std::uint64_t>(values), values);
        EXPECT_EQ(histogram::deserialise(made.serialise()), made) << values;
    }
    histogram extremes;
    extremes.record(0, std::numeric_limits<std::uint64_t>::max() - 1);
    extremes.record(std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(histogram::deserialise(extremes.serialise()), extremes);
    histogram difference = drawn(7, 1000);
    histogram later = difference;
    later += drawn(8, 10);
    later -= difference;
    EXPECT_EQ(histogram::deserialise(later.serialise()), later);
}

TEST(histogram_bytes, are_the_same_on_all_machines_and_in_later_versions) {
    histogram made;
    made.record(5, 2);
    made.record(300);
    const levee::bytes expected{std::byte{'L'},  std::byte{'H'},  std::byte{1},    std::byte{7},
                                std::byte{2},    std::byte{5},    std::byte{0xAC}, std::byte{2},
                                std::byte{0xB6}, std::byte{2},    std::byte{0},    std::byte{5},
                                std::byte{2},    std::byte{0x90}, std::byte{2},    std::byte{1}};
    EXPECT_EQ(made.serialise(), expected);
    EXPECT_EQ(histogram::deserialise(expected), made);
}

TEST(histogram_bytes, refuse_other_data_and_say_why) {
    EXPECT_NE(refusal({}).find("no histogram"), std::string::npos);
    EXPECT_NE(refusal(levee::bytes(100, std::byte{'x'})).find("no histogram"), std::string::npos);
    levee::bytes data = drawn(1, 100).serialise();
    data[2] = std::byte{2};
    EXPECT_NE(refusal(data).find("version 2"), std::string::npos);
    data = drawn(1, 100).serialise();
    data.push_back(std::byte{0});
    EXPECT_NE(refusal(data).find("1 bytes follow"), std::string::npos);
}

TEST(histogram_bytes, refuse_long_numbers_wrapped_counts_and_sums_that_do_not_fit) {
    const auto with = [](std::initializer_list<int> rest) {
        levee::bytes data{std::byte{'L'}, std::byte{'H'}, std::byte{1}, std::byte{7}};
        for (const int byte : rest) {
            data.push_back(static_cast<std::byte>(byte));
        }
        return data;
    };
    EXPECT_EQ(histogram::deserialise(with({1, 1, 1, 1, 0, 1, 1})).count(), 1u);
    EXPECT_NE(refusal(with({0x81, 0, 1, 1, 1, 0, 1, 1})).find("longer"), std::string::npos);
    EXPECT_NE(refusal(with({1, 1, 1, 9, 0, 1, 1})).find("sum"), std::string::npos);
    EXPECT_NE(refusal(with({1, 0, 1, 1, 0, 1, 1})).find("least"), std::string::npos);
    const int half = 0x80;  // nine times, then 1: 2^63
    EXPECT_NE(refusal(with({2,    1, 2, 0,    1,    1,    half, half, half, half, half, half, half, half,
                            half, 1, 0, half, half, half, half, half, half, half, half, half, 1})),
              "accepted");
}

TEST(histogram_bytes, cut_anywhere_are_refused) {
    const levee::bytes whole = drawn(3, 50).serialise();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const levee::bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_NE(refusal(cut), "accepted") << size;
    }
}

TEST(histogram_bytes, spoilt_anywhere_are_refused_or_are_another_sound_histogram) {
    levee::xoshiro256 random(9);
    const levee::bytes whole = drawn(4, 200).serialise();
    for (int round = 0; round < 20'000; ++round) {
        levee::bytes spoilt = whole;
        for (auto changes = 1 + uniform_below(random, 3); changes > 0; --changes) {
            spoilt[uniform_below(random, spoilt.size())] = static_cast<std::byte>(random());
        }
        try {
            const histogram made = histogram::deserialise(spoilt);
            std::uint64_t counted = 0;
            made.for_each_bucket([&](auto, auto, auto count) { counted += count; });
            ASSERT_EQ(counted, made.count());
            if (made.count() > 0) {
                ASSERT_LE((made.min)().value(), made.value_at_percentile(50).value());
                ASSERT_LE(made.value_at_percentile(50).value(), (made.max)().value());
                ASSERT_LE(made.mean().value(), static_cast<double>((made.max)().value()));
            }
        } catch (const levee::error& refused) {
            ASSERT_EQ(refused.code(), levee::errc::invalid_data);
        }
    }
}

TEST(histogram_bytes, are_few) {
    EXPECT_EQ(histogram().serialise().size(), 5u);
    const histogram made = drawn(5, 10'000);
    std::size_t used = 0;
    made.for_each_bucket([&](auto, auto, auto) { ++used; });
    EXPECT_LE(made.serialise().size(), 64 + used * 4);
}

}  // namespace
