#include "hit_ratio/trace_parser.hpp"

#include <gtest/gtest.h>

#include <levee/core/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace levee::lab {
namespace {

using ids = std::vector<std::uint32_t>;

trace parsed(std::string_view text) {
    trace_parser parser("test");
    parser.feed(text);
    return parser.finish();
}

std::string complaint(std::string_view text) {
    try {
        (void)parsed(text);
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), errc::invalid_data);
        return problem.what();
    }
    return "no error";
}

TEST(trace_parser, numbers_keys_in_order_of_first_appearance) {
    const trace t = parsed("b\na\nb\nc\n");
    EXPECT_EQ(t.keys, (ids{0, 1, 0, 2}));
    EXPECT_EQ(t.names, (std::vector<std::string>{"b", "a", "c"}));
    EXPECT_FALSE(t.has_sizes());
    EXPECT_EQ(t.size_of(0), 1U);
}

TEST(trace_parser, reads_sizes) {
    const trace t = parsed("a,10\nb,0\na,4294967295\n");
    EXPECT_EQ(t.keys, (ids{0, 1, 0}));
    EXPECT_EQ(t.sizes, (ids{10, 0, 4294967295U}));
    EXPECT_EQ(t.size_of(2), 4294967295U);
}

TEST(trace_parser, tolerates_windows_ends_blank_lines_blanks_and_a_byte_order_mark) {
    const trace t = parsed(
        "\xef\xbb\xbf"
        "a , 1\r\n\r\n   \n\n\tb,2 \r\na,3");
    EXPECT_EQ(t.names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(t.keys, (ids{0, 1, 0}));
    EXPECT_EQ(t.sizes, (ids{1, 2, 3}));
}

TEST(trace_parser, keeps_blanks_and_utf8_inside_a_key) {
    EXPECT_EQ(parsed("GET /a b\nK\xc3\xa4se\n").names, (std::vector<std::string>{"GET /a b", "K\xc3\xa4se"}));
}

TEST(trace_parser, gives_the_same_trace_however_the_text_is_cut) {
    const std::string text = "alpha,1\r\n\nbeta,22\nalpha,3\ngamma,444";
    const trace whole = parsed(text);
    for (std::size_t first = 0; first <= text.size(); ++first) {
        for (std::size_t second = first; second <= text.size(); ++second) {
            trace_parser parser("test");
            parser.feed(std::string_view(text).substr(0, first));
            parser.feed(std::string_view(text).substr(first, second - first));
            parser.feed(std::string_view(text).substr(second));
            const trace cut = parser.finish();
            ASSERT_EQ(cut.keys, whole.keys) << first << ' ' << second;
            ASSERT_EQ(cut.sizes, whole.sizes);
            ASSERT_EQ(cut.names, whole.names);
        }
    }
}

TEST(trace_parser, tells_many_keys_apart) {
    std::string text;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 20'000; ++i) {
            text += std::to_string(i * 7) + '\n';
        }
    }
    const trace t = parsed(text);
    ASSERT_EQ(t.distinct(), 20'000U);
    for (std::uint32_t i = 0; i < t.keys.size(); ++i) {
        ASSERT_EQ(t.keys[i], i % 20'000);
    }
    EXPECT_EQ(t.names[19'999], "139993");
}

TEST(trace_parser, refuses_an_empty_text) {
    EXPECT_NE(complaint("").find("'test': it holds no request"), std::string::npos);
    EXPECT_NE(complaint("\n \r\n\n").find("it holds no request"), std::string::npos);
}

TEST(trace_parser, refuses_binary_data_and_names_the_line) {
    EXPECT_NE(complaint(std::string_view("a\nb\0c\n", 6)).find("line 2: it holds control characters"),
              std::string::npos);
    EXPECT_NE(complaint("\x1f\x8b").find("line 1: it holds control characters"), std::string::npos);
}

TEST(trace_parser, accepts_the_longest_line_and_refuses_a_longer_one) {
    const std::string longest(trace_parser::max_line, 'x');
    EXPECT_EQ(parsed(longest + "\ny\n").names, (std::vector<std::string>{longest, "y"}));
    EXPECT_NE(complaint("y\n" + longest + "x\n").find("line 2: it is longer than 4096 bytes"),
              std::string::npos);
}

TEST(trace_parser, refuses_an_endless_line_before_its_end_arrives) {
    trace_parser parser("test");
    const std::string piece(1000, 'x');
    for (int i = 0; i < 4; ++i) {
        parser.feed(piece);
    }
    EXPECT_THROW(parser.feed(piece), error);
}

TEST(trace_parser, refuses_a_size_that_is_not_a_number) {
    EXPECT_NE(complaint("a,1\nb,2\nc,x\n").find("line 3: the size 'x' is not a number"), std::string::npos);
    EXPECT_NE(complaint("a,\n").find("the size '' is not a number"), std::string::npos);
    EXPECT_NE(complaint("a,-1\n").find("the size '-1' is not a number"), std::string::npos);
    EXPECT_NE(complaint("a,1.5\n").find("the size '1.5' is not a number"), std::string::npos);
    EXPECT_NE(complaint("a,1,2\n").find("the size '1,2' is not a number"), std::string::npos);
    EXPECT_NE(complaint("a,4294967296\n").find("does not fit in 32 bits"), std::string::npos);
}

TEST(trace_parser, refuses_sizes_on_some_lines_only) {
    EXPECT_NE(complaint("a,1\n\nb\n").find("line 3: it has no size"), std::string::npos);
    EXPECT_NE(complaint("a\nb,1\n").find("line 2: it has a size"), std::string::npos);
}

TEST(trace_parser, refuses_an_empty_key) {
    EXPECT_NE(complaint("a,1\n,7\n").find("line 2: the key is empty"), std::string::npos);
}

TEST(trace, fix_sizes_gives_each_key_the_size_of_its_first_request) {
    trace t = parsed("a,0\nb,5\na,9\nb,6\nc,7\n");
    fix_sizes(t);
    EXPECT_EQ(t.sizes, (ids{0, 5, 0, 5, 7}));
    trace without = parsed("a\nb\n");
    fix_sizes(without);
    EXPECT_FALSE(without.has_sizes());
}

}  // namespace
}  // namespace levee::lab
