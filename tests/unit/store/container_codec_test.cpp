#include "levee/store/container_codec.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/random.hpp"

namespace {

using levee::bytes;
using levee::bytes_view;
using levee::codec;

template <class T>
bytes encoded(const T& from) {
    bytes out;
    codec<T>::encode(from, out);
    return out;
}

template <class T>
void expect_round_trip(const T& value) {
    const bytes written = encoded(value);
    const auto back = codec<T>::decode(written);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, value);
}

using names = std::vector<std::string>;
using nested = std::map<std::string, std::vector<std::pair<std::optional<int>, names>>>;

static_assert(levee::encodable<nested>);
static_assert(!levee::encodable<std::vector<void*>>);

const nested& example() {
    static const nested made{{"", {}},
                             {"a", {{1, {"x", std::string(300, 'y')}}, {std::nullopt, {}}}},
                             {std::string("b\0", 2), {{-1, {""}}}}};
    return made;
}

TEST(container_codecs, give_back_what_they_wrote) {
    expect_round_trip(std::optional<int>());
    expect_round_trip(std::optional<int>(7));
    expect_round_trip(std::optional<std::string>(""));
    expect_round_trip(std::optional<std::optional<std::string>>(std::in_place));
    expect_round_trip(std::pair<std::string, std::string>("a", ""));
    expect_round_trip(std::pair<std::string, double>(std::string(1000, 'x'), 0.5));
    expect_round_trip(std::vector<double>{});
    expect_round_trip(std::vector<double>{0.0, -1.5, std::numeric_limits<double>::infinity()});
    expect_round_trip(std::vector<bool>{true, false, true});
    expect_round_trip(names{"", "a", std::string(200'000, 'z')});
    expect_round_trip(std::map<int, names>{{-1, {"x"}}, {2, {}}});
    expect_round_trip(example());
}

TEST(container_codecs, write_numbers_of_a_vector_without_lengths) {
    EXPECT_EQ(encoded(std::vector<std::uint16_t>{1, 2}).size(), 4u);
    EXPECT_EQ(encoded(names{"ab", "c"}).size(), 5u);
}

TEST(container_codecs, refuse_what_is_cut_short) {
    const bytes whole = encoded(example());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto cut = codec<nested>::decode(bytes_view(whole).first(size));
        // Between two keys a shorter map ends: no length says how many there are.
        EXPECT_TRUE(!cut || (cut->size() < example().size() && encoded(*cut).size() == size)) << size;
    }
    EXPECT_FALSE((codec<std::pair<std::string, int>>::decode({})));
    EXPECT_FALSE(codec<std::optional<int>>::decode({}));
    EXPECT_FALSE(codec<std::vector<int>>::decode(bytes(6)));
}

TEST(container_codecs, trust_no_lengths) {
    const auto raw = [](std::initializer_list<int> values) {
        bytes made;
        for (const int each : values) {
            made.push_back(static_cast<std::byte>(each));
        }
        return made;
    };
    EXPECT_TRUE(codec<names>::decode(raw({1, 'a'})));
    EXPECT_FALSE(codec<names>::decode(raw({2, 'a'}))) << "longer than what is there";
    EXPECT_FALSE(codec<names>::decode(raw({0x80})));
    EXPECT_FALSE(codec<names>::decode(raw({0x81, 0x00, 'a'}))) << "a length has one spelling";
    EXPECT_FALSE(codec<names>::decode(raw({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 'a'})))
        << "2^64 - 1";
    EXPECT_FALSE(
        codec<names>::decode(raw({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 'a'})));
    EXPECT_FALSE(codec<names>::decode(bytes(20, std::byte{0xFF})));
    EXPECT_FALSE(codec<std::optional<int>>::decode(raw({2, 0, 0, 0, 0})));
    EXPECT_FALSE(codec<std::optional<int>>::decode(raw({0, 0})));
    EXPECT_FALSE(codec<std::vector<bool>>::decode(raw({0, 2})));
}

TEST(container_codecs, refuse_maps_whose_keys_are_out_of_order_or_twice) {
    using map = std::map<std::string, std::string>;
    const auto in_order = [](const std::vector<std::string>& keys) {
        bytes made;
        for (const auto& key : keys) {
            levee::store_detail::append_part(key, made);
            levee::store_detail::append_part(std::string("v"), made);
        }
        return codec<map>::decode(made).has_value();
    };
    EXPECT_TRUE(in_order({"a", "b"}));
    EXPECT_FALSE(in_order({"b", "a"}));
    EXPECT_FALSE(in_order({"a", "a"}));
}

TEST(container_codecs, accept_of_foreign_bytes_only_what_they_would_have_written) {
    levee::xoshiro256 random(1);
    int accepted = 0;
    for (int i = 0; i < 50'000; ++i) {
        bytes foreign;
        if (i % 2 == 0) {
            foreign = encoded(example());
            for (std::uint64_t flips = 1 + levee::uniform_below(random, 3); flips > 0; --flips) {
                foreign[levee::uniform_below(random, foreign.size())] = static_cast<std::byte>(random());
            }
        } else {
            foreign.resize(levee::uniform_below(random, 12));
            for (auto& each : foreign) {
                each = static_cast<std::byte>(levee::uniform_below(random, 4));
            }
        }
        if (const auto decoded = codec<nested>::decode(foreign)) {
            ++accepted;
            EXPECT_EQ(encoded(*decoded), foreign);
        }
    }
    EXPECT_GT(accepted, 1'000);
}

}  // namespace
