// Parameters and results against a real server, over libpq's own calls: that what is sent is what the server
// understands, and that what it sends is read right, in both formats.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <boost/uuid/string_generator.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/postgres/parameters.hpp"
#include "levee/postgres/result.hpp"
#include "postgres/result_access.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace levee::postgres;
using namespace std::chrono_literals;
using levee::tests::postgres_server;

class PostgresValues : public testing::Test {
protected:
    void SetUp() override {
        if (!postgres_server::is_installed()) {
            GTEST_SKIP() << postgres_server::why_skipped;
        }
        server_ = std::make_unique<postgres_server>();
        connection_.reset(PQconnectdb(server_->unix_uri().c_str()));
        ask("SET TimeZone = 'Asia/Kolkata'", {}, 0);  // so that a zone that is forgotten shows
    }

    result ask(const std::string& sql, const parameters& sent, int format) {
        std::vector<Oid> types;
        std::vector<const char*> values;
        std::vector<int> lengths;
        std::vector<int> formats;
        for (std::size_t i = 0; i < sent.size(); ++i) {
            types.push_back(static_cast<Oid>(sent.type(i)));
            values.push_back(sent.data(i));
            lengths.push_back(sent.length(i));
            formats.push_back(sent.is_binary(i) ? 1 : 0);
        }
        PGresult* const raw =
            PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(sent.size()), types.data(),
                         values.data(), lengths.data(), formats.data(), format);
        result answer = detail::make_result(raw);
        if (PQresultStatus(raw) != PGRES_TUPLES_OK && PQresultStatus(raw) != PGRES_COMMAND_OK) {
            throw detail::make_sql_error(raw, sql);
        }
        return answer;
    }

    /// Sends `value` as $1, casts it to `type` and reads it back, in both formats; and compares it to what
    /// the server says a literal is.
    template <class T>
    void expect_round_trip(const T& value, const std::string& type, const std::string& literal) {
        for (const int format : {0, 1}) {
            SCOPED_TRACE(type + (format == 1 ? ", binary" : ", text"));
            const result answer =
                ask("SELECT $1::" + type + " AS sent, '" + literal + "'::" + type + " AS told, $1::" + type +
                        " IS NOT DISTINCT FROM '" + literal + "'::" + type + " AS same",
                    parameters::of(value), format);
            EXPECT_EQ(answer[0].template get<T>("sent"), value);
            EXPECT_EQ(answer[0].template get<T>("told"), value);
            EXPECT_TRUE(answer[0].get<bool>("same"));
        }
    }

    struct finish {
        void operator()(PGconn* raw) const { PQfinish(raw); }
    };
    std::unique_ptr<postgres_server> server_;
    std::unique_ptr<PGconn, finish> connection_;
};

