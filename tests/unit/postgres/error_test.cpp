#include "levee/postgres/error.hpp"

#include <gtest/gtest.h>

#include <string>
#include <system_error>

#include "postgres/statement_excerpt.hpp"

namespace {

using namespace levee::postgres;

sql_error error_of(std::string state, std::string severity = "ERROR") {
    return {server_message{.sqlstate = std::move(state), .severity = std::move(severity), .message = "no"},
            "SELECT 1"};
}

TEST(SqlError, tells_what_the_server_said) {
    const sql_error e({.sqlstate = "23505",
                       .severity = "ERROR",
                       .message = "duplicate key value violates unique constraint \"users_pkey\"",
                       .detail = "Key (id)=(42) already exists.",
                       .hint = "Take another.",
                       .position = 13,
                       .constraint = "users_pkey"},
                      "INSERT INTO users VALUES ($1)");
    EXPECT_EQ(e.sqlstate(), "23505");
    EXPECT_EQ(e.severity(), "ERROR");
    EXPECT_EQ(e.detail(), "Key (id)=(42) already exists.");
    EXPECT_EQ(e.hint(), "Take another.");
    EXPECT_EQ(e.position(), 13U);
    EXPECT_EQ(e.constraint(), "users_pkey");
    EXPECT_EQ(e.excerpt(), "INSERT INTO users VALUES ($1)");
    const std::string what = e.what();
    EXPECT_EQ(what,
              "INSERT INTO users VALUES ($1): duplicate key value violates unique constraint \"users_pkey\" "
              "[Key (id)=(42) already exists.] [hint: Take another.] at character 13: SQLSTATE 23505");
    EXPECT_FALSE(e.may_have_been_executed());
}

TEST(SqlError, compares_to_its_state_its_class_and_the_systems_conditions) {
    EXPECT_EQ(error_of("23505").code(), sqlstate::unique_violation);
    EXPECT_EQ(error_of("23505").code(), sqlstate_class::integrity_violation);
    EXPECT_NE(error_of("23505").code(), sqlstate_class::data_exception);
    EXPECT_EQ(error_of("23P01").code(), sqlstate_class::integrity_violation);
    EXPECT_EQ(error_of("25006").code(), std::errc::read_only_file_system);
    EXPECT_EQ(error_of("57014").code(), std::errc::operation_canceled);
    EXPECT_EQ(error_of("28P01").code(), std::errc::permission_denied);
    EXPECT_EQ(error_of("08006").code(), std::errc::connection_reset);
    EXPECT_EQ(error_of("53100").code(), std::errc::no_space_on_device);
    EXPECT_EQ(error_of("40P01").code(), std::errc::resource_deadlock_would_occur);
    EXPECT_EQ(error_of("ZZZZZ").code().message(), "SQLSTATE ZZZZZ");
    EXPECT_EQ(error_of("00000").code().value(), 0);
    EXPECT_EQ(error_of("").code().value(), 0);
}

TEST(SqlError, knows_what_may_be_tried_again_and_which_connections_are_done_for) {
    for (const char* state : {"40001", "40P01", "55P03", "53300", "57P03"}) {
        EXPECT_TRUE(error_of(state).is_retryable()) << state;
    }
    for (const char* state : {"23505", "42601", "57014", "57P01", "08006", "40003", ""}) {
        EXPECT_FALSE(error_of(state).is_retryable()) << state;
    }
    for (const char* state : {"25006", "57P01", "57P02", "57P03", "57P05", "08006", "08003"}) {
        EXPECT_TRUE(error_of(state).condemns_connection()) << state;
    }
    EXPECT_TRUE(error_of("53300", "FATAL").condemns_connection());
    for (const char* state : {"23505", "40001", "57014", ""}) {
        EXPECT_FALSE(error_of(state).condemns_connection()) << state;
    }
}

TEST(SqlError, shows_no_password) {
    const sql_error e({.sqlstate = "42601",
                       .severity = "ERROR",
                       .message = "syntax error at or near \"sesame\"",
                       .detail = "sesame",
                       .position = 30},
                      "ALTER ROLE ada PASSWORD 'sesame'");
    EXPECT_EQ(std::string(e.what()).find("sesame"), std::string::npos) << e.what();
    EXPECT_EQ(e.detail().find("sesame"), std::string::npos);
    EXPECT_EQ(e.message().find("sesame"), std::string::npos);
    EXPECT_TRUE(e.excerpt().empty());
}

TEST(StatementExcerpt, leaves_out_what_is_between_quotes) {
    EXPECT_EQ(detail::excerpt_of("SELECT 'it''s', E'a\\'b', $$x y$$, $t$ z $t$, $1, \"Id\" FROM t", 0),
              "SELECT '…', E'…', '…', '…', $1, \"Id\" FROM t");
    EXPECT_EQ(detail::excerpt_of("SELECT 'open", 0), "SELECT '…'");
    EXPECT_EQ(detail::excerpt_of("SELECT\n\t 1", 0), "SELECT 1");
    EXPECT_EQ(detail::excerpt_of("", 7), "");
}

TEST(StatementExcerpt, takes_no_quote_in_a_comment_or_a_name_for_the_beginning_of_a_literal) {
    EXPECT_EQ(detail::excerpt_of("SELECT 1 -- it's\nFROM t WHERE a = 'secret'", 0),
              "SELECT 1 FROM t WHERE a = '…'");
    EXPECT_EQ(detail::excerpt_of("/* don't /* nest' */ ' */ SELECT 'secret'", 0), "SELECT '…'");
    EXPECT_EQ(detail::excerpt_of("SELECT \"it's\", 'secret', 2 - 1, 4 / 2", 0),
              "SELECT \"it's\", '…', 2 - 1, 4 / 2");
    EXPECT_EQ(detail::excerpt_of("SELECT \"a$$b\", 'se\"cret', \"open", 0), "SELECT \"a$$b\", '…', \"open");
    EXPECT_EQ(detail::without_literals_of("ALTER ROLE \"o'neil\" PASSWORD 'xyzzy'", "near \"xyzzy\""),
              "near \"…\"");
}

TEST(StatementExcerpt, is_around_the_position) {
    const std::string long_one = "SELECT " + std::string(300, 'a') + " HERE " + std::string(300, 'b');
    const std::string shown = detail::excerpt_of(long_one, 309);
    EXPECT_NE(shown.find("HERE"), std::string::npos) << shown;
    EXPECT_LE(shown.size(), 80U + 2 * 3U);
    EXPECT_TRUE(shown.starts_with("…") && shown.ends_with("…"));
    // Positions count characters, not bytes.
    std::string umlauts = "SELECT ";
    for (int i = 0; i < 300; ++i) {
        umlauts += "ä";
    }
    EXPECT_NE(detail::excerpt_of(umlauts + " HERE " + umlauts, 309).find("HERE"), std::string::npos);
}

TEST(ConnectionErrors, have_sentences_and_conditions) {
    EXPECT_EQ(std::error_code(errc::connection_lost), std::errc::connection_reset);
    EXPECT_EQ(std::error_code(errc::not_connected), std::errc::not_connected);
    EXPECT_EQ(std::error_code(errc::queue_full), std::errc::no_buffer_space);
    EXPECT_EQ(std::error_code(errc::protocol_error), std::errc::protocol_error);
    EXPECT_EQ(std::error_code(errc::wrong_role).message(), "the server has another role");
    EXPECT_STREQ(error_category().name(), "postgres");
}

}  // namespace
