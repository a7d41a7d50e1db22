// What befalls write-behind at bad moments: cancellation, newer writes in between, failures that look like
// outages, disks that hang.
#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/power_loss_files.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace tests;
using testing::power_loss_files;

/// Runs `put` once, between a write's preparation and its acceptance.
struct in_between {
    std::function<void()> put{};
    std::size_t operator()(int /*key*/, const std::string& value) {
        if (const auto once = std::exchange(put, nullptr)) {
            once();
        }
        return value.size();
    }
};

text_options journaled_on(std::shared_ptr<power_loss_files> disk, text_options options = {}) {
    options.journal.emplace();
    options.journal->files = std::move(disk);
    return options;
}

// Cancellation.

TEST(write_behind_hazards, a_cancelled_write_through_ends_and_leaves_its_key_usable) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    stone held;
    bool is_first = true;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        if (std::exchange(is_first, false)) {
            co_await held.async_wait();
        }
    };
    asio::cancellation_signal stop;
    auto through = b.cache.async_put(2, "b", asio::bind_cancellation_slot(stop.slot(), b.token()));
    b.world.run_for(1ms);
    stop.emit(asio::cancellation_type::terminal);
    b.world.run_for(1ms);
    held.lift();
    b.world.run_for(1s);
    EXPECT_EQ(through.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(b.db->rows.at(2), "b");
    b.cache.erase(1);  // has a place
    b.get([&](auto token) { return b.cache.async_put(2, "later", token); });
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(2), "later");
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind_hazards, a_cancelled_flush_leaves_no_hurry_behind) {
    bench b({.flush_interval = 1h});
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    b.cache.put(1, "a");
    asio::cancellation_signal stop;
    auto flushed = b.cache.async_flush(10h, asio::bind_cancellation_slot(stop.slot(), b.token()));
    b.world.run_for(1s);
    stop.emit(asio::cancellation_type::terminal);
    b.world.run_for(1s);
    EXPECT_THROW(flushed.get(), std::exception);
    b.db->refuse = nullptr;
    b.world.run_for(1min);
    b.cache.put(2, "waits for company");
    b.world.run_for(1min);
    EXPECT_EQ(b.db->rows.size(), 1U);
    b.world.run_for(1h);
    EXPECT_EQ(b.db->rows.size(), 2U);
}

// Newer writes in between.

TEST(write_behind_hazards, computes_past_a_full_queue_lose_no_update) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    const auto grow = [](std::optional<std::string> v) { return std::optional(v.value_or("") + "+"); };
    std::vector<std::future<std::optional<std::string>>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(b.cache.async_compute(2, grow, b.token()));
    }
    b.world.run_for(1min);
    for (auto& each : all) {
        ASSERT_EQ(each.wait_for(0s), std::future_status::ready);
    }
    EXPECT_EQ(b.db->rows.at(2), "++++++++++");
}

TEST(write_behind_hazards, a_redriven_letter_does_not_undo_a_write_that_comes_meanwhile) {
    const auto hook = std::make_shared<in_between>();
    bench b({.flush_interval = 1s,
             .size_of = [hook](int key, const std::string& value) { return (*hook)(key, value); }});
    b.db->refuse_row = [](const text_op& op) {
        return op.value == "old" ? failure(errc::invalid_data) : nullptr;
    };
    b.cache.put(1, "old");
    b.world.run_for(2s);
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    b.db->refuse_row = nullptr;
    hook->put = [&] { b.cache.put(1, "newer"); };
    EXPECT_FALSE(b.cache.redrive(b.cache.dead_letters()[0].id));
    b.world.run_for(2s);
    EXPECT_EQ(b.db->rows.at(1), "newer");
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_TRUE(b.cache.dead_letters()[0].is_superseded);
}

TEST(write_behind_hazards, a_letter_is_not_redriven_behind_a_write_through_of_its_key) {
    bench b({.flush_interval = 10ms, .max_pending = 1, .full = when_full::write_through, .full_timeout = 0s});
    b.db->refuse_row = [](const text_op& op) {
        return op.value == "old" ? failure(errc::invalid_data) : nullptr;
    };
    b.cache.put(1, "old");
    b.world.run_for(1s);
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    const std::uint64_t id = b.cache.dead_letters()[0].id;
    b.db->refuse = [](const text_op& op) {
        if (op.key == 2) {
            throw error(errc::unavailable);
        }
    };
    b.cache.put(2, "fills the queue");
    b.world.run_for(1s);
    stone held;
    b.db->before_store = [&](const std::vector<text_op>& batch) -> asio::awaitable<void> {
        if (batch.front().value == "newer") {
            co_await held.async_wait();
        }
    };
    auto through = b.cache.async_put(1, "newer", b.token());
    b.world.run_for(1ms);
    b.db->refuse_row = nullptr;
    EXPECT_THROW(b.cache.redrive(id), error);  // it would wait, but for the timeout
    held.lift();
    b.world.run_for(1s);
    through.get();
    EXPECT_FALSE(b.cache.redrive(id));
    b.db->refuse = nullptr;
    b.world.run_for(1min);
    EXPECT_EQ(b.db->rows.at(1), "newer");
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_TRUE(b.cache.dead_letters()[0].is_superseded);
}

// The journal.

