#include <gtest/gtest.h>

#include <boost/describe/class.hpp>
#include <cstdint>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "fake_result.hpp"
#include "levee/postgres/result.hpp"
#include "refusal.hpp"

namespace {

using namespace levee::postgres;
using levee::tests::fake_column;
using levee::tests::make_fake_result;

struct user {
    std::int64_t id = 0;
    std::string name{};
    std::optional<double> score{};
};

struct described_user {
    std::string name{};
    std::int64_t id = 0;
};
BOOST_DESCRIBE_STRUCT(described_user, (), (name, id))

const std::vector<fake_column> user_columns{
    {"id", type_oid::int8}, {"name", type_oid::text}, {"score", type_oid::float8}};

TEST(Rows, are_read_by_number_by_name_and_whole) {
    const result found = make_fake_result(user_columns, {{"1", "Ada", "0.5"}, {"2", "Bob", std::nullopt}});
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found.columns(), 3U);
    EXPECT_EQ(found.column_name(1), "name");
    EXPECT_EQ(found.column_type(2), type_oid::float8);
    EXPECT_EQ(found.column("score"), 2U);
    EXPECT_EQ(found.column("Score"), std::nullopt);
    EXPECT_EQ(found[0].get<std::string>("name"), "Ada");
    EXPECT_EQ(found[1].get<std::optional<double>>(2), std::nullopt);
    const auto users = found.as<user>();
    ASSERT_EQ(users.size(), 2U);
    EXPECT_EQ(users[1].name, "Bob");
    EXPECT_EQ(users[0].score, 0.5);
    EXPECT_EQ(found[0].as<described_user>().name, "Ada") << "by name, in whatever order";
    using columns = std::tuple<int, std::string, std::optional<float>>;
    EXPECT_EQ(found[1].as<columns>(), columns(2, "Bob", std::nullopt));
}

TEST(Rows, can_be_walked_and_outlive_a_move_of_their_result) {
    result found = make_fake_result({{"id", type_oid::int8}}, {{"1"}, {"2"}, {"3"}});
    std::int64_t sum = 0;
    for (const row& each : found) {
        sum += each.get<std::int64_t>(0);
    }
    EXPECT_EQ(sum, 6);
    const row second = found[1];
    const result moved = std::move(found);
    EXPECT_EQ(second.as<int>(), 2);
    EXPECT_EQ(moved.end() - moved.begin(), 3);
    static_assert(std::random_access_iterator<result::iterator>);
}

TEST(Rows, refuse_columns_that_are_not_there) {
    const result found = make_fake_result(user_columns, {{"1", "Ada", "0.5"}});
    EXPECT_REFUSED(found[0].get<int>(3), "column 3 is asked for, of a row with 3");
    EXPECT_REFUSED(found[0].get<int>("age"),
                   "there is no column \"age\"; there are: \"id\", \"name\", \"score\"");
    EXPECT_REFUSED(found[0].as<int>(), "a row of 3 columns is asked for as 1");
    EXPECT_REFUSED((found[0].as<std::pair<int, std::string>>()), "a row of 3 columns is asked for as 2");
    EXPECT_THROW(static_cast<void>(found[1]), std::out_of_range);
    EXPECT_THROW(static_cast<void>(found.column_name(3)), std::out_of_range);
}

TEST(Results, give_one_value) {
    const std::vector<fake_column> columns{{"n", type_oid::int8}};
    EXPECT_EQ(make_fake_result(columns, {{"7"}}).value<int>(), 7);
    EXPECT_EQ(make_fake_result(columns, {{"7"}}).optional<int>(), 7);
    EXPECT_EQ(make_fake_result(columns, {}).optional<int>(), std::nullopt);
    EXPECT_REFUSED(make_fake_result(columns, {}).value<int>(), "0 rows");
    EXPECT_REFUSED(make_fake_result(columns, {{"1"}, {"2"}}).value<int>(), "2 rows");
    EXPECT_REFUSED(make_fake_result(columns, {{"1"}, {"2"}}).optional<int>(), "2 rows");
    EXPECT_TRUE(result().empty());
    EXPECT_EQ(result().columns(), 0U);
    EXPECT_EQ(result().command_tag(), "");
    EXPECT_EQ(result().affected_rows(), 0U);
}

TEST(Results, are_asked_for_in_binary_where_that_pays_and_can_be_read) {
    const auto format = [](std::vector<fake_column> columns) {
        const result described = make_fake_result(std::move(columns), {});
        return detail::best_result_format(detail::libpq_result(described));
    };
    EXPECT_EQ(format({{"a", type_oid::int8}, {"b", type_oid::text}}), 0);
    EXPECT_EQ(format({{"a", type_oid::int8}, {"b", type_oid::timestamptz}}), 1);
    EXPECT_EQ(format({{"a", type_oid::bytea}}), 1);
    EXPECT_EQ(format({{"a", type_oid::bytea}, {"b", type_oid::numeric}}), 0);
    EXPECT_EQ(format({{"a", type_oid::bytea}, {"b", type_oid{16'400}}}), 0);
    EXPECT_EQ(format({}), 0);
}

}  // namespace
