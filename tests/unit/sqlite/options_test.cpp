/// Wrong options are refused by name, value and range.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

#include "levee/sqlite/table_options.hpp"
#include "levee/sqlite/table_source.hpp"

namespace levee::tests {
namespace {

using sqlite::table_options;
using namespace std::string_literals;

/// What validate says about good options that `change` has spoilt; empty when it accepts them.
std::string refusal(const std::function<void(table_options&)>& change) {
    table_options options{.path = "some.db", .table = "items"};
    change(options);
    try {
        sqlite::validate(options);
    } catch (const std::invalid_argument& refused) {
        return refused.what();
    }
    return "";
}

TEST(SqliteOptions, defaults_with_a_path_and_a_table_are_accepted) {
    EXPECT_EQ(refusal([](table_options&) {}), "");
}

TEST(SqliteOptions, bounds_of_every_range_are_accepted) {
    EXPECT_EQ(refusal([](table_options& o) { o.busy_timeout = duration::zero(); }), "");
    EXPECT_EQ(refusal([](table_options& o) { o.busy_timeout = duration::max(); }), "");
    EXPECT_EQ(refusal([](table_options& o) { o.connections = 1; }), "");
    EXPECT_EQ(refusal([](table_options& o) { o.connections = 1024; }), "");
    EXPECT_EQ(refusal([](table_options& o) { o.batch = 1; }), "");
    EXPECT_EQ(refusal([](table_options& o) { o.batch = 999; }), "");
}

TEST(SqliteOptions, wrong_ones_are_refused_with_the_field_the_value_and_the_range) {
    EXPECT_EQ(refusal([](table_options& o) { o.path = ""; }), "table_options::path is empty; it must be set");
    EXPECT_EQ(refusal([](table_options& o) { o.table = ""; }),
              "table_options::table is empty; it must be set");
    EXPECT_EQ(refusal([](table_options& o) { o.key_column = ""; }),
              "table_options::key_column is empty; it must be set");
    EXPECT_EQ(refusal([](table_options& o) { o.value_column = ""; }),
              "table_options::value_column is empty; it must be set");
    EXPECT_EQ(refusal([](table_options& o) { o.busy_timeout = duration(-1); }),
              "table_options::busy_timeout is -1 ns; it must be at least 0 ns");
    EXPECT_EQ(refusal([](table_options& o) { o.connections = 0; }),
              "table_options::connections is 0; it must be in [1, 1024]");
    EXPECT_EQ(refusal([](table_options& o) { o.connections = 1025; }),
              "table_options::connections is 1025; it must be in [1, 1024]");
    EXPECT_EQ(refusal([](table_options& o) { o.batch = 0; }),
              "table_options::batch is 0; it must be in [1, 999]");
    EXPECT_EQ(refusal([](table_options& o) { o.batch = 1000; }),
              "table_options::batch is 1000; it must be in [1, 999]");
    EXPECT_EQ(refusal([](table_options& o) { o.create_if_missing = o.read_only = true; }),
              "table_options::create_if_missing is true; it must be false together with `read_only`");
    EXPECT_NE(refusal([](table_options& o) { o.path = ":memory:"; }), "");
}

TEST(SqliteOptions, a_nul_in_a_name_is_refused_instead_of_ending_it) {
    EXPECT_EQ(refusal([](table_options& o) { o.table = "items\0x"s; }),
              "table_options::table is \"items\\0...\"; it must be free of NUL");
    EXPECT_NE(refusal([](table_options& o) { o.path = "a\0b"s; }), "");
    EXPECT_NE(refusal([](table_options& o) { o.key_column = "\0"s; }), "");
    EXPECT_NE(refusal([](table_options& o) { o.value_column = "v\0"s; }), "");
}

TEST(SqliteOptions, the_source_checks_them_before_it_opens_anything) {
    using source = sqlite::table_source<int, int>;
    EXPECT_THROW(source({.path = "/nowhere/at/all.db", .table = "items", .connections = 0}),
                 std::invalid_argument);
}

}  // namespace
}  // namespace levee::tests
