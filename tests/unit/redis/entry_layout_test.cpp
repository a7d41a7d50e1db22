#include "redis/entry_layout.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "levee/core/random.hpp"
#include "redis/compression.hpp"

namespace levee::redis::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t no_limit = SIZE_MAX;
constexpr server_times times{.fresh_until = 1'764'000'000'000'000, .stale_until = 1'764'000'000'500'000};

remote_entry entry_of(std::string_view payload) {
    remote_entry made;
    const bytes_view raw = as_bytes(payload);
    made.payload.assign(raw.begin(), raw.end());
    made.version = 0xFFFF'FFFF'FFFF'FFF0;
    made.stamp = 1'764'000'000'000'123;
    made.tags = {"t1", "", std::string("\0x", 2)};
    return made;
}

decoded read(std::string_view stored, std::string_view key = "key") {
    remote_entry entry;
    server_times found;
    return decode(stored, key, no_limit, entry, found);
}

std::string hex(std::string_view of) {
    std::string made;
    for (const char each : of) {
        constexpr const char* digits = "0123456789abcdef";
        made += digits[static_cast<unsigned char>(each) >> 4U];
        made += digits[static_cast<unsigned char>(each) & 15U];
    }
    return made;
}

TEST(entry_layout, brings_back_what_was_encoded) {
    for (const std::string& payload :
         {std::string(), std::string("v"), std::string("a\0b\xFF", 4), std::string(100'000, 'x')}) {
        const remote_entry entry = entry_of(payload);
        remote_entry found;
        server_times lives;
        ASSERT_EQ(decode(encode(encode_tail("key", entry, 0), times), "key", no_limit, found, lives),
                  decoded::entry);
        EXPECT_EQ(found.payload, entry.payload);
        EXPECT_EQ(found.version, entry.version);
        EXPECT_EQ(found.stamp, entry.stamp);
        EXPECT_EQ(found.tags, entry.tags);
        EXPECT_FALSE(found.is_negative);
        EXPECT_EQ(lives.fresh_until, times.fresh_until);
        EXPECT_EQ(lives.stale_until, times.stale_until);
    }
    remote_entry negative;
    negative.is_negative = true;
    remote_entry found;
    server_times lives;
    ASSERT_EQ(decode(encode(encode_tail("", negative, 0), times), "", no_limit, found, lives),
              decoded::entry);
    EXPECT_TRUE(found.is_negative);
}

// Who changes this changes the format's version: servers hold such bytes.
TEST(entry_layout, is_what_version_1_is) {
    remote_entry entry = entry_of("v");
    entry.tags = {"t"};
    EXPECT_EQ(hex(encode(encode_tail("key", entry, 0), times)),
              "4c45564501010000"                  // magic, version, state
              "00000000000000000000000000000000"  // no lease
              "004062415944060020e1694159440600"  // fresh until, stale until
              "004062415944060020e1694159440600"  // and again
              "c06f988c4145e31b"                  // checksum
              "a8609432b7dda1ec"                  // the key's echo
              "f0ffffffffffffff7b40624159440600"  // version, stamp
              "0100000000000100"                  // size, flags, compression, tags
              "0100000074"                        // the tag
              "76");                              // the payload
}

TEST(entry_layout, finds_every_flipped_bit_outside_of_the_lease) {
    const std::string stored = encode(encode_tail("key", entry_of("some payload"), 0), times);
    for (std::size_t at = 0; at < stored.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string flipped = stored;
            flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << bit));
            const bool is_in_lease = at >= 8 && at < lease_end;
            EXPECT_EQ(read(flipped) == decoded::entry, is_in_lease) << "byte " << at << ", bit " << bit;
        }
    }
}

TEST(entry_layout, finds_bytes_that_are_missing_added_or_drawn) {
    const std::string stored = encode(encode_tail("key", entry_of("some payload"), 0), times);
    for (std::size_t size = 0; size < stored.size(); ++size) {
        EXPECT_NE(read(stored.substr(0, size)), decoded::entry) << size;
    }
    EXPECT_EQ(read(stored + "x"), decoded::corrupt);
    xoshiro256 random(7);
    for (int i = 0; i < 200'000; ++i) {
        // Half of them well begun, so that more than the magic is looked at.
        std::string drawn = i % 2 == 0 ? stored.substr(0, random() % stored.size()) : std::string();
        for (std::uint64_t more = random() % 200; more > 0; --more) {
            drawn += static_cast<char>(random());
        }
        ASSERT_NE(read(drawn), decoded::entry);
    }
}

