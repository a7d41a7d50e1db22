#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "levee/postgres/transaction.hpp"
#include "postgres/connect_plan.hpp"
#include "postgres/session_config.hpp"
#include "postgres/session_traces.hpp"
#include "postgres/statement_cache.hpp"
#include "support/temp_dir.hpp"

namespace levee::postgres::detail {
namespace {

using namespace std::chrono_literals;

// Statements kept prepared.

TEST(postgres_statement_cache, prepares_a_text_once_for_each_list_of_types) {
    statement_cache cache(8);
    const auto first = cache.find_or_add("SELECT $1", parameters::of(1));
    EXPECT_TRUE(first.is_new);
    const std::string name = first.statement->name;
    EXPECT_FALSE(cache.find_or_add("SELECT $1", parameters::of(2)).is_new);
    EXPECT_TRUE(cache.find_or_add("SELECT $1", parameters::of("text")).is_new);
    EXPECT_TRUE(cache.find_or_add("SELECT $1 ", parameters::of(1)).is_new);
    EXPECT_EQ(cache.find("SELECT $1", parameters::of(3))->name, name);
}

TEST(postgres_statement_cache, the_one_not_used_for_longest_makes_room) {
    statement_cache cache(2);
    const std::string a = cache.find_or_add("a", {}).statement->name;
    const auto second = cache.find_or_add("b", {});
    const std::string b = second.statement->name;
    cache.prepared(second.statement->number);
    EXPECT_FALSE(cache.find_or_add("a", {}).is_new);
    EXPECT_TRUE(cache.find_or_add("c", {}).is_new);
    EXPECT_EQ(cache.take_dropped(), std::vector<std::string>{b});
    EXPECT_FALSE(cache.find_or_add("a", {}).is_new);
    EXPECT_NE(cache.find_or_add("b", {}).statement->name, b);  // no name is used twice
    EXPECT_EQ(cache.size(), 2U);
}

TEST(postgres_statement_cache, the_server_is_to_forget_only_what_it_has_said_that_it_knows) {
    statement_cache cache(1);
    const std::uint64_t a = cache.find_or_add("a", {}).statement->number;
    const std::uint64_t b = cache.find_or_add("b", {}).statement->number;
    const auto c = cache.find_or_add("c", {});
    EXPECT_FALSE(c.statement->is_ready);
    EXPECT_FALSE(cache.has_dropped());
    cache.forget(a);  // refused
    cache.prepared(b);
    EXPECT_EQ(cache.take_dropped(), std::vector<std::string>{"levee_2"});
    cache.prepared(c.statement->number);
    EXPECT_TRUE(cache.find("c", {})->is_ready);
    EXPECT_FALSE(cache.has_dropped());
}

TEST(postgres_statement_cache, keeps_none_if_told_so_and_forgets_what_the_server_does_not_know) {
    statement_cache none(0);
    EXPECT_EQ(none.find_or_add("a", {}).statement, nullptr);
    statement_cache cache(4);
    cache.forget(cache.find_or_add("a", {}).statement->number);
    EXPECT_EQ(cache.find("a", {}), nullptr);
    EXPECT_FALSE(cache.has_dropped());
    static_cast<void>(cache.find_or_add("b", {}));
    cache.forget("b", {}, true);
    EXPECT_TRUE(cache.has_dropped());
    cache.forget_all();
    EXPECT_FALSE(cache.has_dropped());
}

TEST(postgres_statement_cache, stays_within_its_bound_and_consistent_at_random) {
    statement_cache cache(16);
    std::mt19937 chance(3);
    std::set<std::string> at_server;
    for (int i = 0; i < 20'000; ++i) {
        const std::string sql = "SELECT " + std::to_string(chance() % 40);
        const auto found = cache.find_or_add(sql, {});
        EXPECT_EQ(at_server.insert(found.statement->name).second, found.is_new);
        cache.prepared(found.statement->number);
        if (chance() % 10 == 0) {
            cache.forget(sql, {}, true);
        }
        for (const std::string& each : cache.take_dropped()) {
            EXPECT_EQ(at_server.erase(each), 1U);
        }
        ASSERT_EQ(at_server.size(), cache.size());
        ASSERT_LE(cache.size(), 16U);
    }
}

// What a statement leaves behind.

TEST(postgres_session_traces, tags_tell_what_was_left_behind) {
    for (const char* clean :
         {"SELECT 1", "INSERT 0 1", "UPDATE 3", "BEGIN", "COMMIT", "ROLLBACK", "", "COPY 5", "EXPLAIN"}) {
        EXPECT_EQ(traces_of_tag(clean), traces::none) << clean;
    }
    EXPECT_EQ(traces_of_tag("SET"), traces::settings);
    EXPECT_EQ(traces_of_tag("LISTEN"), traces::listening);
    EXPECT_EQ(traces_of_tag("DECLARE CURSOR"), traces::cursors);
    EXPECT_EQ(traces_of_tag("PREPARE"), traces::indelible);
    for (const char* unknown : {"CALL", "DO", "CREATE TABLE", "SETTLE", "WHATEVER NEXT"}) {
        EXPECT_EQ(traces_of_tag(unknown), traces::all) << unknown;
    }
    EXPECT_TRUE(drops_statements("DISCARD ALL"));
    EXPECT_FALSE(drops_statements("DISCARD TEMP"));
}

TEST(postgres_session_traces, words_tell_what_tags_do_not) {
    EXPECT_EQ(traces_of_text("SELECT pg_try_ADVISORY_lock(1)"), traces::locks);
    EXPECT_EQ(traces_of_text("select set_config('a', 'b', false)"), traces::settings);
    EXPECT_EQ(traces_of_text("CREATE TEMPORARY TABLE x AS SELECT 1"), traces::temporary);
    EXPECT_EQ(traces_of_text("SELECT name FROM users WHERE id = $1"), traces::none);
}

TEST(postgres_session_traces, only_what_reads_or_writes_rows_may_share_a_session) {
    for (const char* shareable : {"SELECT 1", "  select 1", "/* why */ INSERT INTO t VALUES (1)",
                                  "-- x\n WITH a AS (SELECT 1) TABLE a", "(SELECT 1) UNION (SELECT 2)",
                                  "UPDATE t SET a = 1", "/* a /* b */ c */ SELECT 1", "-- a\r\nSELECT 1"}) {
        EXPECT_TRUE(is_shareable(shareable)) << shareable;
    }
    for (const char* own :
         {"BEGIN", "SET a = b", "", "LISTEN x", "SELECT pg_advisory_lock(1)", "/* SELECT */ COMMIT",
          "CREATE TABLE x ()", "DO $$ $$", "EXPLAIN SELECT 1", "/* SELECT", "/* /* */ SELECT */ SET a = b",
          "/*/* SELECT */ */ /* SELECT */ LISTEN x", "-- \rPREPARE p AS\nSELECT 1", "/* /* */ SELECT"}) {
        EXPECT_FALSE(is_shareable(own)) << own;
    }
}

TEST(postgres_session_traces, cleaning_rolls_back_first_and_does_no_more_than_needed) {
    EXPECT_EQ(statements_against(traces::none, true), std::vector<std::string>{"ROLLBACK"});
    EXPECT_EQ(statements_against(traces::listening, false), std::vector<std::string>{"UNLISTEN *"});
    EXPECT_EQ(statements_against(traces::all, true).size(), 7U);
    EXPECT_EQ(statements_against(traces::all, true).front(), "ROLLBACK");
}

// Where to connect.

TEST(postgres_connect_plan, each_server_gets_its_share_of_the_time_left) {
    connect_plan plan({{.host = "a"}, {.host = "b"}, {.host = "c"}}, server_role::primary);
    const time_point start{};
    const auto first = plan.next(start, start + 3s);
    EXPECT_EQ(first->where.host, "a");
    EXPECT_EQ(first->deadline, start + 1s);
    EXPECT_STREQ(first->session_attributes, "primary");
    EXPECT_EQ(plan.next(start, start + 3s)->deadline, start + 1500ms);  // the first one failed at once
    EXPECT_EQ(plan.next(start + 2s, start + 3s)->deadline, start + 3s);
    EXPECT_FALSE(plan.next(start, start + 3s));
}

TEST(postgres_connect_plan, prefers_a_standby_and_takes_any) {
    connect_plan plan({{.host = "a"}, {.host = "b"}}, server_role::prefer_standby);
    std::string order;
    while (const auto next = plan.next({}, {})) {
        order += next->where.host + next->session_attributes + ' ';
    }
    EXPECT_EQ(order, "astandby bstandby aany bany ");
}

TEST(postgres_connect_plan, lists_are_paired_up) {
    const auto two = pair_up("a,b", "", "1,2");
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[1], (server_address{.host = "b", .port = "2"}));
    EXPECT_EQ(pair_up("a,b", "", "1")[1].port, "1");
    EXPECT_EQ(pair_up("a", "10.0.0.1", "")[0].address, "10.0.0.1");
    EXPECT_THROW(static_cast<void>(pair_up("a,b", "", "1,2,3")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(pair_up("a,b", "10.0.0.1", "1")), std::invalid_argument);
    EXPECT_TRUE(is_name({.host = "db1"}));
    for (const char* none : {"", "/tmp", "10.0.0.1", "::1", "@abstract"}) {
        EXPECT_FALSE(is_name({.host = none})) << none;
    }
}

TEST(postgres_options, leave_services_to_the_environment) {
    const tests::temp_dir folder;
    const std::string file = folder / "services";
    std::ofstream(file) << "[shop]\nhost=10.9.8.7\nport=6543\n";
    ::setenv("PGSERVICEFILE", file.c_str(), 1);
    ::setenv("PGSERVICE", "shop", 1);
    boost::asio::io_context context;
    const session_config config({.executor = context.get_executor()});
    ::unsetenv("PGSERVICE");
    ::unsetenv("PGSERVICEFILE");
    EXPECT_EQ(config.servers.at(0), (server_address{.host = "10.9.8.7", .port = "6543"}));
}

TEST(postgres_options, a_setting_never_becomes_a_second_one) {
    boost::asio::io_context context;
    const std::string blanks = " \t\n\v\f\r";
    const session_config config(
        {.settings = {{"app.tenant", "a" + blanks + "-c"}}, .executor = context.get_executor()});
    EXPECT_EQ(config.words.at("options"), "-c app.tenant=a\\ \\\t\\\n\\\v\\\f\\\r-c");
    for (const std::string& wrong : {std::string("a\vb"), std::string("a\0b", 3)}) {
        EXPECT_THROW(session_config({.settings = {{wrong, "x"}}, .executor = context.get_executor()}),
                     std::invalid_argument);
    }
    EXPECT_THROW(
        session_config({.settings = {{"a", std::string("x\0y", 3)}}, .executor = context.get_executor()}),
        std::invalid_argument);
}

TEST(postgres_options, settings_come_behind_those_of_the_environment) {
    ::setenv("PGOPTIONS", "-c work_mem=1MB", 1);
    boost::asio::io_context context;
    const session_config config({.settings = {{"a", "b"}}, .executor = context.get_executor()});
    ::unsetenv("PGOPTIONS");
    EXPECT_EQ(config.words.at("options"), "-c work_mem=1MB -c a=b");
}

TEST(postgres_options, wrong_ones_name_the_field_and_never_show_the_uri) {
    boost::asio::io_context context;
    connection_options right{.uri = "postgresql://u:secret@10.0.0.1,10.0.0.2:5433/d",
                             .executor = context.get_executor()};
    const session_config config(right);
    EXPECT_EQ(config.servers.size(), 2U);
    EXPECT_EQ(without_password(config, "a secret b"), "a *** b");
    const auto refused = [&](auto change) {
        connection_options wrong = right;
        change(wrong);
        try {
            session_config made(wrong);
            return std::string();
        } catch (const std::invalid_argument& e) {
            return std::string(e.what());
        }
    };
    EXPECT_NE(refused([](auto& o) { o.executor = {}; }).find("executor"), std::string::npos);
    EXPECT_NE(refused([](auto& o) { o.statement_timeout = {}; }).find("statement_timeout"),
              std::string::npos);
    EXPECT_NE(refused([](auto& o) { o.uri = "host=db"; }).find("blocking_executor"), std::string::npos);
    EXPECT_NE(refused([](auto& o) { o.max_prepared = 70'000; }).find("max_prepared"), std::string::npos);
    EXPECT_NE(refused([](auto& o) { o.settings = {{"a b", "c"}}; }).find("settings"), std::string::npos);
    const std::string by_service = refused([](auto& o) { o.uri = "host=10.0.0.1 service=shop"; });
    EXPECT_NE(by_service.find("uri is service=shop"), std::string::npos) << by_service;
    EXPECT_NE(by_service.find("PGSERVICE"), std::string::npos) << by_service;
    const std::string unreadable = refused([](auto& o) { o.uri = "postgres//u:secret@h"; });
    EXPECT_NE(unreadable.find("uri"), std::string::npos);
    EXPECT_EQ(unreadable.find("secret"), std::string::npos);
    EXPECT_THROW(validate(transaction_options{.attempts = 0}), std::invalid_argument);
    EXPECT_EQ(
        begin_text({.isolation = isolation_level::serializable, .is_read_only = true, .is_deferrable = true}),
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
}

}  // namespace
}  // namespace levee::postgres::detail
