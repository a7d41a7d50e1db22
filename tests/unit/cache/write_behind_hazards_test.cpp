// What befalls write-behind at bad moments: cancellation, the end, newer writes in between, failures that
// look like outages, functions and copies that throw, disks that hang.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <compare>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"
#include "levee/testing/power_loss_files.hpp"
#include "write_behind_support.hpp"

namespace levee::tests {

/// A value whose copies throw while a test wants them to.
struct fragile {
    fragile() = default;
    explicit fragile(std::string what) : text(std::move(what)) {}
    fragile(const fragile& other) : text(checked(other).text) {}
    fragile(fragile&&) noexcept = default;
    fragile& operator=(const fragile& other) {
        text = checked(other).text;
        return *this;
    }
    fragile& operator=(fragile&&) noexcept = default;
    ~fragile() = default;

    static const fragile& checked(const fragile& other) {
        if (breaks) {
            throw std::runtime_error("it broke");
        }
        return other;
    }

    static inline bool breaks = false;
    std::string text{};
};

/// The same as a key.
struct fragile_key {
    explicit fragile_key(int n) : number(n) {}
    fragile_key(const fragile_key& other) : number(other.number) {
        if (breaks) {
            throw std::runtime_error("it broke");
        }
    }
    fragile_key(fragile_key&&) noexcept = default;
    fragile_key& operator=(const fragile_key&) = default;
    fragile_key& operator=(fragile_key&&) noexcept = default;
    ~fragile_key() = default;
    friend auto operator<=>(const fragile_key&, const fragile_key&) = default;

    static inline bool breaks = false;
    int number;
};

struct fragile_key_hash {
    std::size_t operator()(const fragile_key& key) const noexcept {
        return static_cast<std::size_t>(key.number);
    }
};

}  // namespace levee::tests

template <>
struct levee::codec<levee::tests::fragile> {
    static void encode(const levee::tests::fragile& from, bytes& out) {
        codec<std::string>::encode(from.text, out);
    }
    static std::optional<levee::tests::fragile> decode(bytes_view from) {
        return levee::tests::fragile(std::string(as_text(from)));
    }
};

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace tests;
using testing::power_loss_files;

/// Something that a coroutine waits for, and that heeds no cancellation.
class stone {
public:
    asio::awaitable<void> async_wait() {
        auto begin = [this](auto handler) {
            const auto held = std::make_shared<decltype(handler)>(std::move(handler));
            lift_ = [held] {
                const auto executor = asio::get_associated_executor(*held);
                asio::post(executor, [held] { std::move (*held)(nullptr); });
            };
        };
        co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
            begin, asio::use_awaitable);
    }
    void lift() { std::exchange(lift_, nullptr)(); }

private:
    std::function<void()> lift_{};
};

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

std::vector<std::string> values_of(const std::vector<dead_letter<int, std::string>>& letters) {
    std::vector<std::string> values;
    for (const auto& each : letters) {
        values.push_back(each.operation.value.value_or("erased"));
    }
    return values;
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

// The journal.

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

// The end.

TEST(write_behind_hazards, close_does_not_forget_what_waits_behind_a_write_through) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    auto through = b.cache.async_put(2, "b", b.token());
    b.world.run_for(1ms);
    b.cache.put(2, "behind it");
    b.db->before_store = nullptr;
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    auto lost = values_of(b.cache.dead_letters());
    std::sort(lost.begin(), lost.end());
    EXPECT_EQ(lost, (std::vector<std::string>{"a", "behind it"}));
    held.lift();
    b.world.run_for(1s);
}

TEST(write_behind_hazards, a_second_close_ends_at_once) {
    bench b({.flush_interval = 1h});
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    b.cache.put(1, "a");
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_TRUE(b.get([&](auto token) { return b.cache.async_close(10h, token); }, 1ms));
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_flush(10h, token); }, 1ms));
    EXPECT_TRUE(b.cache.close(10h));
}

TEST(write_behind_hazards, one_write_makes_one_letter_even_if_it_fails_after_the_close) {
    int told = 0;
    bench b({.flush_interval = 0s, .on_dead_letter = [&](const auto&) { ++told; }});
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    b.db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    b.cache.put(1, "a");
    b.world.run_for(1ms);
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    held.lift();
    b.world.run_for(1min);
    EXPECT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(told, 1);
}

TEST(write_behind_hazards, no_function_of_the_options_is_called_after_the_destructor) {
    int calls = 0;
    bench b({.flush_interval = 0s,
             .on_dead_letter = [&](const auto&) { ++calls; },
             .age_alarm = 1s,
             .on_age_alarm = [&](duration) { ++calls; },
             .classify =
                 [&](const std::exception_ptr&) {
                     ++calls;
                     return write_failure::permanent;
                 }});
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    b.db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    b.cache.put(1, "a");
    b.world.run_for(1ms);
    b.owned.reset();
    EXPECT_EQ(calls, 1);  // the letter
    calls = 0;
    held.lift();
    b.world.run_for(1min);
    EXPECT_EQ(calls, 0);
}

