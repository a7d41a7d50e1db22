/// What codecs write, and what they make of bytes that are not theirs.
#include "levee/store/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "levee/core/bytes.hpp"

namespace {

enum class colour : std::uint16_t { red = 1, blue = 0xabcd };

struct no_codec {};

/// A user's type: a count, its names with their lengths. Refuses what is cut short or has something behind.
struct shopping_list {
    std::vector<std::string> items;
    friend bool operator==(const shopping_list&, const shopping_list&) = default;
};

}  // namespace

template <>
struct levee::codec<shopping_list> {
    static void encode(const shopping_list& from, bytes& out) {
        codec<std::uint8_t>::encode(static_cast<std::uint8_t>(from.items.size()), out);
        for (const std::string& item : from.items) {
            codec<std::uint32_t>::encode(static_cast<std::uint32_t>(item.size()), out);
            codec<std::string>::encode(item, out);
        }
    }
    static std::optional<shopping_list> decode(bytes_view from) {
        const auto take = [&from]<class T>(T, std::size_t size) -> std::optional<T> {
            if (from.size() < size) {
                return std::nullopt;
            }
            const bytes_view part = from.first(size);
            from = from.subspan(size);
            return codec<T>::decode(part);
        };
        const auto count = take(std::uint8_t{}, 1);
        shopping_list list;
        for (unsigned i = 0; count && i < *count; ++i) {
            const auto length = take(std::uint32_t{}, 4);
            auto item = length ? take(std::string{}, *length) : std::nullopt;
            if (!item) {
                return std::nullopt;
            }
            list.items.push_back(std::move(*item));
        }
        return count && from.empty() ? std::optional(std::move(list)) : std::nullopt;
    }
};

namespace levee::tests {
namespace {

using namespace std::string_literals;

template <class T>
bytes encoded(const T& value) {
    bytes out;
    codec<T>::encode(value, out);
    return out;
}

template <class T>
std::optional<T> again(const T& value) {
    return codec<T>::decode(encoded(value));
}

bytes raw(std::initializer_list<int> values) {
    bytes out;
    for (const int value : values) {
        out.push_back(static_cast<std::byte>(value));
    }
    return out;
}

TEST(Codec, strings_are_stored_as_they_are) {
    for (const std::string& text : {""s, "a"s, "a\0b"s, "\xff\x80"s, "Grüße"s, std::string(100'000, 'x')}) {
        EXPECT_EQ(again(text), text);
    }
    EXPECT_EQ(encoded("ab"s), raw({'a', 'b'}));
}

TEST(Codec, bytes_are_stored_as_they_are) {
    for (const bytes& data : {bytes{}, raw({0}), raw({1, 0, 255})}) {
        EXPECT_EQ(again(data), data);
        EXPECT_EQ(encoded(data), data);
    }
}

TEST(Codec, encoding_appends) {
    bytes out = raw({9});
    codec<std::string>::encode("a", out);
    codec<bytes>::encode(raw({7}), out);
    codec<std::uint16_t>::encode(0x0102, out);
    codec<bool>::encode(true, out);
    EXPECT_EQ(out, raw({9, 'a', 7, 2, 1, 1}));
}

template <class T>
class CodecNumbers : public ::testing::Test {};
using numbers = ::testing::Types<char, signed char, unsigned char, short, unsigned, int, long,
                                 unsigned long long, char32_t, float, double>;
TYPED_TEST_SUITE(CodecNumbers, numbers);

TYPED_TEST(CodecNumbers, round_trip_at_their_extremes) {
    using limits = std::numeric_limits<TypeParam>;
    for (const TypeParam value :
         {limits::lowest(), limits::min(), TypeParam{}, TypeParam{1}, limits::max()}) {
        EXPECT_EQ(again(value), value);
        EXPECT_EQ(encoded(value).size(), sizeof(TypeParam));
    }
}

TYPED_TEST(CodecNumbers, another_length_is_foreign) {
    for (std::size_t size = 0; size <= 2 * sizeof(TypeParam); ++size) {
        EXPECT_EQ(codec<TypeParam>::decode(bytes(size)).has_value(), size == sizeof(TypeParam)) << size;
    }
}

TEST(Codec, numbers_are_little_endian) {
    EXPECT_EQ(encoded(std::uint32_t{0x01020304}), raw({4, 3, 2, 1}));
    EXPECT_EQ(encoded(std::int16_t{-2}), raw({0xfe, 0xff}));
    EXPECT_EQ(encoded(1.0), raw({0, 0, 0, 0, 0, 0, 0xf0, 0x3f}));
    EXPECT_EQ(codec<std::uint32_t>::decode(raw({4, 3, 2, 1})), 0x01020304U);
}

TEST(Codec, floating_point_keeps_infinity_nan_and_the_sign_of_zero) {
    EXPECT_EQ(again(std::numeric_limits<double>::infinity()), std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(again(std::nan("")).value()));
    EXPECT_TRUE(std::signbit(again(-0.0).value()));
}

TEST(Codec, numbers_are_decoded_from_any_address) {
    bytes shifted = raw({0});
    codec<std::uint64_t>::encode(0x0123456789abcdef, shifted);
    EXPECT_EQ(codec<std::uint64_t>::decode(bytes_view(shifted).subspan(1)), 0x0123456789abcdefU);
}

TEST(Codec, a_bool_is_0_or_1_and_any_other_byte_is_foreign) {
    EXPECT_EQ(encoded(false), raw({0}));
    EXPECT_EQ(encoded(true), raw({1}));
    EXPECT_EQ(codec<bool>::decode(raw({0})), false);
    EXPECT_EQ(codec<bool>::decode(raw({1})), true);
    for (int byte = 2; byte < 256; ++byte) {
        EXPECT_EQ(codec<bool>::decode(raw({byte})), std::nullopt) << byte;
    }
    EXPECT_EQ(codec<bool>::decode(raw({})), std::nullopt);
    EXPECT_EQ(codec<bool>::decode(raw({0, 1})), std::nullopt);
}

TEST(Codec, enumerations_are_stored_at_their_own_width) {
    EXPECT_EQ(encoded(colour::blue), raw({0xcd, 0xab}));
    EXPECT_EQ(again(colour::red), colour::red);
    EXPECT_EQ(codec<colour>::decode(raw({1})), std::nullopt);
    EXPECT_EQ(codec<colour>::decode(raw({1, 0, 0, 0})), std::nullopt);
}

TEST(Codec, a_users_type_round_trips_and_refuses_every_truncation) {
    const shopping_list list{{"milk", "", "nails\0"s}};
    EXPECT_EQ(again(list), list);
    EXPECT_EQ(again(shopping_list{}), shopping_list{});
    const bytes whole = encoded(list);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(codec<shopping_list>::decode(bytes_view(whole).first(size)), std::nullopt) << size;
    }
    bytes longer = whole;
    longer.push_back(std::byte{0});
    EXPECT_EQ(codec<shopping_list>::decode(longer), std::nullopt);
    EXPECT_EQ(codec<shopping_list>::decode(raw({1, 255, 255, 255, 255, 'x'})), std::nullopt)
        << "a length that lies";
}

TEST(Codec, encodable_knows_which_types_have_one) {
    static_assert(encodable<std::string> && encodable<bytes> && encodable<int> && encodable<bool>);
    static_assert(encodable<colour> && encodable<shopping_list>);
    static_assert(!encodable<no_codec> && !encodable<const char*> && !encodable<std::vector<int>>);
}

}  // namespace
}  // namespace levee::tests
