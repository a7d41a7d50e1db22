// The journal's promises, on a disk in memory.
#include "levee/journal/journal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "journal_support.hpp"
#include "levee/core/error.hpp"
#include "levee/testing/manual_clock.hpp"

namespace {

using namespace levee::tests;
using levee::errc;
using levee::journal_damage_kind;
using levee::journal_event;
using levee::journal_event_kind;
using levee::journal_options;
using levee::journal_sync;
using levee::time_point;

std::error_code code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const levee::error& failed) {
        return failed.code();
    }
    return {};
}

TEST(journal, replays_what_was_not_released_in_order) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened first(on(disk));
        EXPECT_TRUE(first.replayed.empty());
        EXPECT_EQ(first.put("a"), 1U);
        EXPECT_EQ(first.put(""), 2U);
        EXPECT_EQ(first.put("c"), 3U);
        first.log->release(1);
    }
    opened second(on(disk));
    EXPECT_EQ(second.replayed, (records{{2, ""}, {3, "c"}}));
    EXPECT_EQ(second.log->stats().pending, 2U);
    EXPECT_EQ(second.put("d"), 4U);
}

TEST(journal, replays_released_records_after_one_that_was_not) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened first(on(disk));
        for (const char* text : {"a", "b", "c"}) {
            first.put(text);
        }
        first.log->release(std::array<std::uint64_t, 2>{2, 3});
        EXPECT_EQ(first.log->stats().pending, 1U);
    }
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}, {2, "b"}, {3, "c"}}));
}

TEST(journal, replays_nothing_after_all_was_released_and_goes_on_counting) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened first(on(disk));
        first.put("a");
        first.put("b");
        first.log->release(2);
        first.log->release(1);
    }
    opened second(on(disk));
    EXPECT_TRUE(second.replayed.empty());
    EXPECT_EQ(second.put("c"), 3U);
}

TEST(journal, replay_is_the_same_however_often_it_is_opened) {
    const auto disk = std::make_shared<power_loss_files>();
    records all;
    {
        opened first(on(disk));
        for (int i = 1; i <= 300; ++i) {  // several segments
            const std::string text(static_cast<std::size_t>(i % 97), 'x');
            all.emplace_back(first.put_safely(text), text);
        }
    }
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(opened(on(disk)).replayed, all);
    }
    {
        opened last(on(disk));
        for (const auto& [sequence, text] : last.replayed) {
            last.log->release(sequence);
        }
    }
    EXPECT_TRUE(opened(on(disk)).replayed.empty());
}

TEST(journal, deletes_a_segment_when_all_up_to_its_end_is_released) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    const std::string text(1000, 'x');
    for (int i = 0; i < 12; ++i) {  // three a segment
        one.put_safely(text);
    }
    EXPECT_EQ(one.log->stats().segments, 4U);
    for (std::uint64_t sequence = 4; sequence <= 12; ++sequence) {
        one.log->release(sequence);
    }
    EXPECT_EQ(one.log->stats().segments, 4U);
    one.log->release(1);
    one.log->release(2);
    EXPECT_EQ(one.log->stats().segments, 4U);
    one.log->release(3);
    EXPECT_EQ(one.log->stats().segments, 1U);
    EXPECT_EQ(one.log->stats().pending, 0U);
    EXPECT_LT(one.log->stats().bytes, 4096U);
}

TEST(journal, refuses_what_does_not_fit_and_takes_it_when_there_is_room_again) {
    const auto disk = std::make_shared<power_loss_files>();
    auto options = on(disk);
    options.max_bytes = 3 * 4096;
    opened one(options);
    const std::string text(500, 'x');
    std::vector<std::uint64_t> taken;
    std::error_code refused;
    while (!refused) {
        refused = code_of([&] { taken.push_back(one.put_safely(text)); });
        EXPECT_LE(one.log->stats().bytes, options.max_bytes);
    }
    EXPECT_EQ(refused, errc::full);
    EXPECT_GT(taken.size(), 15U);
    EXPECT_EQ(one.log->stats().refused, 1U);
    one.log->release(taken);
    EXPECT_EQ(one.put_safely(text), taken.back() + 1);
}

TEST(journal, refuses_a_record_that_no_segment_could_hold) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    EXPECT_EQ(code_of([&] { one.put(std::string(4001, 'x')); }), std::errc::message_size);
    EXPECT_EQ(one.put_safely(std::string(4000, 'x')), 1U);
    EXPECT_EQ(one.put_safely(std::string(4000, 'y')), 2U);
}

