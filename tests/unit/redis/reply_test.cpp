#include "levee/redis/reply.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "levee/redis/error.hpp"
#include "levee/redis/hash_slot.hpp"
#include "levee/redis/script.hpp"

namespace levee::redis {
namespace {

TEST(redis_reply, refuses_to_be_read_as_what_it_is_not) {
    const reply text = reply::of_string("word");
    EXPECT_EQ(text.text(), "word");
    EXPECT_THROW(static_cast<void>(text.integer()), levee::error);
    EXPECT_THROW(static_cast<void>(text.elements()), levee::error);
    EXPECT_THROW(static_cast<void>(reply::of_integer(1).text()), levee::error);
    EXPECT_THROW(static_cast<void>(reply::of_array({})[0]), levee::error);
    EXPECT_EQ(reply::of_string("-12").integer(), -12);
}

TEST(redis_reply, tells_nil_from_an_empty_value) {
    EXPECT_FALSE(reply().optional_text());
    EXPECT_EQ(reply::of_string("").optional_text(), "");
}

TEST(redis_reply, throws_the_servers_words_and_their_code) {
    try {
        static_cast<void>(reply::of_error("WRONGTYPE Operation against a key").integer());
        FAIL();
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::wrong_type);
        EXPECT_FALSE(e.may_have_been_executed());
        EXPECT_NE(std::string(e.what()).find("Operation against a key"), std::string::npos);
    }
}

TEST(redis_error, knows_servers_by_their_first_word) {
    EXPECT_EQ(code_of("LOADING Redis is loading the dataset in memory"), errc::loading);
    EXPECT_EQ(code_of("READONLY You can't write against a read only replica."), errc::read_only);
    EXPECT_EQ(code_of("NOAUTH Authentication required."), errc::authentication);
    EXPECT_EQ(code_of("WRONGPASS invalid username-password pair"), errc::authentication);
    EXPECT_EQ(code_of("NOPERM this user has no permissions"), errc::authentication);
    EXPECT_EQ(code_of("ERR AUTH <password> called without any password configured"), errc::authentication);
    EXPECT_EQ(code_of("OOM command not allowed"), errc::out_of_memory);
    EXPECT_EQ(code_of("CLUSTERDOWN Hash slot not served"), errc::cluster_down);
    EXPECT_EQ(code_of("MOVED 3999 127.0.0.1:6381"), errc::moved);
    EXPECT_EQ(code_of("ASK 3999 127.0.0.1:6381"), errc::ask);
    EXPECT_EQ(code_of("NOSCRIPT No matching script"), errc::no_script);
    EXPECT_EQ(code_of("ERR unknown command"), errc::server_error);
    EXPECT_EQ(code_of("ASKING"), errc::server_error);
    EXPECT_EQ(code_of(""), errc::server_error);
}

TEST(redis_error, has_a_sentence_of_its_own_for_each_code) {
    std::set<std::string> sentences;
    int codes = 0;
    for (int code = 1; code < 200; ++code) {
        const std::string sentence = error_category().message(code);
        if (sentence != "unknown error") {
            sentences.insert(sentence);
            ++codes;
        }
    }
    EXPECT_EQ(codes, 22);
    EXPECT_EQ(sentences.size(), 22U);
    EXPECT_EQ(make_error_code(errc::not_connected), std::errc::not_connected);
    EXPECT_EQ(make_error_code(errc::read_only), std::errc::read_only_file_system);
}

TEST(redis_hash_slot, is_as_the_cluster_specification_says) {
    EXPECT_EQ(hash_slot("123456789"), 12'739);
    EXPECT_EQ(hash_slot("foo"), 12'182);
    EXPECT_EQ(hash_slot("{user1000}.following"), hash_slot("user1000"));
    EXPECT_NE(hash_slot("foo{}{bar}"), hash_slot("bar"));
    EXPECT_EQ(hash_slot("foo{{bar}}zap"), hash_slot("{bar"));
    EXPECT_EQ(hash_slot("foo{bar}{zap}"), hash_slot("bar"));
    EXPECT_EQ(hash_slot(""), 0);
}

TEST(redis_hash_slot, groups_keys_in_their_order) {
    const auto groups = group_by_slot({"{a}1", "{b}1", "{a}2"});
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].keys, (std::vector<std::size_t>{0, 2}));
    EXPECT_EQ(groups[1].keys, (std::vector<std::size_t>{1}));
}

TEST(redis_script, is_named_by_its_sha1) {
    EXPECT_EQ(script("return 1").sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace levee::redis
