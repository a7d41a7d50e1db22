// Dead letters at bad moments: slow disks, crashes, the end, writes that never were.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "levee/testing/power_loss_files.hpp"
#include "support/temp_dir.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace tests;

text_options journaled_in(const std::string& folder, text_options options = {}) {
    options.journal.emplace();
    options.journal->folder = folder;
    return options;
}

/// A bench whose journals' disk works only when it is told to, but for what blocks.
struct slow_disk_bench {
    explicit slow_disk_bench(text_options options)
        : b(std::move(options), 100, [this](auto& with) { with.blocking_executor = disk.get_executor(); }) {}
    void work() {
        disk.restart();
        disk.poll();
    }
    void put(int key, const std::string& value) {
        auto done = b.cache.async_put(key, value, b.token());
        b.world.run_for(1ms);
        work();
        b.world.run_for(1ms);
        done.get();
    }
    asio::io_context disk;
    bench b;
};

/// What the folder would be after kill -9.
void copy_as_killed(const std::string& from, const std::string& to) {
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

std::exception_ptr refuse_all(const text_op& /*any*/) {
    return failure(errc::invalid_data);
}

// Letters that come too late.

TEST(write_behind_letters, a_letter_that_came_too_late_does_not_take_its_write_away_after_a_crash) {
    const temp_dir dir;
    {
        slow_disk_bench slow(journaled_in(
            dir / "j",
            {.flush_interval = 10ms, .durable_timeout = 2s, .backoff = {.initial = 1h, .max = 2h}}));
        slow.b.db->refuse_row = refuse_all;
        slow.put(1, "acknowledged");
        slow.b.world.run_for(2100ms);
        EXPECT_TRUE(slow.b.cache.dead_letters().empty());
        EXPECT_EQ(slow.b.cache.stats().pending, 1U);
        slow.work();
        copy_as_killed(dir / "j", dir / "killed");
    }
    bench next(journaled_in(dir / "killed", {.flush_interval = 10ms}));
    EXPECT_TRUE(next.cache.dead_letters().empty());
    next.world.run_for(1s);
    EXPECT_EQ(next.db->rows[1], "acknowledged");
}

TEST(write_behind_letters, a_letter_that_came_too_late_is_no_letter_of_the_next_owner) {
    const temp_dir dir;
    {
        slow_disk_bench slow(journaled_in(
            dir / "j",
            {.flush_interval = 10ms, .durable_timeout = 2s, .backoff = {.initial = 1h, .max = 1h}}));
        bench& b = slow.b;
        b.db->refuse_row = refuse_all;
        slow.put(9, "a letter that stays");
        b.world.run_for(100ms);
        slow.work();
        b.world.run_for(100ms);
        ASSERT_EQ(b.cache.dead_letters().size(), 1U);
        slow.put(1, "old");
        b.world.run_for(2100ms);
        slow.work();
        ASSERT_EQ(b.cache.dead_letters().size(), 1U);
        b.db->refuse_row = nullptr;
        b.world.run_for(3h);
        ASSERT_EQ(b.db->rows[1], "old");
        slow.put(1, "newer");
        ASSERT_TRUE(b.flush());
        b.cache.close(0s);
    }
    bench next(journaled_in(dir / "j"));
    ASSERT_EQ(next.cache.dead_letters().size(), 1U);
    EXPECT_EQ(next.cache.dead_letters()[0].operation.key, 9);
}

TEST(write_behind_letters, a_letter_whose_telling_a_crash_may_have_cut_off_is_told_by_the_next_owner) {
    const temp_dir dir;
    std::vector<std::uint64_t> told;
    {
        bench b(journaled_in(dir / "j", {.flush_interval = 10ms, .on_dead_letter = [&](const auto&) {
                                             copy_as_killed(dir / "j", dir / "killed");
                                         }}));
        b.db->refuse_row = refuse_all;
        b.get([&](auto token) { return b.cache.async_put(1, "a", token); }, 1s);
        b.world.run_for(1s);
        ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    }
    const auto note = [&](const dead_letter<int, std::string>& each) { told.push_back(each.id); };
    {
        bench closed_at_once(journaled_in(dir / "killed", {.on_dead_letter = note}));
    }
    EXPECT_TRUE(told.empty());
    {
        bench next(journaled_in(dir / "killed", {.on_dead_letter = note}));
        next.world.run_for(1s);
        ASSERT_EQ(next.cache.dead_letters().size(), 1U);
        EXPECT_EQ(told, (std::vector<std::uint64_t>{next.cache.dead_letters()[0].id}));
        next.cache.close(0s);
    }
    bench after(journaled_in(dir / "killed", {.on_dead_letter = note}));
    after.world.run_for(1s);
    EXPECT_EQ(after.cache.dead_letters().size(), 1U);
    EXPECT_EQ(told.size(), 1U);
}

TEST(write_behind_letters, a_write_that_stood_for_older_ones_has_given_them_up_too) {
    const temp_dir dir;
    {
        bench b(journaled_in(dir / "j", {.flush_interval = 1s, .on_dead_letter = [&](const auto&) {
                                             copy_as_killed(dir / "j", dir / "killed");
                                         }}));
        b.db->refuse_row = refuse_all;
        auto older = b.cache.async_put(1, "a", b.token());
        auto newer = b.cache.async_put(1, "b", b.token());
        b.world.run_for(2s);
        ASSERT_EQ(values_of(b.cache.dead_letters()), std::vector<std::string>{"b"});
    }
    int told = 0;
    bench next(
        journaled_in(dir / "killed", {.flush_interval = 1s, .on_dead_letter = [&](const auto&) { ++told; }}));
    EXPECT_EQ(next.cache.stats().replayed, 2U);
    EXPECT_EQ(next.cache.stats().pending, 0U);
    auto after = next.cache.async_put(1, "c", next.token());
    next.world.run_for(2s);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(next.cache.dead_letters().size(), 1U);
    EXPECT_TRUE(next.cache.dead_letters()[0].is_superseded);
    ASSERT_EQ(next.db->batches.size(), 1U);
    EXPECT_EQ(next.db->rows[1], "c");
    EXPECT_EQ(next.cache.stats().journal.pending, 0U);
}

// Letters that are discarded or redriven.

/// Key 1 has a letter, and a write of key 2, older than that, has no end: no mark goes past the letter's
/// write.
void give_up_behind_one_that_waits(bench& b) {
    b.db->refuse = [](const text_op& each) {
        if (each.key == 2) {
            throw error(errc::unavailable);
        }
    };
    b.db->refuse_row = [](const text_op& each) {
        return each.key == 1 ? failure(errc::invalid_data) : nullptr;
    };
    b.get([&](auto token) { return b.cache.async_put(2, "waits", token); }, 1ms);
    b.get([&](auto token) { return b.cache.async_put(1, "older", token); }, 1ms);
    b.get([&](auto token) { return b.cache.async_put(1, "given up", token); }, 1ms);
    b.world.run_for(1min);
}

TEST(write_behind_letters, a_discarded_letter_and_its_write_are_gone_after_a_crash) {
    const temp_dir dir;
    const text_options options{
        .flush_interval = 10ms, .batch_size = 2, .backoff = {.initial = 10ms, .max = 100ms}};
    {
        bench b(journaled_in(dir / "j", options));
        give_up_behind_one_that_waits(b);
        ASSERT_EQ(values_of(b.cache.dead_letters()), std::vector<std::string>{"given up"});
        EXPECT_TRUE(b.cache.discard(b.cache.dead_letters()[0].id));
        copy_as_killed(dir / "j", dir / "killed");
        b.get([&](auto token) { return b.cache.async_put(1, "newer", token); }, 1ms);
        copy_as_killed(dir / "j", dir / "killed later");
    }
    for (int restart = 0; restart < 2; ++restart) {  // what is said about the write outlives a second crash
        const std::string from = restart == 0 ? "killed" : "killed again";
        bench next(journaled_in(dir / from, options));
        next.db->refuse = [](const text_op& each) {
            if (each.key == 2) {
                throw error(errc::unavailable);
            }
        };
        next.world.run_for(1s);
        EXPECT_EQ(next.cache.stats().replayed, 3U);
        EXPECT_TRUE(next.cache.dead_letters().empty());
        EXPECT_EQ(next.db->rows.count(1), 0U) << next.db->rows[1];
        EXPECT_EQ(next.cache.stats().pending, 1U);
        if (restart == 0) {
            copy_as_killed(dir / "killed", dir / "killed again");
        }
    }
    bench later(journaled_in(dir / "killed later", options));
    later.world.run_for(1s);
    EXPECT_EQ(later.db->rows[1], "newer");
    EXPECT_EQ(later.db->rows[2], "waits");
}

TEST(write_behind_letters, a_redriven_letter_is_gone_after_a_crash) {
    const temp_dir dir;
    text_options options{.flush_interval = 10ms,
                         .durable_timeout = 100'000h,
                         .batch_size = 2,
                         .backoff = {.initial = 10ms, .max = 100ms}};
    {
        bench b(journaled_in(dir / "j", options));
        give_up_behind_one_that_waits(b);
        ASSERT_EQ(b.cache.dead_letters().size(), 1U);
        EXPECT_TRUE(b.cache.redrive(b.cache.dead_letters()[0].id));
        copy_as_killed(dir / "j", dir / "killed");
    }
    bench next(journaled_in(dir / "killed", options));
    next.world.run_for(1s);
    EXPECT_TRUE(next.cache.dead_letters().empty());
    EXPECT_EQ(next.db->rows[1], "given up");
}

TEST(write_behind_letters, nothing_is_left_on_the_disk_of_letters_that_were_discarded) {
    const temp_dir dir;
    {
        bench b(journaled_in(dir / "j", {.flush_interval = 10ms}));
        b.db->refuse_row = refuse_all;
        for (int key = 0; key < 3; ++key) {
            b.get([&](auto token) { return b.cache.async_put(key, "given up", token); }, 1s);
        }
        b.world.run_for(1s);
        ASSERT_EQ(b.cache.dead_letters().size(), 3U);
        for (const auto& each : b.cache.dead_letters()) {
            EXPECT_TRUE(b.cache.discard(each.id));
            EXPECT_FALSE(b.cache.discard(each.id));
        }
        EXPECT_TRUE(b.cache.close(0s));
    }
    journal_options dead{.folder = dir / "j/dead"};
    std::size_t records = 0;
    const journal log(std::move(dead), [&](std::uint64_t, bytes_view) { ++records; });
    EXPECT_EQ(records, 0U);
}

// The end.

TEST(write_behind_letters, a_copy_that_throws_at_the_end_concerns_one_write) {
    std::vector<int> told;
    bench_of<fragile> b({.flush_interval = 1h,
                         .on_dead_letter = [&](const auto& each) { told.push_back(each.operation.key); }});
    b.cache.put(1, fragile("good"));
    b.cache.put(2, fragile("bad"));
    b.cache.put(3, fragile("good"));
    fragile::breaks = "bad";
    EXPECT_THROW(b.cache.close(0s), std::runtime_error);
    fragile::breaks = nullptr;
    std::sort(told.begin(), told.end());
    EXPECT_EQ(told, (std::vector{1, 3}));
    EXPECT_EQ(b.cache.dead_letters().size(), 2U);
    EXPECT_EQ(b.cache.stats().dead_letters, 2U);
    EXPECT_THROW(b.cache.put(4, fragile("late")), error);
    EXPECT_TRUE(b.cache.close(0s));
}

TEST(write_behind_letters, a_close_during_the_end_silences_no_letter) {
    int told = 0;
    write_behind<int, std::string>* cache = nullptr;
    bench b({.flush_interval = 1h, .on_dead_letter = [&](const auto&) {
                 ++told;
                 cache->close(0s);
             }});
    cache = &b.cache;
    for (int key = 0; key < 5; ++key) {
        b.cache.put(key, "v");
    }
    b.cache.close(0s);
    EXPECT_EQ(b.cache.dead_letters().size(), 5U);
    EXPECT_EQ(told, 5);
}

TEST(write_behind_letters, a_letter_that_becomes_safe_after_the_end_is_told_by_the_next_owner) {
    const temp_dir dir;
    int told = 0;
    const auto note = [&](const dead_letter<int, std::string>&) { ++told; };
    {
        slow_disk_bench slow(journaled_in(dir / "j", {.flush_interval = 10ms, .on_dead_letter = note}));
        slow.b.db->refuse_row = refuse_all;
        slow.put(1, "a");
        slow.b.world.run_for(100ms);
        slow.b.cache.close(0s);
        slow.b.world.run_for(100ms);
        EXPECT_EQ(told, 0);
    }
    bench next(journaled_in(dir / "j", {.flush_interval = 10ms, .on_dead_letter = note}));
    next.world.run_for(1s);
    EXPECT_EQ(next.cache.dead_letters().size(), 1U);
    EXPECT_EQ(told, 1);
}

// Writes that never were.

TEST(write_behind_letters, a_write_through_that_was_refused_supersedes_no_letter) {
    bench b({.flush_interval = 10ms, .max_pending = 1, .full = when_full::write_through});
    b.db->refuse_row = refuse_all;
    b.cache.put(1, "given up");
    b.world.run_for(1s);
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    b.db->refuse = [](const text_op& op) {
        throw error(op.key == 2 ? errc::unavailable : errc::invalid_data);
    };
    b.cache.put(2, "fills the queue");
    auto through = b.cache.async_put(1, "refused", b.token());
    b.world.run_for(1s);
    EXPECT_THROW(through.get(), error);
    EXPECT_FALSE(b.cache.dead_letters()[0].is_superseded);
    b.db->refuse = [](const text_op& op) {
        if (op.key == 2) {
            throw error(errc::unavailable);
        }
    };
    b.db->refuse_row = nullptr;
    b.get([&](auto token) { return b.cache.async_put(1, "stored", token); }, 1s);
    EXPECT_EQ(b.db->rows[1], "stored");
    EXPECT_TRUE(b.cache.dead_letters()[0].is_superseded);
}

TEST(write_behind_letters, a_write_that_did_not_get_to_the_disk_marks_no_letter_there) {
    const temp_dir dir;
    int kills = 0;
    {
        slow_disk_bench slow(journaled_in(dir / "j", {.flush_interval = 10ms}));
        bench& b = slow.b;
        b.db->refuse_row = refuse_all;
        slow.put(1, "given up");
        b.world.run_for(100ms);
        slow.work();
        b.world.run_for(100ms);
        ASSERT_EQ(b.cache.dead_letters().size(), 1U);
        b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
        auto newer = b.cache.async_put(1, "newer", b.token());
        b.world.run_for(1ms);
        EXPECT_TRUE(b.cache.dead_letters()[0].is_superseded);
        do {
            copy_as_killed(dir / "j", dir / std::to_string(++kills));
            slow.disk.restart();
        } while (slow.disk.poll_one() != 0);
    }
    std::size_t marks = 0;
    for (int kill = 1; kill <= kills; ++kill) {
        bench next(journaled_in(dir / std::to_string(kill)));
        ASSERT_EQ(next.cache.dead_letters().size(), 1U);
        const bool is_superseded = next.cache.dead_letters()[0].is_superseded;
        EXPECT_EQ(next.cache.stats().pending, is_superseded ? 1U : 0U) << "kill " << kill;
        marks += is_superseded ? 1U : 0U;
    }
    EXPECT_GT(marks, 0U);
}

TEST(write_behind_letters, a_redriven_write_whose_disk_failed_leaves_its_letter_to_be_redriven) {
    const auto disk = std::make_shared<testing::power_loss_files>();
    text_options options{.flush_interval = 10ms, .durable_timeout = 100'000h};
    options.journal.emplace();
    options.journal->files = disk;
    bench b(std::move(options));
    b.db->refuse_row = refuse_all;
    b.get([&](auto token) { return b.cache.async_put(1, "given up", token); }, 1s);
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    const std::uint64_t id = b.cache.dead_letters()[0].id;
    b.db->refuse_row = nullptr;
    disk->fail_writes(2);
    EXPECT_THROW(b.cache.redrive(id), error);
    EXPECT_TRUE(b.cache.redrive(id));
    EXPECT_TRUE(b.cache.dead_letters().empty());
    b.world.run_for(1s);
    EXPECT_EQ(b.db->rows[1], "given up");
}

}  // namespace
}  // namespace levee
