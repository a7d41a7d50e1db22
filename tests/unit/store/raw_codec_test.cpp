#include "levee/store/raw_codec.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/store/codec.hpp"

namespace app {

struct position {
    double x = 0, y = 0;
    std::int32_t floor = 0;
    std::int32_t unused = 0;
    friend bool operator==(const position&, const position&) = default;
};

}  // namespace app

template <>
struct levee::codec<app::position> : levee::raw_codec<app::position, 3> {};

namespace {

using app::position;
using levee::bytes;
using coded = levee::codec<position>;

static_assert(levee::encodable<position>);

bytes encoded(const position& from) {
    bytes out;
    coded::encode(from, out);
    return out;
}

TEST(raw_codecs, give_back_what_they_wrote_behind_its_version) {
    const position here{1.5, -2.0, 7};
    const bytes written = encoded(here);
    EXPECT_EQ(written.size(), 1 + sizeof(position));
    EXPECT_EQ(written.front(), std::byte{3});
    EXPECT_EQ(coded::decode(written), here);
    bytes appended{std::byte{9}};
    coded::encode(here, appended);
    EXPECT_EQ(appended.size(), 1 + written.size()) << "behind what is there";
}

TEST(raw_codecs, refuse_other_versions_and_sizes) {
    bytes other = encoded({1, 2, 3});
    other.front() = std::byte{4};
    EXPECT_FALSE(coded::decode(other));
    other = encoded({1, 2, 3});
    EXPECT_FALSE(coded::decode(levee::bytes_view(other).first(other.size() - 1)));
    other.push_back(std::byte{0});
    EXPECT_FALSE(coded::decode(other));
    EXPECT_FALSE(coded::decode({}));
}

TEST(raw_codecs, meet_foreign_bytes_without_harm) {
    levee::xoshiro256 random(1);
    int decoded = 0;
    for (int i = 0; i < 20'000; ++i) {
        bytes foreign(levee::uniform_below(random, 40));
        for (auto& each : foreign) {
            each = static_cast<std::byte>(levee::uniform_below(random, 5));
        }
        const bool is_ours = foreign.size() == 1 + sizeof(position) && foreign.front() == std::byte{3};
        EXPECT_EQ(coded::decode(foreign).has_value(), is_ours);
        decoded += is_ours ? 1 : 0;
    }
    EXPECT_GT(decoded, 10);
}

}  // namespace
