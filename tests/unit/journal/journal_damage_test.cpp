// Torn tails and rotten middles, byte by byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "journal/crc32c.hpp"
#include "journal/record.hpp"
#include "journal/segment_names.hpp"
#include "journal/segment_scan.hpp"
#include "journal_support.hpp"
#include "levee/core/error.hpp"

namespace {

using namespace levee::tests;
using levee::journal_damage_kind;
namespace format = levee::journal_format;

/// A segment as a process that died left it: five records, each synced before the next.
levee::bytes five_records(records& all) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    for (int i = 1; i <= 5; ++i) {
        const std::string text =
            "record " + std::string(static_cast<std::size_t>(i * 3), static_cast<char>('0' + i));
        all.emplace_back(one.put_safely(text), text);
    }
    return disk->read(segment(1));
}

std::size_t size_of(const records& some, std::size_t count) {
    std::size_t size = format::segment_header_size;
    for (std::size_t i = 0; i < count; ++i) {
        size += format::record_header_size + some[i].second.size();
    }
    return size;
}

std::shared_ptr<power_loss_files> disk_with(levee::bytes content) {
    auto disk = std::make_shared<power_loss_files>();
    disk->plant(segment(1), std::move(content));
    return disk;
}

bool has_corrupt_file(power_loss_files& disk) {
    const auto names = disk.list();
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.ends_with(".corrupt"); });
}

TEST(journal_damage, a_tail_cut_at_any_byte_costs_only_what_was_cut) {
    records all;
    const levee::bytes whole = five_records(all);
    ASSERT_EQ(whole.size(), size_of(all, 5));
    for (std::size_t length = size_of(all, 3); length <= whole.size(); ++length) {
        SCOPED_TRACE(length);
        const auto disk =
            disk_with(levee::bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
        std::size_t kept = 3;
        while (kept < 5 && size_of(all, kept + 1) <= length) {
            ++kept;
        }
        for (int opening = 1; opening <= 2; ++opening) {
            opened one(on(disk));
            EXPECT_EQ(one.replayed, records(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept)));
            const auto& damage = one.log->recovery().damage;
            if (opening == 1 && length != size_of(all, kept)) {
                ASSERT_EQ(damage.size(), 1U);
                EXPECT_EQ(damage[0].kind, journal_damage_kind::torn_tail);
                EXPECT_EQ(damage[0].offset, size_of(all, kept));
                EXPECT_EQ(damage[0].size, length - size_of(all, kept));
            } else {
                EXPECT_TRUE(damage.empty());  // it was cut off
            }
            if (opening == 2) {
                EXPECT_EQ(one.log->append(levee::as_bytes("")), kept + 1);
            }
        }
        EXPECT_FALSE(has_corrupt_file(*disk));
    }
}

TEST(journal_damage, a_tail_of_zeros_was_allocated_ahead_and_is_no_damage) {
    records all;
    levee::bytes content = five_records(all);
    content.resize(content.size() + 3000);
    const auto disk = disk_with(std::move(content));
    opened one(on(disk));
    EXPECT_EQ(one.replayed, all);
    EXPECT_TRUE(one.log->recovery().damage.empty());
}

TEST(journal_damage, a_flipped_bit_in_the_middle_costs_one_record_and_is_reported) {
    records all;
    const levee::bytes whole = five_records(all);
    records rest = all;
    rest.erase(rest.begin() + 2);
    for (std::size_t at = size_of(all, 2); at < size_of(all, 3); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            SCOPED_TRACE(std::to_string(at) + " bit " + std::to_string(bit));
            levee::bytes content = whole;
            content[at] ^= static_cast<std::byte>(1U << static_cast<unsigned>(bit));
            const levee::bytes spoilt = content;
            const auto disk = disk_with(std::move(content));
            std::vector<levee::journal_damage> told;
            auto options = on(disk);
            options.observer = [&](const levee::journal_event& event) {
                if (event.kind == levee::journal_event_kind::damaged) {
                    told.push_back(event.damage);
                }
            };
            {
                opened one(options);
                EXPECT_EQ(one.replayed, rest);
                ASSERT_EQ(told.size(), 1U);
                EXPECT_EQ(told[0].kind, journal_damage_kind::corrupt);
                EXPECT_EQ(told[0].segment, segment(1));
                EXPECT_EQ(told[0].offset, size_of(all, 2));
                EXPECT_EQ(told[0].size, size_of(all, 3) - size_of(all, 2));
                EXPECT_EQ(told[0].first_lost, 3U);
                EXPECT_EQ(told[0].last_lost, 3U);
                EXPECT_EQ(disk->read(told[0].kept_as), spoilt);
                EXPECT_EQ(one.log->stats().pending, 4U);
            }
            told.clear();
            EXPECT_EQ(opened(options).replayed, rest);
            EXPECT_TRUE(told.empty());  // once
        }
    }
}