TEST(write_behind_hazards, what_is_replayed_is_told_to_the_peers_before_it_is_flushed) {
    const auto disk = std::make_shared<power_loss_files>();
    {
        bench b(journaled_on(disk, {.flush_interval = 1h}));
        b.get([&](auto token) { return b.cache.async_put(1, "acknowledged", token); }, 1s);
        disk->cut_power();
    }
    disk->power_on(testing::power_loss::none);
    const auto shared = std::make_shared<memory_store>();
    const auto bus = std::make_shared<memory_backplane>();
    bench b(journaled_on(disk, {.flush_interval = 1h}), 100, [&](auto& options) {
        options.name = "n";
        options.remote = shared;
        options.backplane = bus;
    });
    cache<int, std::string> peer({.name = "n",
                                  .local = {.max_entries = 10, .clock = &b.world.clock()},
                                  .remote = shared,
                                  .backplane = bus,
                                  .executor = b.world.executor(),
                                  .scheduler = b.world.scheduler()});
    b.world.run_for(1s);
    const auto load = [](const int&) -> asio::awaitable<std::optional<std::string>> {
        co_return "the database's";
    };
    const auto seen = b.get([&](auto token) { return peer.async_get_or_load(1, load, token); }, 1s);
    EXPECT_EQ(seen, "acknowledged");
    EXPECT_TRUE(b.db->batches.empty());
}

TEST(write_behind_hazards, put_many_tells_when_any_of_its_records_failed) {
    const auto disk = std::make_shared<power_loss_files>();
    const auto hook = std::make_shared<in_between>();
    // Blocking waits go by real time: see bench_of.
    bench b(
        journaled_on(disk, {.durable_timeout = 100'000h,
                            .size_of = [hook](int key, const std::string& v) { return (*hook)(key, v); }}));
    bool is_other_refused = false;
    const auto fail_what_is_there = [&] {
        hook->put = [&] {
            // The first entry is prepared: let it in, and fail the disk before the second.
            hook->put = [&] {
                disk->fail_writes(2);
                try {
                    b.cache.put(9, "brings the first one to the disk");
                } catch (const error&) {
                    is_other_refused = true;
                }
            };
        };
    };
    fail_what_is_there();
    try {
        b.cache.put_many({{1, "a"}, {2, "b"}});
        ADD_FAILURE();
    } catch (const error& e) {
        EXPECT_EQ(e.code(), std::errc::io_error);
    }
    EXPECT_TRUE(is_other_refused);

    is_other_refused = false;
    fail_what_is_there();
    auto many = b.cache.async_put_many({{1, "c"}, {2, "d"}}, b.token());
    b.world.run_for(1s);
    EXPECT_THROW(many.get(), error);
    EXPECT_TRUE(is_other_refused);
}

TEST(write_behind_hazards, async_writes_wait_no_longer_than_the_deadline_for_a_disk_that_hangs) {
    asio::io_context hung;  // nobody runs it
    bench b(journaled_on(std::make_shared<power_loss_files>(), {.durable_timeout = 2s}), 100,
            [&](auto& options) { options.blocking_executor = hung.get_executor(); });
    auto put = b.cache.async_put(1, "a", b.token());
    auto many = b.cache.async_put_many({{2, "b"}, {3, "c"}}, b.token());
    b.world.run_for(1900ms);
    EXPECT_EQ(put.wait_for(0s), std::future_status::timeout);
    b.world.run_for(200ms);
    ASSERT_EQ(put.wait_for(0s), std::future_status::ready);
    ASSERT_EQ(many.wait_for(0s), std::future_status::ready);
    for (auto* each : {&put, &many}) {
        try {
            each->get();
            ADD_FAILURE();
        } catch (const error& e) {
            EXPECT_EQ(e.code(), errc::timeout);
        }
    }
}

TEST(write_behind_hazards, a_write_that_waits_for_the_disk_keeps_its_context_at_work) {
    asio::io_context hung;
    asio::io_context mine;
    bench b(journaled_on(std::make_shared<power_loss_files>()), 100,
            [&](auto& options) { options.blocking_executor = hung.get_executor(); });
    bool is_done = false;
    b.cache.async_put(1, "a",
                      asio::bind_executor(mine, [&](std::exception_ptr why) { is_done = why == nullptr; }));
    mine.poll();
    EXPECT_FALSE(mine.stopped());
    hung.run();
    mine.run();
    EXPECT_TRUE(is_done);
}

// What looks like an outage.

TEST(write_behind_hazards, a_row_that_breaks_the_connection_is_found_and_the_rest_goes_through) {
    bench b({.flush_interval = 10ms,
             .backoff = {.initial = 10ms, .max = 100ms},
             .batch_attempts = 2,
             .max_attempts = 4});
    b.db->refuse = [](const text_op& op) {
        if (op.key == 13) {
            throw error(errc::unavailable, "the server closed the connection");
        }
    };
    for (int key = 0; key < 64; ++key) {
        b.cache.put(key, "v");
    }
    b.world.run_for(1min);
    EXPECT_EQ(b.db->rows.size(), 63U);
    EXPECT_EQ(b.cache.stats().pending, 1U);
    EXPECT_TRUE(b.cache.dead_letters().empty());  // it may be an outage
    for (int i = 0; i < 100; ++i) {
        b.cache.put(100 + i, "others get through");
        b.world.run_for(1s);
    }
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(b.cache.dead_letters()[0].operation.key, 13);
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

}  // namespace
}  // namespace levee
