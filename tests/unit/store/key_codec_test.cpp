#include "levee/store/key_codec.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "levee/core/random.hpp"

namespace app {

struct user_id {
    std::uint32_t number;
    friend bool operator==(const user_id&, const user_id&) = default;
};

}  // namespace app

template <>
struct levee::key_codec<app::user_id> {
    static std::string encode(const app::user_id& key) { return "user:" + levee::key_text(key.number); }
    static std::optional<app::user_id> decode(std::string_view text) {
        if (!text.starts_with("user:")) {
            return std::nullopt;
        }
        const auto number = key_codec<std::uint32_t>::decode(text.substr(5));
        return number ? std::optional(app::user_id{*number}) : std::nullopt;
    }
};

namespace {

using levee::key_codec;
using levee::key_text;

enum class colour : std::int8_t { red = -1, green = 0, blue = 127 };
struct no_key {};

static_assert(levee::key_encodable<std::string> && levee::key_encodable<std::uint64_t> &&
              levee::key_encodable<colour> && levee::key_encodable<app::user_id>);
static_assert(!levee::key_encodable<double> && !levee::key_encodable<no_key> &&
              !levee::key_encodable<const char*>);

template <class K>
void expect_text(K key, std::string_view text) {
    EXPECT_EQ(key_text(key), text);
    EXPECT_EQ(key_codec<K>::decode(text), key) << text;
}

TEST(key_codecs, write_strings_as_they_are) {
    for (const std::string& key : {std::string(), std::string("user:7"), std::string("a\0\xFF{}", 5)}) {
        expect_text(key, key);
    }
}

TEST(key_codecs, write_integers_and_enumerations_as_decimals) {
    expect_text(0, "0");
    expect_text(-17, "-17");
    expect_text(std::numeric_limits<std::int64_t>::min(), "-9223372036854775808");
    expect_text(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
    expect_text<std::int8_t>(-128, "-128");
    expect_text('a', "97");
    expect_text(true, "1");
    expect_text(colour::red, "-1");
    expect_text(colour::blue, "127");
}

TEST(key_codecs, refuse_what_is_no_key_of_their_type) {
    for (const std::string_view text : {"", "-", "+1", " 1", "1 ", "01", "-0", "00", "-01", "1.0", "0x1", "a",
                                        "--1", "9223372036854775808", "99999999999999999999"}) {
        EXPECT_FALSE(key_codec<std::int64_t>::decode(text)) << text;
    }
    EXPECT_FALSE(key_codec<std::int64_t>::decode(std::string_view("1\0", 2)));
    EXPECT_FALSE(key_codec<std::uint64_t>::decode("-1"));
    EXPECT_FALSE(key_codec<std::int8_t>::decode("128"));
    EXPECT_FALSE(key_codec<std::uint16_t>::decode("65536"));
    EXPECT_FALSE(key_codec<bool>::decode("2"));
    EXPECT_FALSE(key_codec<colour>::decode("128"));
}

TEST(key_codecs, serve_types_of_the_user) {
    expect_text(app::user_id{42}, "user:42");
    EXPECT_FALSE(key_codec<app::user_id>::decode("user:042"));
    EXPECT_FALSE(key_codec<app::user_id>::decode("order:42"));
}

TEST(key_codecs, give_one_text_to_a_number_and_one_number_to_a_text) {
    levee::xoshiro256 random(7);
    constexpr std::string_view alphabet = "0123456789-+ ";
    int keys = 0;
    for (int i = 0; i < 100'000; ++i) {
        std::string text;
        for (auto length = levee::uniform_below(random, 5); length > 0; --length) {
            text += alphabet[levee::uniform_below(random, alphabet.size())];
        }
        if (const auto key = key_codec<std::int16_t>::decode(text)) {
            ++keys;
            EXPECT_EQ(key_text(*key), text);
        }
    }
    EXPECT_GT(keys, 10'000);
}

}  // namespace