TEST(journal, appends_several_or_none) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    const std::string big(4001, 'x');
    const std::array<levee::bytes_view, 2> good{levee::as_bytes("a"), levee::as_bytes("b")};
    const std::array<levee::bytes_view, 2> bad{levee::as_bytes("a"), levee::as_bytes(big)};
    EXPECT_EQ(one.log->append(good), 1U);
    EXPECT_EQ(code_of([&] { one.log->append(bad); }), std::errc::message_size);
    EXPECT_EQ(one.put("c"), 3U);
    EXPECT_EQ(one.log->append(std::span<const levee::bytes_view>()), 4U);
}

TEST(journal, refuses_a_second_owner) {
    const auto disk = std::make_shared<power_loss_files>();
    auto first = std::make_unique<opened>(on(disk));
    EXPECT_EQ(code_of([&] { opened second(on(disk)); }), errc::unavailable);
    first.reset();
    EXPECT_FALSE(code_of([&] { opened second(on(disk)); }));
}

TEST(journal, is_not_opened_where_nothing_can_be_written) {
    const auto disk = std::make_shared<power_loss_files>();
    disk->set_read_only(true);
    EXPECT_EQ(code_of([&] { opened one(on(disk)); }), std::errc::read_only_file_system);
    disk->set_read_only(false);
    EXPECT_FALSE(code_of([&] { opened one(on(disk)); }));
}

TEST(journal, takes_nothing_after_close) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    one.put("a");
    one.log->close();
    one.log->close();
    EXPECT_EQ(code_of([&] { one.put("b"); }), errc::closed);
    one.log->wait_durable(1, soon());
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}}));
}

TEST(journal, names_wrong_options_and_sequences) {
    const auto disk = std::make_shared<power_loss_files>();
    for (const auto& spoil : std::vector<std::function<void(journal_options&)>>{
             [](auto& o) { o.segment_bytes = 100; }, [](auto& o) { o.max_bytes = 100; },
             [](auto& o) { o.sync_interval = 1us; }, [](auto& o) { o.files = nullptr; }}) {
        auto options = on(disk);
        spoil(options);
        EXPECT_THROW(opened{options}, std::invalid_argument);
    }
    EXPECT_THROW(levee::journal(on(disk), nullptr), std::invalid_argument);
    opened one(on(disk));
    EXPECT_THROW(one.log->wait_durable(1, soon()), std::out_of_range);
    EXPECT_THROW(one.log->release(0), std::out_of_range);
    one.put("a");
    EXPECT_THROW(one.log->release(2), std::out_of_range);
}

TEST(journal, lets_the_visitor_fail_and_can_be_opened_again) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened(on(disk)).put("a");
    }
    const auto refuse = [](std::uint64_t, levee::bytes_view) { throw std::runtime_error("not now"); };
    EXPECT_THROW(levee::journal(on(disk), refuse), std::runtime_error);
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}}));
}

// Syncing.

TEST(journal, always_syncs_once_for_all_that_was_appended_before) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    const auto before = one.log->stats().syncs;
    for (int i = 0; i < 10; ++i) {
        one.put("x");
    }
    EXPECT_EQ(one.log->stats().lag, 10U);
    one.log->wait_durable(10, soon());
    one.log->wait_durable(1, soon());
    EXPECT_EQ(one.log->stats().syncs, before + 1);
    EXPECT_EQ(one.log->stats().lag, 0U);
    EXPECT_EQ(one.log->stats().records_per_sync(), 10.0 / static_cast<double>(before + 1));
}

TEST(journal, a_wait_whose_deadline_has_passed_does_nothing) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    one.put("x");
    EXPECT_EQ(code_of([&] { one.log->wait_durable(1, time_point{}); }), errc::timeout);
    EXPECT_EQ(one.log->stats().lag, 1U);
}

TEST(journal, every_syncs_when_the_interval_has_passed) {
    const auto disk = std::make_shared<power_loss_files>();
    const levee::testing::manual_clock time;
    auto options = on(disk);
    options.sync = journal_sync::every;
    options.clock = &time;
    opened one(options);
    EXPECT_EQ(one.log->next_sync_at(), (time_point::max)());
    const auto before = one.log->stats().syncs;
    one.put_safely("a");
    EXPECT_EQ(one.log->next_sync_at(), time.now() + 10ms);
    const_cast<levee::testing::manual_clock&>(time).advance(9ms);
    one.put_safely("b");
    one.log->run_sync();
    EXPECT_EQ(one.log->stats().syncs, before);
    EXPECT_EQ(one.log->stats().oldest_lag, 9ms);
    const_cast<levee::testing::manual_clock&>(time).advance(1ms);
    one.log->run_sync();
    EXPECT_EQ(one.log->stats().syncs, before + 1);
    EXPECT_EQ(one.log->stats().lag, 0U);
    EXPECT_EQ(one.log->next_sync_at(), (time_point::max)());
}

