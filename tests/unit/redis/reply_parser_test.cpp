#include "redis/reply_parser.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

std::string wire_of(const reply& one) {
    switch (one.kind()) {
        case reply_kind::nil:
            return "$-1\r\n";
        case reply_kind::string:
            return '$' + std::to_string(one.text().size()) + "\r\n" + one.text() + "\r\n";
        case reply_kind::status:
            return '+' + one.text() + "\r\n";
        case reply_kind::error:
            return '-' + one.text() + "\r\n";
        case reply_kind::integer:
            return ':' + std::to_string(one.integer()) + "\r\n";
        case reply_kind::array: {
            std::string all = '*' + std::to_string(one.elements().size()) + "\r\n";
            for (const reply& each : one.elements()) {
                all += wire_of(each);
            }
            return all;
        }
    }
    return {};
}

reply random_reply(xoshiro256& random, int depth) {
    switch (uniform_below(random, depth > 0 ? 7 : 5)) {
        case 0:
            return {};
        case 1: {
            std::string text(uniform_below(random, 60), '\0');
            for (char& each : text) {
                each = static_cast<char>(random());
            }
            return reply::of_string(text);
        }
        case 2:
            return reply::of_status("OK");
        case 3:
            return reply::of_error("ERR no");
        case 4:
            return reply::of_integer(static_cast<std::int64_t>(random()));
        default: {
            std::vector<reply> elements;
            for (std::uint64_t i = uniform_below(random, 5); i > 0; --i) {
                elements.push_back(random_reply(random, depth - 1));
            }
            return reply::of_array(std::move(elements));
        }
    }
}

std::vector<reply> parse(const std::string& bytes, std::error_code& code, const reply_limits& limits = {}) {
    reply_parser parser(limits);
    std::vector<reply> complete;
    if (!parser.feed(bytes.data(), bytes.size(), complete)) {
        code = parser.code();
    }
    return complete;
}

TEST(redis_reply_parser, reads_any_reply_split_at_every_byte) {
    xoshiro256 random(11);
    for (int round = 0; round < 60; ++round) {
        std::vector<reply> expected;
        std::string bytes;
        for (int i = 0; i < 3; ++i) {
            expected.push_back(random_reply(random, 6));
            bytes += wire_of(expected.back());
        }
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
            reply_parser parser({});
            std::vector<reply> complete;
            ASSERT_TRUE(parser.feed(bytes.data(), cut, complete));
            ASSERT_TRUE(parser.feed(bytes.data() + cut, bytes.size() - cut, complete));
            ASSERT_EQ(complete, expected) << "cut at " << cut;
        }
        reply_parser parser({});
        std::vector<reply> complete;
        for (const char each : bytes) {
            ASSERT_TRUE(parser.feed(&each, 1, complete));
        }
        ASSERT_EQ(complete, expected) << "byte by byte";
    }
}

TEST(redis_reply_parser, reads_null_and_empty_arrays) {
    std::error_code code;
    const auto replies = parse("*-1\r\n*0\r\n$0\r\n\r\n", code);
    ASSERT_FALSE(code);
    ASSERT_EQ(replies.size(), 3U);
    EXPECT_TRUE(replies[0].is_nil());
    EXPECT_TRUE(replies[1].is_array() && replies[1].elements().empty());
    EXPECT_EQ(replies[2].text(), "");
}

TEST(redis_reply_parser, reads_a_large_value) {
    const std::string value(5U << 20U, 'x');
    std::error_code code;
    const auto replies = parse(wire_of(reply::of_string(value)), code);
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies[0].text(), value);
}

TEST(redis_reply_parser, refuses_what_is_not_the_protocol) {
    for (const std::string bytes : {"HTTP/1.1 400\r\n", "$x\r\n", "$-7\r\nabc\r\n", "*-7\r\n", ":12a\r\n",
                                    "\r\n", "*2\r\n!\r\n", "$99999999999999999999\r\n"}) {
        std::error_code code;
        parse(bytes, code);
        EXPECT_TRUE(code == errc::protocol_error || code == errc::reply_too_large) << bytes << " -> " << code;
    }
}

TEST(redis_reply_parser, refuses_more_nesting_than_hiredis_takes) {
    std::string bytes;
    for (int i = 0; i < 30; ++i) {
        bytes += "*1\r\n";
    }
    std::error_code code;
    parse(bytes, code);
    EXPECT_EQ(code, errc::protocol_error);
}

TEST(redis_reply_parser, refuses_a_long_value_when_it_is_announced) {
    std::error_code code;
    parse("$1001\r\n", code, {.bytes = 1000});
    EXPECT_FALSE(code) << "64 bytes of grace for the frame";
    parse("$1100\r\n", code, {.bytes = 1000});
    EXPECT_EQ(code, errc::reply_too_large);
}

TEST(redis_reply_parser, refuses_a_line_that_does_not_end) {
    reply_parser parser({.bytes = 1000});
    std::vector<reply> complete;
    const std::string part(100, 'a');
    ASSERT_TRUE(parser.feed("+", 1, complete));
    bool is_fine = true;
    for (int i = 0; i < 20 && is_fine; ++i) {
        is_fine = parser.feed(part.data(), part.size(), complete);
    }
    EXPECT_FALSE(is_fine);
    EXPECT_EQ(parser.code(), errc::reply_too_large);
}

TEST(redis_reply_parser, counts_the_bytes_of_all_elements) {
    std::string bytes = "*100\r\n";
    for (int i = 0; i < 100; ++i) {
        bytes += wire_of(reply::of_string(std::string(50, 'v')));
    }
    std::error_code code;
    EXPECT_EQ(parse(bytes, code, {.bytes = 5000}).size(), 1U);
    EXPECT_FALSE(code);
    parse(bytes, code, {.bytes = 4000});
    EXPECT_EQ(code, errc::reply_too_large);
}

TEST(redis_reply_parser, counts_the_elements_of_nested_arrays_before_they_come) {
    std::error_code code;
    parse("*2000000000\r\n", code);
    EXPECT_EQ(code, errc::reply_too_large);
    code = {};
    parse("*3\r\n*3\r\n", code, {.elements = 6});
    EXPECT_FALSE(code);
    parse("*3\r\n*4\r\n", code, {.elements = 6});
    EXPECT_EQ(code, errc::reply_too_large);
}

TEST(redis_reply_parser, counts_each_reply_for_itself) {
    std::error_code code;
    EXPECT_EQ(parse("*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n", code, {.elements = 2}).size(), 2U);
    EXPECT_FALSE(code);
}

TEST(redis_reply_parser, takes_nothing_more_once_it_failed) {
    reply_parser parser({});
    std::vector<reply> complete;
    EXPECT_FALSE(parser.feed("?", 1, complete));
    EXPECT_FALSE(parser.feed("+OK\r\n", 5, complete));
    EXPECT_TRUE(complete.empty());
}

TEST(redis_reply_parser, survives_random_bytes) {
    xoshiro256 random(3);
    constexpr std::string_view alphabet = "+-:$*\r\n0123456789ab";
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes(1 + uniform_below(random, 40), ' ');
        for (char& each : bytes) {
            each = alphabet[uniform_below(random, alphabet.size())];
        }
        reply_parser parser({.bytes = 1000, .elements = 100});
        std::vector<reply> complete;
        static_cast<void>(parser.feed(bytes.data(), bytes.size(), complete));
    }
}

}  // namespace
}  // namespace levee::redis::detail