TEST(write_behind_hazards, close_waits_for_a_function_that_is_running) {
    runtime on(1, 1);
    std::latch is_called(1);
    std::atomic<bool> is_first{true};
    std::atomic<bool> is_closing{false};
    std::atomic<bool> has_returned{false};
    auto db = std::make_shared<scripted_table<std::string>>();
    db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    write_behind<int, std::string> cache(db,
                                         {.local = {.max_entries = 10},
                                          .executor = on.get_executor(),
                                          .blocking_executor = on.blocking_executor()},
                                         {.flush_interval = 0s, .on_dead_letter = [&](const auto&) {
                                              if (is_first.exchange(false)) {
                                                  is_called.count_down();
                                              } else {
                                                  return;
                                              }
                                              is_closing.wait(false);
                                              // Long enough for a close that does not wait to be over.
                                              for (int i = 0; i < 100'000; ++i) {
                                                  std::this_thread::yield();
                                              }
                                              has_returned = true;
                                          }});
    cache.put(1, "a");
    is_called.wait();
    is_closing = true;
    is_closing.notify_all();
    cache.close(0s);
    EXPECT_TRUE(has_returned);
}

TEST(write_behind_hazards, a_letter_is_in_the_store_when_it_is_told) {
    std::vector<std::uint64_t> told;
    write_behind<int, std::string>* cache = nullptr;
    const auto look = [&](const dead_letter<int, std::string>& each) {
        const auto kept = cache->dead_letters();
        ASSERT_FALSE(kept.empty());
        EXPECT_EQ(kept.back().id, each.id);
        told.push_back(each.id);
    };
    bench b({.flush_interval = 0s, .on_dead_letter = look});
    cache = &b.cache;
    b.db->refuse_row = [](const text_op& op) {
        return failure(op.key == 1 ? errc::invalid_data : errc::unavailable);
    };
    b.cache.put(1, "given up");
    b.world.run_for(1s);
    b.cache.put(2, "left at the end");
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_EQ(told.size(), 2U);
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

// What K and V throw.

struct fragile_bench : bench_of<fragile> {
    using bench_of::bench_of;
    ~fragile_bench() { fragile::breaks = false; }
};

TEST(write_behind_hazards, a_worker_survives_a_copy_that_throws) {
    fragile_bench b({.flush_interval = 10ms});
    b.cache.put(1, fragile("a"));
    fragile::breaks = true;
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = false;
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(1).text, "a");
    b.cache.put(2, fragile("b"));
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(2).text, "b");
}

TEST(write_behind_hazards, a_write_whose_letter_cannot_be_made_waits_on) {
    fragile_bench b({.flush_interval = 10ms, .classify = [](const std::exception_ptr&) {
                         fragile::breaks = true;
                         return write_failure::permanent;
                     }});
    b.db->refuse_row = [](const auto&) { return failure(errc::invalid_data); };
    b.cache.put(1, fragile("a"));
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = false;
    EXPECT_EQ(b.cache.stats().pending, 1U);
    EXPECT_TRUE(b.cache.dead_letters().empty());
    b.db->refuse_row = nullptr;
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(1).text, "a");
}

TEST(write_behind_hazards, a_value_that_cannot_be_published_is_dropped_at_the_peers) {
    const auto shared = std::make_shared<memory_store>();
    const auto bus = std::make_shared<memory_backplane>();
    fragile_bench b({.flush_interval = 1h}, 100, [&](auto& options) {
        options.name = "n";
        options.remote = shared;
        options.backplane = bus;
    });
    cache<int, fragile> peer({.name = "n",
                              .local = {.max_entries = 10, .clock = &b.world.clock()},
                              .remote = shared,
                              .backplane = bus,
                              .executor = b.world.executor(),
                              .scheduler = b.world.scheduler()});
    b.cache.put(1, fragile("old"));
    EXPECT_TRUE(b.flush());
    b.world.run_for(1s);
    static_cast<void>(b.get([&](auto token) { return b.cache.async_get(1, token); }));
    b.world.run_for(1s);
    b.cache.put(1, fragile("new"));
    fragile::breaks = true;
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = false;
    EXPECT_TRUE(b.flush());
    b.world.run_for(1s);
    EXPECT_EQ(b.db->rows.at(1).text, "new");
    EXPECT_EQ(b.cache.stats().pending, 0U);
    b.cache.put(2, fragile("told as ever"));
    b.world.run_for(1s);
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind_hazards, a_write_that_throws_leaves_its_room_to_others) {
    testing::simulation world(1);
    const auto disk = std::make_shared<power_loss_files>();
    using wanted = write_behind<fragile_key, int, fragile_key_hash>;
    std::size_t stored = 0;
    wanted cache(source_from<fragile_key, int>([](const fragile_key&) { return std::optional<int>(); },
                                               [&](const write_op<fragile_key, int>&) { ++stored; }),
                 {.local = {.max_entries = 10, .clock = &world.clock()},
                  .executor = world.executor(),
                  .blocking_executor = world.executor(),
                  .scheduler = world.scheduler()},
                 {.max_pending = 1, .full = when_full::reject, .close_timeout = 0s});
    const fragile_key key(1);
    auto ready = std::make_optional<fragile_key>(key);
    fragile_key::breaks = true;
    EXPECT_THROW(cache.put(std::move(*ready), 1), std::runtime_error);
    fragile_key::breaks = false;
    EXPECT_EQ(cache.stats().pending, 0U);
    EXPECT_EQ(cache.stats().pending_bytes, 0U);
    EXPECT_NO_THROW(cache.put(key, 2));
    world.run_for(1min);
    EXPECT_EQ(stored, 1U);
    EXPECT_EQ(cache.stats().pending, 0U);
}

}  // namespace
}  // namespace levee