TEST(journal, off_never_syncs_unless_asked_to) {
    const auto disk = std::make_shared<power_loss_files>();
    auto options = on(disk);
    options.sync = journal_sync::off;
    opened one(options);
    const auto before = one.log->stats().syncs;
    one.put_safely("a");
    EXPECT_EQ(one.log->stats().syncs, before);
    EXPECT_EQ(one.log->stats().durable_through, 1U);
    one.log->sync(soon());
    EXPECT_EQ(one.log->stats().syncs, before + 1);
}

TEST(journal, asks_for_a_thread_when_an_async_writer_waits) {
    const auto disk = std::make_shared<power_loss_files>();
    auto options = on(disk);
    std::vector<time_point> asked;
    options.schedule = [&](time_point when) { asked.push_back(when); };
    opened one(options);
    std::vector<int> done;
    for (int i = 1; i <= 3; ++i) {
        const auto sequence = one.put("x");
        EXPECT_TRUE(asked.size() == (i == 1 ? 0U : 1U));
        one.log->when_durable(sequence, [&done, i](std::exception_ptr failed) {
            EXPECT_EQ(failed, nullptr);
            done.push_back(i);
        });
    }
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_LE(asked[0], levee::clock::precise().now());
    EXPECT_TRUE(done.empty());
    one.log->run_sync();
    EXPECT_EQ(done, (std::vector<int>{1, 2, 3}));
    one.log->when_durable(2, [&](std::exception_ptr) { done.push_back(4); });
    EXPECT_EQ(done.back(), 4);
    EXPECT_EQ(asked.size(), 1U);
}

TEST(journal, a_callback_may_append_and_wait_asynchronously_again) {
    const auto disk = std::make_shared<power_loss_files>();
    auto options = on(disk);
    int asked = 0;
    options.schedule = [&](time_point) { ++asked; };
    opened one(options);
    int rounds = 0;
    std::function<void(std::exception_ptr)> again = [&](std::exception_ptr failed) {
        ASSERT_EQ(failed, nullptr);
        if (++rounds < 5) {
            one.log->when_durable(one.put("x"), again);
        }
    };
    one.log->when_durable(one.put("x"), again);
    while (asked > 0) {
        --asked;
        one.log->run_sync();
    }
    EXPECT_EQ(rounds, 5);
}

TEST(journal, asks_for_a_thread_to_write_its_mark) {
    const auto disk = std::make_shared<power_loss_files>();
    levee::testing::manual_clock time;
    auto options = on(disk);
    options.clock = &time;
    std::vector<time_point> asked;
    options.schedule = [&](time_point when) { asked.push_back(when); };
    {
        opened one(options);
        one.put_safely("a");
        one.put_safely("b");
        one.log->release(1);
        ASSERT_EQ(asked, (std::vector<time_point>{time.now() + 1s}));
        time.advance(1s);
        one.log->run_sync();
        disk->cut_power();  // so that closing writes nothing
    }
    disk->power_on(power_loss::none);
    options.schedule = nullptr;
    EXPECT_EQ(opened(options).replayed, (records{{2, "b"}}));
}

TEST(journal, close_serves_async_waiters) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    bool is_safe = false;
    one.log->when_durable(one.put("x"), [&](std::exception_ptr failed) { is_safe = failed == nullptr; });
    one.log->close();
    EXPECT_TRUE(is_safe);
}

// Failures.

TEST(journal, a_failed_sync_costs_the_file_and_not_the_records) {
    const auto disk = std::make_shared<power_loss_files>();
    auto options = on(disk);
    std::vector<journal_event_kind> seen;
    options.observer = [&](const journal_event& event) { seen.push_back(event.kind); };
    opened one(options);
    one.put_safely("a");
    disk->fail_syncs(1);
    one.put_safely("b");
    one.put_safely("c");
    EXPECT_EQ(seen, (std::vector{journal_event_kind::segment_began, journal_event_kind::segment_given_up,
                                 journal_event_kind::segment_began}));
    EXPECT_EQ(one.log->stats().given_up, 1U);
    disk->cut_power();
    one.log.reset();
    disk->power_on(power_loss::unsynced);
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}, {2, "b"}, {3, "c"}}));
}

