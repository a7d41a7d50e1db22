// The parts of redis::backplane that need no server: messages as bytes, gaps, what is unsent.
#include <gtest/gtest.h>

#include <string>

#include "levee/core/random.hpp"
#include "redis/backplane_message.hpp"
#include "redis/gap_detector.hpp"
#include "redis/unsent_messages.hpp"

namespace levee::redis::detail {
namespace {

linked_message about(std::string name, change what = change::invalidated, std::uint64_t count = 0) {
    linked_message made;
    made.message.what = what;
    made.message.name_space = std::string("n\0s", 3);
    made.message.name = std::move(name);
    made.message.sender = UINT64_MAX;
    made.message.count = count;
    made.link = 5;
    made.number = UINT64_MAX - 1;
    return made;
}

TEST(backplane_message, brings_back_what_was_encoded) {
    for (const change what : {change::invalidated, change::expired, change::filled, change::marked}) {
        for (const std::string& name : {std::string(), std::string("k\0\xFF", 3), std::string(600, 'x')}) {
            const linked_message sent = about(name, what, UINT64_MAX - 7);
            linked_message heard;
            ASSERT_EQ(decode(encode(sent), heard), heard_as::message);
            EXPECT_EQ(heard.message.what, what);
            EXPECT_EQ(heard.message.name, name);
            EXPECT_EQ(heard.message.name_space, sent.message.name_space);
            EXPECT_EQ(heard.message.sender, sent.message.sender);
            EXPECT_EQ(heard.message.count, sent.message.count);
            EXPECT_EQ(heard.link, sent.link);
            EXPECT_EQ(heard.number, sent.number);
            EXPECT_FALSE(heard.is_everything);
        }
    }
    linked_message all;
    all.is_everything = true;
    linked_message heard;
    ASSERT_EQ(decode(encode(all), heard), heard_as::message);
    EXPECT_TRUE(heard.is_everything);
}

TEST(backplane_message, reads_nothing_that_is_damaged) {
    const std::string sent = encode(about("key", change::marked, 9));
    linked_message heard;
    for (std::size_t at = 0; at < sent.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string flipped = sent;
            flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << bit));
            EXPECT_EQ(decode(flipped, heard), at < 4 ? heard_as::foreign : heard_as::unreadable) << at;
        }
        EXPECT_NE(decode(sent.substr(0, at), heard), heard_as::message);
    }
    xoshiro256 random(2);
    for (int i = 0; i < 100'000; ++i) {
        std::string drawn = "LEVB\x01";
        for (std::uint64_t more = random() % 90; more > 0; --more) {
            drawn += static_cast<char>(random());
        }
        ASSERT_NE(decode(drawn, heard), heard_as::message);
    }
}

TEST(gap_detector, finds_numbers_that_are_missing_within_a_link) {
    gap_detector gaps;
    EXPECT_FALSE(gaps.hear(1, 17)) << "a link that was there before";
    EXPECT_FALSE(gaps.hear(2, 1));
    EXPECT_FALSE(gaps.hear(1, 18));
    EXPECT_FALSE(gaps.hear(1, 18)) << "twice";
    EXPECT_FALSE(gaps.hear(1, 3)) << "late";
    EXPECT_TRUE(gaps.hear(1, 20));
    EXPECT_FALSE(gaps.hear(1, 21)) << "told once";
    EXPECT_FALSE(gaps.hear(2, 2));
    gaps.forget();
    EXPECT_FALSE(gaps.hear(1, 40));
}

TEST(gap_detector, forgets_the_links_that_are_silent_for_longest) {
    gap_detector gaps(2);
    EXPECT_FALSE(gaps.hear(1, 1));
    EXPECT_FALSE(gaps.hear(2, 1));
    EXPECT_FALSE(gaps.hear(1, 2));
    EXPECT_FALSE(gaps.hear(3, 1));
    EXPECT_EQ(gaps.links(), 2U);
    EXPECT_TRUE(gaps.hear(1, 4)) << "still known";
    EXPECT_FALSE(gaps.hear(2, 9)) << "forgotten";
}

TEST(unsent_messages, keeps_the_newest_of_each_key_and_what_says_most) {
    unsent_messages unsent(10);
    unsent.add(about("a", change::expired).message);
    unsent.add(about("a", change::invalidated).message);
    unsent.add(about("a", change::expired).message);
    unsent.add(about("t", change::marked, 5).message);
    unsent.add(about("t", change::marked, 9).message);
    unsent.add(about("t", change::marked, 7).message);
    ASSERT_EQ(unsent.size(), 2U);
    for (int i = 0; i < 2; ++i) {
        const auto letter = unsent.next();
        ASSERT_TRUE(letter);
        const auto& message = letter->linked.message;
        EXPECT_EQ(message.what, message.name == "a" ? change::invalidated : change::marked);
        EXPECT_EQ(message.count, message.name == "a" ? 0U : 9U);
        unsent.confirm(letter->linked, letter->until);
    }
    EXPECT_FALSE(unsent.next());
}

TEST(unsent_messages, keeps_what_came_while_an_earlier_one_was_being_sent) {
    unsent_messages unsent(10);
    unsent.add(about("a").message);
    const auto letter = unsent.next();
    unsent.add(about("a").message);
    unsent.confirm(letter->linked, letter->until);
    EXPECT_EQ(unsent.size(), 1U);
    const std::uint64_t began = unsent.now();
    unsent.confirm(about("a", change::expired), began);
    EXPECT_EQ(unsent.size(), 1U) << "says less";
    unsent.confirm(about("a"), began);
    EXPECT_EQ(unsent.size(), 0U);
}

TEST(unsent_messages, becomes_one_for_everything_when_there_are_too_many) {
    unsent_messages unsent(2);
    for (const char* name : {"a", "b", "c"}) {
        unsent.add(about(name).message);
    }
    EXPECT_EQ(unsent.size(), 1U);
    const auto letter = unsent.next();
    ASSERT_TRUE(letter && letter->linked.is_everything);
    unsent.add(about("d").message);
    unsent.confirm(letter->linked, letter->until);
    EXPECT_EQ(unsent.size(), 1U) << "d came while it was being sent";
    const auto again = unsent.next();
    unsent.confirm(again->linked, again->until);
    EXPECT_EQ(unsent.size(), 0U);
    EXPECT_FALSE(unsent.next());
}

}  // namespace
}  // namespace levee::redis::detail