TEST_F(PostgresValues, go_to_the_server_and_come_back) {
    expect_round_trip(true, "bool", "yes");
    expect_round_trip(std::int16_t{-32768}, "int2", "-32768");
    expect_round_trip(std::numeric_limits<std::int32_t>::min(), "int4", "-2147483648");
    expect_round_trip(std::numeric_limits<std::int64_t>::max(), "int8", "9223372036854775807");
    expect_round_trip(std::uint32_t{4'000'000'000}, "int8", "4000000000");
    expect_round_trip(0.1, "float8", "0.1");
    expect_round_trip(0.1F, "float4", "0.1");
    expect_round_trip(std::numeric_limits<double>::infinity(), "float8", "Infinity");
    expect_round_trip(std::string("Größe \\ \" {}"), "text", "Größe \\ \" {}");
    expect_round_trip(std::string("abc"), "varchar", "abc");
    expect_round_trip(levee::bytes{std::byte{0}, std::byte{0xff}}, "bytea", "\\x00ff");
    expect_round_trip(boost::uuids::string_generator()("0f8fad5b-d9cb-469f-a165-70867728950e"), "uuid",
                      "0f8fad5b-d9cb-469f-a165-70867728950e");
    using std::chrono::sys_days;
    using std::chrono::year;
    using micros = std::chrono::microseconds;
    const auto leap_day =
        std::chrono::time_point_cast<micros>(sys_days(year(2024) / 2 / 29) + 12h + 34min + 56'789ms);
    expect_round_trip(leap_day, "timestamptz", "2024-02-29 12:34:56.789Z");
    expect_round_trip(std::chrono::local_time<micros>(leap_day.time_since_epoch()), "timestamp",
                      "2024-02-29 12:34:56.789");
    expect_round_trip((std::chrono::sys_time<micros>::max)(), "timestamptz", "infinity");
    expect_round_trip((std::chrono::sys_time<micros>::min)(), "timestamptz", "-infinity");
    expect_round_trip(std::chrono::time_point_cast<micros>(sys_days(year(-4711) / 1 / 1)), "timestamptz",
                      "4712-01-01 00:00:00Z BC");
    for (const int format : {0, 1}) {  // 64 bits of microseconds since 1970 end before the server's time does
        const result late = ask("SELECT '294276-12-31 23:59:59'::timestamp", {}, format);
        EXPECT_THROW(static_cast<void>(late.value<std::chrono::local_time<micros>>()), levee::error);
    }
    expect_round_trip(year(2024) / 2 / 29, "date", "2024-02-29");
    expect_round_trip(year(-43) / 3 / 15, "date", "0044-03-15 BC");
    expect_round_trip(micros(36h + 1us), "interval", "36:00:00.000001");
    expect_round_trip(micros(-1us), "interval", "-00:00:00.000001");
    expect_round_trip(json{R"({"a": [1, null]})"}, "jsonb", R"({"a":[1,null]})");
}

TEST_F(PostgresValues, go_to_the_server_and_come_back_as_arrays) {
    expect_round_trip(std::vector<int>{1, -2, 3}, "int4[]", "{1,-2,3}");
    expect_round_trip(std::vector<std::int64_t>{}, "int8[]", "{}");
    expect_round_trip(std::vector<bool>{true, false}, "bool[]", "{t,f}");
    expect_round_trip(std::vector<double>{0.5, -1e300}, "float8[]", "{0.5,-1e300}");
    using texts = std::vector<std::optional<std::string>>;
    expect_round_trip(texts{"a", std::nullopt, "NULL", "", "a \"b\" \\ {},"}, "text[]",
                      R"({a,NULL,"NULL","","a \"b\" \\ {},"})");
    expect_round_trip(std::vector<levee::bytes>{{std::byte{1}}, {}}, "bytea[]", R"({"\\x01","\\x"})");
    expect_round_trip(std::vector<std::chrono::year_month_day>{std::chrono::year(2000) / 1 / 1}, "date[]",
                      "{2000-01-01}");
    expect_round_trip(std::vector<json>{{R"({"a": "\"x\""})"}, {"null"}}, "jsonb[]",
                      R"({"{\"a\": \"\\\"x\\\"\"}","null"})");
}

TEST_F(PostgresValues, of_text_take_the_type_of_their_place) {
    ask("CREATE TYPE mood AS ENUM ('good', 'bad')", {}, 0);
    ask("CREATE TEMP TABLE all_types (m mood, i inet, u uuid, d date, n numeric(10,2), j json, c char(5))",
        {}, 0);
    ask("INSERT INTO all_types VALUES ($1, $2, $3, $4, $5, $6, $7)",
        parameters::of("good", "10.0.0.1", "0f8fad5b-d9cb-469f-a165-70867728950e", "2024-02-29", "12.50",
                       json{"{}"}, "ab"),
        0);
    const result found =
        ask("SELECT * FROM all_types WHERE m = $1 AND n = $2", parameters::of("good", "12.5"), 0);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].get<std::string>("m"), "good");
    EXPECT_EQ(found[0].get<std::string>("i"), "10.0.0.1");
    EXPECT_EQ(found[0].get<std::string>("n"), "12.50");
    EXPECT_EQ(found[0].get<double>("n"), 12.5);
    EXPECT_EQ(found[0].get<std::string>("c"), "ab   ");
    EXPECT_EQ(ask("SELECT array_agg(m) FROM all_types", {}, 0).value<std::vector<std::string>>(),
              std::vector<std::string>{"good"});
    EXPECT_EQ(ask("SELECT sum(i::int8) FROM generate_series(1, 3) AS i", {}, 0).value<int>(), 6) << "numeric";
}

TEST_F(PostgresValues, never_become_part_of_the_statement) {
    ask("CREATE TEMP TABLE users (name text)", {}, 0);
    const std::string evil = "'); DROP TABLE users; --";
    ask("INSERT INTO users VALUES ($1)", parameters::of(evil), 0);
    EXPECT_EQ(ask("SELECT name FROM users WHERE name = $1", parameters::of(evil), 0).value<std::string>(),
              evil);
}

TEST_F(PostgresValues, are_told_apart_when_the_server_refuses_them) {
    ask("CREATE TEMP TABLE users (id int PRIMARY KEY, age int CHECK (age > 0))", {}, 0);
    ask("INSERT INTO users VALUES (1, 20)", {}, 0);
    try {
        ask("INSERT INTO users VALUES ($1, $2)", parameters::of(1, 30), 0);
        FAIL();
    } catch (const sql_error& e) {
        EXPECT_EQ(e.code(), sqlstate::unique_violation);
        EXPECT_EQ(e.code(), sqlstate_class::integrity_violation);
        EXPECT_EQ(e.constraint(), "users_pkey");
        EXPECT_EQ(e.detail(), "Key (id)=(1) already exists.");
        EXPECT_EQ(e.severity(), "ERROR");
    }
    try {
        ask("SELECT 'x' || nothing FROM users", {}, 0);
        FAIL();
    } catch (const sql_error& e) {
        EXPECT_EQ(e.code(), sqlstate::undefined_column);
        EXPECT_EQ(e.position(), 15U);
        EXPECT_EQ(e.excerpt(), "SELECT '…' || nothing FROM users");
    }
}

}  // namespace