TEST(journal_damage, a_flipped_bit_in_the_segments_header_costs_no_record) {
    records all;
    const levee::bytes whole = five_records(all);
    for (std::size_t at = 0; at < format::segment_header_size; ++at) {
        SCOPED_TRACE(at);
        levee::bytes content = whole;
        content[at] ^= std::byte{4};
        const auto disk = disk_with(std::move(content));
        opened one(on(disk));
        EXPECT_EQ(one.replayed, all);
        ASSERT_EQ(one.log->recovery().damage.size(), 1U);
        EXPECT_GT(one.log->recovery().damage[0].first_lost, one.log->recovery().damage[0].last_lost);
        EXPECT_TRUE(has_corrupt_file(*disk));
    }
}

TEST(journal_damage, a_record_that_lost_its_end_in_an_older_segment_is_not_taken_for_a_torn_tail) {
    const auto disk = std::make_shared<power_loss_files>();
    records all;
    {
        opened one(on(disk));
        for (int i = 0; i < 8; ++i) {  // three a segment
            const std::string text(1200, static_cast<char>('a' + i));
            all.emplace_back(one.put_safely(text), text);
        }
        disk->cut_power();
    }
    disk->power_on(power_loss::none);
    levee::bytes content = disk->read(segment(1));
    content.resize(content.size() - 1);
    disk->plant(segment(1), content);
    {
        opened one(on(disk));
        records rest = all;
        rest.erase(rest.begin() + 2);
        EXPECT_EQ(one.replayed, rest);
        ASSERT_EQ(one.log->recovery().damage.size(), 1U);
        const auto& damage = one.log->recovery().damage[0];
        EXPECT_EQ(damage.kind, journal_damage_kind::corrupt);
        EXPECT_EQ(damage.first_lost, 3U);
        EXPECT_EQ(damage.last_lost, 3U);
        one.log->release(1);
    }
    EXPECT_TRUE(opened(on(disk)).log->recovery().damage.empty());
}

TEST(journal_damage, a_later_repair_of_the_same_segment_keeps_both_files) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened one(on(disk));
        for (int i = 0; i < 8; ++i) {
            one.put_safely(std::string(1200, static_cast<char>('a' + i)));
        }
    }
    for (int i = 0; i < 2; ++i) {
        levee::bytes content = disk->read(segment(1));
        content[200] ^= std::byte{1};
        disk->plant(segment(1), content);
        EXPECT_EQ(opened(on(disk)).replayed.size(), 7U - static_cast<std::size_t>(i));
    }
    const auto names = disk->list();
    EXPECT_EQ(
        std::count_if(names.begin(), names.end(),
                      [](const std::string& name) { return name.find(".corrupt") != std::string::npos; }),
        2);
}

TEST(journal_damage, a_newer_version_is_refused_and_left_alone) {
    levee::bytes content;
    levee::journal_detail::append_header(content,
                                         {.version = format::version + 1, .number = 1, .first_sequence = 1});
    const levee::bytes before = content;
    const auto disk = disk_with(std::move(content));
    try {
        opened one(on(disk));
        FAIL() << "it was opened";
    } catch (const levee::error& failed) {
        EXPECT_EQ(failed.code(), levee::errc::invalid_data);
        EXPECT_NE(std::string(failed.what()).find("version 2"), std::string::npos) << failed.what();
    }
    EXPECT_EQ(disk->read(segment(1)), before);
}

TEST(journal_damage, foreign_files_are_left_alone) {
    const auto disk = std::make_shared<power_loss_files>();
    for (const char* name : {"lock", "README", "00000000000000zz.journal", "0000000000000001.journal.gz"}) {
        disk->plant(name, levee::bytes(10));
    }
    {
        opened one(on(disk));
    }
    EXPECT_EQ(disk->list().size(), 5U);
}

// The parser alone.

TEST(segment_scan, does_not_look_for_records_inside_a_payload_whose_length_is_known) {
    using namespace levee::journal_detail;
    levee::bytes inner;
    append_record(inner, 2, 0, levee::as_bytes("x"), crc32c(levee::as_bytes("x")));
    levee::bytes content;
    append_header(content, {.number = 1, .first_sequence = 1});
    append_record(content, 1, 0, inner, crc32c(inner) + 1);  // as if rotten
    append_record(content, 3, 0, levee::as_bytes("y"), crc32c(levee::as_bytes("y")));
    std::vector<std::uint64_t> seen;
    const auto scan =
        scan_segment(content, [&](const scanned_record& record) { seen.push_back(record.header.sequence); });
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{3}));
    ASSERT_EQ(scan.holes.size(), 1U);
    EXPECT_EQ(scan.holes[0].size, format::record_header_size + inner.size());
}

TEST(segment_names, are_read_as_they_are_written) {
    using levee::journal_detail::parse_segment_name;
    using levee::journal_detail::segment_name;
    EXPECT_EQ(segment_name(0x1f), "000000000000001f.journal");
    EXPECT_EQ(parse_segment_name(segment_name(0xfedcba9876543210)).number, 0xfedcba9876543210);
    EXPECT_EQ(parse_segment_name("000000000000001f.repair").suffix, ".repair");
    for (const char* name : {"", "lock", "00000000000001f.journal", "-000000000000001.journal"}) {
        EXPECT_EQ(parse_segment_name(name).number, 0U) << name;
    }
}

}  // namespace