// A right checksum over sizes that lie, as another writer's error could make it.
TEST(entry_layout, believes_no_size_that_does_not_fit) {
    xoshiro256 random(3);
    const std::string good = encode(encode_tail("key", entry_of("some payload"), 0), times);
    int read_as_entries = 0;
    for (int i = 0; i < 100'000; ++i) {
        std::string bad = good;
        const std::size_t at = 88 + random() % (good.size() - 88);
        bad[at] = static_cast<char>(random());
        reseal(bad);
        remote_entry entry;
        server_times lives;
        read_as_entries += decode(bad, "key", 64, entry, lives) == decoded::entry ? 1 : 0;
        ASSERT_LE(entry.payload.size(), 64U);
    }
    EXPECT_GT(read_as_entries, 0);  // changed payloads are sealed anew, too
}

TEST(entry_layout, tells_what_is_not_its_own) {
    EXPECT_EQ(read(""), decoded::foreign);
    EXPECT_EQ(read("hello"), decoded::foreign);
    EXPECT_EQ(read(std::string(500, 'x')), decoded::foreign);
    std::string other_version = encode(encode_tail("key", entry_of("v"), 0), times);
    other_version[4] = 2;
    EXPECT_EQ(read(other_version), decoded::foreign);
    const std::string stored = encode(encode_tail("key", entry_of("v"), 0), times);
    EXPECT_EQ(read(stored, "kez"), decoded::corrupt) << "copied to another key";
    EXPECT_EQ(read(stored.substr(0, 5) + std::string(19, '\0')), decoded::nothing) << "a lease";
}

TEST(entry_layout, returns_nothing_larger_than_allowed) {
    const std::string stored = encode(encode_tail("key", entry_of(std::string(1000, 'x')), 0), times);
    remote_entry entry;
    server_times lives;
    EXPECT_EQ(decode(stored, "key", 999, entry, lives), decoded::oversized);
    EXPECT_EQ(decode(stored, "key", 1000, entry, lives), decoded::entry);
}

TEST(entry_layout, compresses_what_is_larger_than_asked_if_that_helps) {
    if (!can_compress()) {
        GTEST_SKIP() << "built without zstd";
    }
    const std::string text(10'000, 'x');
    const std::string plain = encode_tail("key", entry_of(text), 10'000);
    EXPECT_FALSE(is_compressed(plain));
    const std::string small = encode_tail("key", entry_of(text), 9'999);
    EXPECT_TRUE(is_compressed(small));
    EXPECT_LT(small.size(), 200U);
    remote_entry found;
    server_times lives;
    ASSERT_EQ(decode(encode(small, times), "key", 10'000, found, lives), decoded::entry);
    EXPECT_EQ(as_text(found.payload), text);
    EXPECT_EQ(decode(encode(small, times), "key", 9'999, found, lives), decoded::oversized);
    std::string noise;
    xoshiro256 random(1);
    while (noise.size() < 10'000) {
        noise += static_cast<char>(random());
    }
    EXPECT_FALSE(is_compressed(encode_tail("key", entry_of(noise), 1))) << "it would not become smaller";
    for (std::size_t at = 88; at < small.size() + times_end; ++at) {  // damage that is sealed anew
        std::string bad = encode(small, times);
        bad[at] = static_cast<char>(static_cast<unsigned char>(bad[at]) ^ 0x55U);
        reseal(bad);
        static_cast<void>(decode(bad, "key", 20'000, found, lives));
        ASSERT_LE(found.payload.size(), 20'000U);
    }
}

TEST(entry_layout, keeps_times_within_what_lua_can_count) {
    EXPECT_EQ(script_duration(duration::max()), -1);
    EXPECT_EQ(script_duration(-5s), 0);
    EXPECT_EQ(script_duration(1999ns), 1);
    EXPECT_EQ(script_duration(duration::max() - 1ns), 876'000LL * 3600 * 1'000'000);
    EXPECT_LT(after_microseconds(1'800'000'000'000'000, script_duration(duration::max() - 1ns)), for_ever);
    EXPECT_EQ(after_microseconds(5, -1), for_ever);
    EXPECT_EQ(token_bytes(0x0102030405060708), std::string("\x08\x07\x06\x05\x04\x03\x02\x01"));
}

}  // namespace
}  // namespace levee::redis::detail
