#include <gtest/gtest.h>

#include <array>
#include <boost/uuid/string_generator.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/postgres/parameters.hpp"
#include "levee/postgres/row.hpp"
#include "refusal.hpp"

namespace {

using namespace levee::postgres;
using namespace std::chrono_literals;

/// What the server would send back for a parameter of ours, in the binary format.
template <class T>
T round_trip(const T& value) {
    const parameters sent = parameters::of(value);
    const type_oid type = sent.type(0) == type_oid::unspecified ? type_oid::text : sent.type(0);
    const field back(type, sent.is_binary(0), sent.is_null(0),
                     sent.is_null(0)
                         ? std::string_view()
                         : std::string_view(sent.data(0), static_cast<std::size_t>(sent.length(0))),
                     {.name = "x"});
    return back.as<T>();
}

template <class T>
T text_as(std::string_view text, type_oid type) {
    return field(type, false, false, text, {.name = "price", .column = 2, .row = 5}).as<T>();
}

enum class colour : std::int16_t { red = 1, green = 2 };

template <class T>
class EveryType : public testing::Test {};

using sys_micros = std::chrono::sys_time<std::chrono::microseconds>;
using local_micros = std::chrono::local_time<std::chrono::microseconds>;

template <class T>
std::vector<T> samples() {
    if constexpr (std::is_same_v<T, bool>) {
        return {true, false};
    } else if constexpr (std::is_enum_v<T>) {
        return {colour::red, colour::green};
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
        return {0, 7, 0x7fff'ffff'ffff'ffff};
    } else if constexpr (std::is_arithmetic_v<T>) {
        return {T(0), T(7), std::numeric_limits<T>::lowest(), (std::numeric_limits<T>::max)()};
    } else if constexpr (std::is_same_v<T, std::string>) {
        return {"", "a", "d'Ö \" \\ {},NULL", std::string(300, 'x')};
    } else if constexpr (std::is_same_v<T, levee::bytes>) {
        return {{}, {std::byte{0}, std::byte{255}, std::byte{'\\'}}};
    } else if constexpr (std::is_same_v<T, uuid>) {
        return {uuid{}, boost::uuids::string_generator()("0f8fad5b-d9cb-469f-a165-70867728950e")};
    } else if constexpr (std::is_same_v<T, sys_micros> || std::is_same_v<T, local_micros>) {
        return {T(0us),     T(-1us),    T(1'700'000'000'123'456us),
                (T::max)(), (T::min)(), T(-(4711LL * 365 + 1000) * 86'400'000'000us)};
    } else if constexpr (std::is_same_v<T, std::chrono::year_month_day>) {
        return {std::chrono::year(2024) / 2 / 29, std::chrono::year(1970) / 1 / 1,
                std::chrono::year(-43) / 3 / 15};
    } else if constexpr (std::is_same_v<T, std::chrono::microseconds>) {
        return {0us, -1us, 123'456'789'012us};
    } else {
        return {T{"{}"}, T{R"({"a": [1, "ä"]})"}};
    }
}

using every_type =
    testing::Types<bool, std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t,
                   std::uint32_t, std::uint64_t, float, double, colour, std::string, levee::bytes, uuid,
                   sys_micros, local_micros, std::chrono::year_month_day, std::chrono::microseconds, json>;
TYPED_TEST_SUITE(EveryType, every_type);

TYPED_TEST(EveryType, is_read_as_it_was_sent) {
    for (const TypeParam& each : samples<TypeParam>()) {
        if constexpr (std::is_same_v<TypeParam,
                                     json>) {  // alone it is sent as text; the server sends it back so
            EXPECT_EQ(round_trip(each).text, each.text);
        } else {
            EXPECT_EQ(round_trip(each), each);
        }
        EXPECT_EQ(round_trip(std::optional<TypeParam>(each)), std::optional<TypeParam>(each));
    }
    EXPECT_EQ(round_trip(std::optional<TypeParam>()), std::nullopt);
}

TYPED_TEST(EveryType, is_read_as_it_was_sent_in_an_array) {
    const auto all = samples<TypeParam>();
    EXPECT_EQ(round_trip(all), all);
    EXPECT_EQ(round_trip(std::vector<TypeParam>()), std::vector<TypeParam>());
    std::vector<std::optional<TypeParam>> some(all.begin(), all.end());
    some.emplace_back();
    EXPECT_EQ(round_trip(some), some);
}

TEST(Parameters, have_the_types_that_the_server_infers_statements_from) {
    const auto sent =
        parameters::of(std::int16_t{1}, 2, 3L, 4U, true, 1.5, 2.5F, "text", std::string("x"), levee::bytes{},
                       json{"{}"}, nullptr, std::nullopt, std::optional<int>(), std::vector<std::string>{});
    const std::vector<type_oid> expected{type_oid::int2,        type_oid::int4,        type_oid::int8,
                                         type_oid::int8,        type_oid::boolean,     type_oid::float8,
                                         type_oid::float4,      type_oid::unspecified, type_oid::unspecified,
                                         type_oid::bytea,       type_oid::jsonb,       type_oid::unspecified,
                                         type_oid::unspecified, type_oid::int4,        type_oid::text_array};
    ASSERT_EQ(sent.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(sent.type(i), expected[i]) << i;
    }
    EXPECT_FALSE(sent.is_binary(7));
    EXPECT_STREQ(sent.data(7), "text");
    EXPECT_EQ(sent.length(7), 4);
    EXPECT_TRUE(sent.is_null(11) && sent.is_null(13));
    EXPECT_EQ(sent.data(11), nullptr);
    EXPECT_FALSE(sent.is_null(9)) << "no bytes are not NULL";
    EXPECT_NE(sent.data(9), nullptr);
}

TEST(Parameters, are_copied_and_moved_with_their_values) {
    parameters one = parameters::of(1, "two");
    const parameters copy = one;
    const parameters moved = std::move(one);
    EXPECT_STREQ(copy.data(1), "two");
    EXPECT_STREQ(moved.data(1), "two");
}

TEST(Parameters, refuse_what_the_server_cannot_hold_and_stay_as_they_were) {
    parameters sent;
    sent.add(1);
    EXPECT_REFUSED(sent.add(std::string("a\0b", 3)), "parameter $2: text with a NUL at byte 1");
    EXPECT_REFUSED(sent.add(std::string("longer than a block\0", 20)), "NUL at byte 19");
    EXPECT_REFUSED(sent.add("abc\xff"), "parameter $2: text that is not UTF-8, from byte 3");
    EXPECT_REFUSED(sent.add("12345678\xc3"), "from byte 8");
    EXPECT_REFUSED(sent.add("\xed\xa0\x80"), "not UTF-8");  // a surrogate
    EXPECT_REFUSED(sent.add(json{"\xc0\x80"}), "not UTF-8");
    EXPECT_REFUSED(sent.add(std::vector<std::string>{"ok", std::string(1, '\0')}), "NUL");
    EXPECT_REFUSED(sent.add((std::numeric_limits<std::uint64_t>::max)()), "does not fit into int8");
    EXPECT_REFUSED(sent.add(sys_micros(sys_micros::duration::max() - 1us)), "outside 4713 BC to 294276");
    EXPECT_REFUSED(sent.add(std::chrono::year(2023) / 2 / 29), "not in the calendar");
    EXPECT_REFUSED(sent.add(std::chrono::hours::max()), "a duration beyond");
    EXPECT_EQ(sent.size(), 1U);
    sent.add("next");
    EXPECT_STREQ(sent.data(1), "next");
    EXPECT_EQ(sent.bytes_used(), 4U + 1U + 4U + 1U);
}

TEST(Parameters, are_beside_the_statement_and_not_in_it) {
    const std::string evil = "'; DROP TABLE users; --";
    EXPECT_EQ(parameters::of(evil).data(0), evil);
}

TEST(Fields, are_read_from_what_the_server_prints) {
    EXPECT_EQ(text_as<int>("-42", type_oid::int4), -42);
    EXPECT_EQ(text_as<std::int64_t>("12345678901234", type_oid::numeric), 12345678901234);
    EXPECT_EQ(text_as<int>("7.000", type_oid::numeric), 7);
    EXPECT_EQ(text_as<double>("0.1", type_oid::numeric), 0.1);
    EXPECT_EQ(text_as<double>("5", type_oid::int4), 5.0);
    EXPECT_EQ(text_as<double>("-Infinity", type_oid::float8), -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(text_as<float>("NaN", type_oid::float4)));
    EXPECT_TRUE(text_as<bool>("t", type_oid::boolean));
    EXPECT_FALSE(text_as<bool>("f", type_oid::boolean));
    EXPECT_EQ(text_as<std::string>("10.50", type_oid::numeric), "10.50");
    EXPECT_EQ(text_as<levee::bytes>("\\x00ff", type_oid::bytea),
              (levee::bytes{std::byte{0}, std::byte{255}}));
    EXPECT_EQ(text_as<json>("{\"a\":1}", type_oid::json).text, "{\"a\":1}");
    EXPECT_EQ(text_as<uuid>("0f8fad5b-d9cb-469f-a165-70867728950e", type_oid::uuid), samples<uuid>()[1]);
    using std::chrono::sys_days;
    using std::chrono::year;
    const auto leap_day = sys_days(year(2024) / 2 / 29);
    EXPECT_EQ(text_as<sys_micros>("2024-02-29 12:34:56.789+00", type_oid::timestamptz),
              leap_day + 12h + 34min + 56'789ms);
    EXPECT_EQ(text_as<sys_micros>("2024-02-29 12:34:56+05:30", type_oid::timestamptz),
              leap_day + 7h + 4min + 56s);
    EXPECT_EQ(text_as<sys_micros>("2024-02-28 22:00:00-02", type_oid::timestamptz), leap_day);
    EXPECT_EQ(text_as<sys_micros>("infinity", type_oid::timestamptz), (sys_micros::max)());
    EXPECT_EQ(text_as<std::chrono::sys_seconds>("1969-12-31 23:59:59.5+00", type_oid::timestamptz)
                  .time_since_epoch(),
              -1s)
        << "downwards";
    EXPECT_EQ(text_as<local_micros>("0044-03-15 12:00:00 BC", type_oid::timestamp).time_since_epoch(),
              (sys_days(year(-43) / 3 / 15) + 12h).time_since_epoch());
    EXPECT_EQ(text_as<std::chrono::year_month_day>("2024-02-29", type_oid::date), year(2024) / 2 / 29);
    EXPECT_EQ(text_as<std::chrono::milliseconds>("1 day -01:00:00.25", type_oid::interval), 23h - 250ms);
    EXPECT_EQ(text_as<std::chrono::seconds>("-3 days +00:00:01", type_oid::interval), -72h + 1s);
}

TEST(Fields, are_the_same_in_both_formats_at_the_bounds_of_their_types) {
    EXPECT_EQ(text_as<double>("0.1", type_oid::float4), double{0.1F});
    EXPECT_EQ(text_as<float>("1e-45", type_oid::float4), std::numeric_limits<float>::denorm_min());
    EXPECT_REFUSED(text_as<double>("1e39", type_oid::float4), "does not fit");
    using std::chrono::microseconds;
    EXPECT_EQ(text_as<microseconds>("2562047788:00:54.775806", type_oid::interval).count(),
              9'223'372'036'854'775'806);
    EXPECT_EQ(text_as<microseconds>("-2562047788:00:54.775807", type_oid::interval).count(),
              -9'223'372'036'854'775'807);
    EXPECT_REFUSED(text_as<microseconds>("2562047788:00:54.775808", type_oid::interval), "interval");
}

TEST(Fields, are_read_from_arrays_as_the_server_prints_them) {
    EXPECT_EQ(text_as<std::vector<int>>("{1,-2,3}", type_oid::int4_array), (std::vector<int>{1, -2, 3}));
    EXPECT_EQ(text_as<std::vector<int>>("{}", type_oid::int4_array), std::vector<int>());
    EXPECT_EQ(text_as<std::vector<int>>("[0:1]={5,6}", type_oid::int4_array), (std::vector<int>{5, 6}));
    using texts = std::vector<std::optional<std::string>>;
    EXPECT_EQ(text_as<texts>(R"({a,NULL,"NULL","","a \"b\" \\ {},"})", type_oid::text_array),
              (texts{"a", std::nullopt, "NULL", "", "a \"b\" \\ {},"}));
    EXPECT_EQ(text_as<std::vector<std::string>>("{red,green}", type_oid{16'400}),
              (std::vector<std::string>{"red", "green"}));
    EXPECT_REFUSED(text_as<std::vector<int>>("{{1},{2}}", type_oid::int4_array), "several dimensions");
    EXPECT_REFUSED(text_as<std::vector<int>>("{1,NULL}", type_oid::int4_array), "NULL");
    EXPECT_REFUSED(text_as<std::vector<int>>("1", type_oid::int4), "int4 is asked for as an array");
    for (const char* broken : {"", "{", "{1", "1}", "{1,}", "{\"a}", "{\"a\"b}"}) {
        EXPECT_REFUSED(text_as<std::vector<std::string>>(broken, type_oid::text_array), "array");
    }
}

TEST(Fields, refuse_other_types_nulls_and_what_does_not_fit) {
    EXPECT_REFUSED(text_as<std::int16_t>("40000", type_oid::int8),
                   "column 2 \"price\" of row 5: 40000 does not fit into 16 bits");
    EXPECT_REFUSED(text_as<std::uint32_t>("-1", type_oid::int4), "-1 does not fit into 32 bits without sign");
    EXPECT_REFUSED(text_as<std::int64_t>("99999999999999999999", type_oid::numeric),
                   "does not fit into 64 bits");
    EXPECT_REFUSED(text_as<int>("1.5", type_oid::numeric), "has a fraction");
    EXPECT_REFUSED(text_as<int>("NaN", type_oid::numeric), "does not fit");
    EXPECT_REFUSED(text_as<int>("1", type_oid::text), "text is asked for as an integer");
    EXPECT_REFUSED(text_as<int>("1.5", type_oid::float8), "float8 is asked for as an integer");
    EXPECT_REFUSED(text_as<bool>("1", type_oid::int4), "int4 is asked for as a bool");
    EXPECT_REFUSED(text_as<float>("1e300", type_oid::float8), "does not fit into a float");
    EXPECT_REFUSED(text_as<double>("9007199254740993", type_oid::int8), "a double without loss");
    EXPECT_REFUSED(text_as<levee::bytes>("abc", type_oid::text), "text is asked for as bytes");
    EXPECT_REFUSED(text_as<levee::bytes>("abc\\000", type_oid::bytea), "bytea_output");
    EXPECT_REFUSED(text_as<local_micros>("2024-02-29 12:34:56+00", type_oid::timestamptz),
                   "timestamptz is asked for as a local time");
    EXPECT_REFUSED(text_as<sys_micros>("29.02.2024 12:34:56 CET", type_oid::timestamptz),
                   "DateStyle must be ISO");
    EXPECT_REFUSED(text_as<std::chrono::sys_time<std::chrono::nanoseconds>>("2400-01-01 00:00:00+00",
                                                                            type_oid::timestamptz),
                   "does not fit");
    EXPECT_REFUSED(text_as<std::chrono::seconds>("1 mon", type_oid::interval), "months");
    EXPECT_REFUSED(text_as<std::chrono::year_month_day>("infinity", type_oid::date), "infinite");
    EXPECT_REFUSED(text_as<uuid>("0f8fad5b", type_oid::uuid), "no UUID");
    EXPECT_REFUSED(text_as<int>("", type_oid::int4), "what came is no int4");
    EXPECT_REFUSED(text_as<int>("1 ", type_oid::int4), "what came is no int4");
    EXPECT_REFUSED(field(type_oid::int4, false, true, {}, {}).as<int>(), "NULL");
    EXPECT_REFUSED(field(type_oid::int4, true, false, "ab", {}).as<int>(), "what came is no int4: 2 bytes");
    EXPECT_REFUSED(field(type_oid::numeric, true, false, "ab", {}).as<std::string>(), "cast it to text");
}

TEST(Fields, in_the_binary_format_print_as_the_server_does) {
    const auto printed = [](const auto& value) {
        const parameters sent = parameters::of(value);
        return field(sent.type(0), sent.is_binary(0), false,
                     std::string_view(sent.data(0), static_cast<std::size_t>(sent.length(0))), {})
            .template as<std::string>();
    };
    EXPECT_EQ(printed(-7), "-7");
    EXPECT_EQ(printed(0.1), "0.1");
    EXPECT_EQ(printed(100'000.0), "100000");
    EXPECT_EQ(printed(-123'456'789'012'345.0), "-123456789012345");
    EXPECT_EQ(printed(1e14), "100000000000000");
    EXPECT_EQ(printed(1e15), "1e+15");
    EXPECT_EQ(printed(0.0001), "0.0001");
    EXPECT_EQ(printed(0.00001), "1e-05");
    EXPECT_EQ(printed(-0.0), "-0");
    EXPECT_EQ(printed(123'456.0F), "123456");
    EXPECT_EQ(printed(100'000.0F), "100000");
    EXPECT_EQ(printed(1'000'000.0F), "1e+06");
    EXPECT_EQ(printed(true), "t");
    EXPECT_EQ(printed(levee::bytes{std::byte{10}}), "\\x0a");
    EXPECT_EQ(printed(samples<uuid>()[1]), "0f8fad5b-d9cb-469f-a165-70867728950e");
    EXPECT_EQ(printed(sys_micros(1'700'000'000'120'000us)), "2023-11-14 22:13:20.12+00");
    EXPECT_EQ(printed(local_micros(-1us)), "1969-12-31 23:59:59.999999");
    EXPECT_EQ(printed(std::chrono::year(-43) / 3 / 15), "0044-03-15 BC");
}

struct money {
    std::int64_t cents = 0;
    friend bool operator==(const money&, const money&) = default;
};

}  // namespace

template <>
struct levee::postgres::value_traits<money> {
    static std::int64_t to(const money& from) { return from.cents; }
    static money from(std::int64_t stored) {
        if (stored < 0) {
            throw levee::error(levee::errc::invalid_data, "debts are no money");
        }
        return {stored};
    }
};

namespace {

TEST(Fields, may_be_of_types_of_the_user) {
    EXPECT_EQ(parameters::of(money{5}).type(0), type_oid::int8);
    EXPECT_EQ(round_trip(money{5}), money{5});
    EXPECT_EQ(round_trip(std::vector<money>{{5}, {6}}), (std::vector<money>{{5}, {6}}));
    EXPECT_REFUSED(text_as<money>("-1", type_oid::int8), "debts");
}

}  // namespace