TEST(journal, tells_who_waits_when_the_new_file_fails_as_well) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    one.put_safely("a");
    one.put("b");
    const auto third = one.put("c");
    disk->fail_syncs(2);
    EXPECT_EQ(code_of([&] { one.log->wait_durable(third, soon()); }), std::errc::io_error);
    EXPECT_EQ(code_of([&] { one.log->wait_durable(2, soon()); }), std::errc::io_error);
    EXPECT_EQ(one.log->stats().failed, 2U);
    EXPECT_EQ(one.log->stats().pending, 1U);
    one.put_safely("d");  // the disk works again
    EXPECT_EQ(code_of([&] { one.log->wait_durable(2, soon()); }), std::errc::io_error);
    disk->cut_power();
    one.log.reset();
    disk->power_on(power_loss::unsynced);
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}, {4, "d"}}));
}

TEST(journal, works_again_when_a_full_disk_has_room) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    one.put_safely("a");
    disk->set_capacity(200);
    const std::string text(100, 'x');
    EXPECT_EQ(code_of([&] { one.put_safely(text); }), std::errc::no_space_on_device);
    EXPECT_EQ(code_of([&] { one.put_safely(text); }), std::errc::no_space_on_device);
    disk->set_capacity(100'000);
    const auto sequence = one.put_safely(text);
    one.log.reset();
    opened again(on(disk));
    ASSERT_EQ(again.replayed.size(), 2U);
    EXPECT_EQ(again.replayed[0].second, "a");
    EXPECT_EQ(again.replayed[1].first, sequence);
    EXPECT_TRUE(again.log->recovery().damage.empty());
}

TEST(journal, writes_on_where_a_write_was_short) {
    const auto disk = std::make_shared<power_loss_files>();
    disk->set_short_writes(true);
    records all;
    {
        opened one(on(disk));
        for (int i = 0; i < 100; ++i) {
            const std::string text(50, static_cast<char>('a' + i % 26));
            all.emplace_back(one.put_safely(text), text);
        }
    }
    EXPECT_EQ(opened(on(disk)).replayed, all);
}

TEST(journal, keeps_what_every_acknowledged_until_a_file_takes_it) {
    const auto disk = std::make_shared<power_loss_files>();
    levee::testing::manual_clock time;
    auto options = on(disk);
    options.sync = journal_sync::every;
    options.clock = &time;
    std::vector<journal_event> seen;
    options.observer = [&](const journal_event& event) { seen.push_back(event); };
    opened one(options);
    one.put_safely("a");
    time.advance(10ms);
    disk->fail_syncs(2);
    one.log->run_sync();
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().kind, journal_event_kind::records_at_risk);
    EXPECT_EQ(seen.back().first, 1U);
    EXPECT_EQ(seen.back().last, 1U);
    EXPECT_LE(one.log->next_sync_at(), time.now());
    one.log->run_sync();
    EXPECT_EQ(one.log->stats().lag, 0U);
    disk->cut_power();
    one.log.reset();
    disk->power_on(power_loss::unsynced);
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}}));
}

TEST(journal, finds_in_a_file_given_up_what_a_death_kept_from_being_written_again) {
    const auto disk = std::make_shared<power_loss_files>();
    levee::testing::manual_clock time;
    auto options = on(disk);
    options.sync = journal_sync::every;
    options.clock = &time;
    {
        opened one(options);
        one.put_safely("a");
        one.put_safely("b");
        time.advance(10ms);
        disk->fail_syncs(1);
        disk->set_capacity(disk->read(segment(1)).size() +
                           80);  // the next segment's header, and not much more
        one.log->run_sync();
        EXPECT_EQ(one.log->stats().lag, 2U);
        disk->cut_power();
    }
    disk->power_on(power_loss::none);
    disk->set_capacity(10'000);
    EXPECT_EQ(opened(options).replayed, (records{{1, "a"}, {2, "b"}}));
}

TEST(journal, a_failed_record_does_not_come_back_when_the_next_file_given_up_is_lost) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        opened one(on(disk));
        one.put_safely("a");
        disk->fail_syncs(2);
        EXPECT_EQ(code_of([&] { one.put_safely("b"); }), std::errc::io_error);
        one.put_safely("c");  // in the third segment
        disk->cut_power();
    }
    disk->power_on(power_loss::none);
    disk->plant(segment(2), {});
    EXPECT_EQ(opened(on(disk)).replayed, (records{{1, "a"}, {3, "c"}}));
}

}  // namespace
