#include "levee/core/error.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <system_error>

namespace {

using levee::errc;
using levee::error;

constexpr std::array every_code{
    errc::timeout,   errc::cancelled,    errc::closed,      errc::recursive_load, errc::would_deadlock,
    errc::read_only, errc::invalid_data, errc::unavailable, errc::load_failed,    errc::full};

TEST(errc, every_code_has_a_sentence_of_its_own) {
    std::set<std::string> sentences;
    for (const errc code : every_code) {
        const std::string sentence = std::error_code(code).message();
        EXPECT_EQ(sentence.find("unknown"), std::string::npos) << static_cast<int>(code);
        sentences.insert(sentence);
    }
    EXPECT_EQ(sentences.size(), every_code.size());
}

TEST(errc, none_is_success) {
    for (const errc code : every_code) {
        EXPECT_TRUE(std::error_code(code)) << static_cast<int>(code);
    }
}

TEST(errc, becomes_an_error_code_by_itself) {
    const std::error_code code = errc::closed;
    EXPECT_EQ(code, errc::closed);
    EXPECT_NE(code, errc::cancelled);
    EXPECT_STREQ(code.category().name(), "levee");
}

TEST(errc, some_are_equal_to_the_systems_conditions) {
    EXPECT_EQ(std::error_code(errc::timeout), std::errc::timed_out);
    EXPECT_EQ(std::error_code(errc::cancelled), std::errc::operation_canceled);
    EXPECT_EQ(std::error_code(errc::would_deadlock), std::errc::resource_deadlock_would_occur);
    EXPECT_NE(std::error_code(errc::closed), std::errc::operation_canceled);
    EXPECT_NE(std::error_code(errc::unavailable), std::errc::timed_out);
}

TEST(error_category, is_one_object) {
    EXPECT_EQ(&levee::error_category(), &levee::error_category());
    EXPECT_NE(levee::error_category(), std::generic_category());
}

TEST(error_category, names_a_number_it_does_not_know) {
    EXPECT_EQ(levee::error_category().message(999), "unknown levee error 999");
}

TEST(error, says_what_was_done_and_what_went_wrong) {
    const error e(errc::timeout, "loading \"42\"");
    EXPECT_STREQ(e.what(), "loading \"42\": the deadline passed");
    EXPECT_EQ(e.code(), errc::timeout);
}

TEST(error, carries_foreign_codes_too) {
    const error e(std::make_error_code(std::errc::connection_refused), "connecting");
    EXPECT_EQ(e.code(), std::errc::connection_refused);
    EXPECT_EQ(std::string(e.what()).rfind("connecting: ", 0), 0U);
}

TEST(error, can_be_caught_as_the_standards_exception) {
    try {
        throw error(errc::closed);
    } catch (const std::system_error& e) {
        EXPECT_EQ(e.code(), errc::closed);
        EXPECT_STREQ(e.what(), std::error_code(errc::closed).message().c_str());
    }
}

}  // namespace
