#include "levee/store/json_codec.hpp"

#include <gtest/gtest.h>

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/json/src.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/store/codec.hpp"

namespace app {

BOOST_DEFINE_ENUM_CLASS(colour, red, green)

struct part {
    std::string name;
    std::uint64_t number = 0;
    friend bool operator==(const part&, const part&) = default;
};
BOOST_DESCRIBE_STRUCT(part, (), (name, number))

struct product {
    std::string name;
    std::int64_t price = 0;
    bool is_new = false;
    colour paint = colour::red;
    std::vector<part> parts{};
    std::map<std::string, double> sizes{};
    friend bool operator==(const product&, const product&) = default;
};
BOOST_DESCRIBE_STRUCT(product, (), (name, price, is_new, paint, parts, sizes))

struct even {
    int value = 0;
};
even tag_invoke(boost::json::value_to_tag<even> /*to*/, const boost::json::value& from) {
    const even made{boost::json::value_to<int>(from)};
    return made.value % 2 == 0 ? made : throw std::runtime_error("odd");
}
void tag_invoke(boost::json::value_from_tag /*from*/, boost::json::value& to, const even& from) {
    to = from.value;
}

}  // namespace app

template <>
struct levee::codec<app::product> : levee::json_codec<app::product> {};
template <>
struct levee::codec<app::even> : levee::json_codec<app::even> {};

namespace {

using app::product;
using levee::bytes;

static_assert(levee::encodable<product>);

product example() {
    return {"a \"chair\"\n\xE6\xBC\xA2", std::numeric_limits<std::int64_t>::min(), true,
            app::colour::green,          {{"leg", UINT64_MAX}, {"", 0}},           {{"h", 0.5}}};
}

template <class T>
std::string encoded(const T& from) {
    bytes out;
    levee::codec<T>::encode(from, out);
    return std::string(levee::as_text(out));
}

template <class T>
std::optional<T> decoded(std::string_view text) {
    return levee::codec<T>::decode(levee::as_bytes(text));
}

TEST(json_codecs, give_back_what_they_wrote) {
    EXPECT_EQ(decoded<product>(encoded(example())), example());
    EXPECT_EQ(decoded<product>(encoded(product{})), product{});
}

TEST(json_codecs, write_json_with_the_described_names) {
    EXPECT_EQ(encoded(product{.name = "n", .price = 7}),
              R"({"name":"n","price":7,"is_new":false,"paint":"red","parts":[],"sizes":{}})");
}

TEST(json_codecs, refuse_what_is_cut_short_or_has_something_behind) {
    const std::string whole = encoded(example());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(decoded<product>(std::string_view(whole).substr(0, size))) << size;
    }
    EXPECT_FALSE(decoded<product>(whole + "x"));
    EXPECT_FALSE(decoded<product>(whole + whole));
}

TEST(json_codecs, refuse_other_versions_and_other_types) {
    const std::string right = R"({"name":"n","price":7,"is_new":false,"paint":"red","parts":[],"sizes":{}})";
    ASSERT_TRUE(decoded<product>(right));
    const auto with = [&](std::string_view what, std::string_view by) {
        std::string changed = right;
        changed.replace(changed.find(what), what.size(), by);
        return decoded<product>(changed).has_value();
    };
    EXPECT_FALSE(with(R"("name":"n",)", "")) << "a member less";
    EXPECT_FALSE(with(R"("name":"n",)", R"("name":"n","more":1,)")) << "a member more";
    EXPECT_FALSE(with(R"("name")", R"("label")"));
    EXPECT_FALSE(with("7", "7.5"));
    EXPECT_FALSE(with("7", "9223372036854775808"));
    EXPECT_FALSE(with("7", "\"7\""));
    EXPECT_FALSE(with("7", "null"));
    EXPECT_FALSE(with("red", "blue"));
    EXPECT_FALSE(with("[]", "{}"));
    EXPECT_FALSE(with("[]", R"([{"name":1,"number":1}])"));
    for (const std::string_view text : {"", "null", "[]", "{}", "1", "\"x\"", "\xFF\xFE", "{\"name\""}) {
        EXPECT_FALSE(decoded<product>(text)) << text;
    }
    EXPECT_FALSE(decoded<product>(std::string(100'000, '['))) << "deep";
}

TEST(json_codecs, take_what_a_users_conversion_throws_as_foreign) {
    EXPECT_EQ(decoded<app::even>(encoded(app::even{4}))->value, 4);
    EXPECT_FALSE(decoded<app::even>("5"));
    EXPECT_FALSE(decoded<app::even>("\"x\""));
}

TEST(json_codecs, meet_foreign_bytes_without_harm) {
    levee::xoshiro256 random(1);
    const std::string whole = encoded(example());
    int accepted = 0;
    for (int i = 0; i < 5'000; ++i) {
        std::string foreign = whole;
        for (std::uint64_t flips = 1 + levee::uniform_below(random, 3); flips > 0; --flips) {
            foreign[levee::uniform_below(random, foreign.size())] = static_cast<char>(random());
        }
        if (const auto back = decoded<product>(foreign)) {
            ++accepted;
            EXPECT_EQ(decoded<product>(encoded(*back)), back);
        }
    }
    EXPECT_GT(accepted, 10) << "a changed letter of a name is still a name";
    EXPECT_LT(accepted, 2'500);
}

}  // namespace
