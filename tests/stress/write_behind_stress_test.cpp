// Threads and coroutines over one write-behind cache, with a shared level, a peer, a journal and a source
// that fails now and then: nothing races, and no count is lost.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/detail/wake_up.hpp"
#include "levee/cache/write_behind.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"
#include "support/temp_dir.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct table {
    std::mutex mutex;
    std::map<int, std::int64_t> rows;
    std::uint64_t calls = 0;
};

std::shared_ptr<source<int, std::int64_t>> failing(table& rows) {
    return source_from<int, std::int64_t>(
        [&rows](const int& key) -> std::optional<std::int64_t> {
            const std::lock_guard lock(rows.mutex);
            const auto at = rows.rows.find(key);
            return at == rows.rows.end() ? std::nullopt : std::optional(at->second);
        },
        [&rows](const write_op<int, std::int64_t>& write) {
            const std::lock_guard lock(rows.mutex);
            if (++rows.calls % 7 == 0) {
                throw std::runtime_error("now and then");
            }
            write.value ? rows.rows.insert_or_assign(write.key, *write.value) : rows.rows.emplace(-1, 0);
        });
}

constexpr int keys = 40, threads = 4, coroutines = 8, each_counts = 300;

void count_with_everybody(cache_options<int, std::int64_t> options, runtime& on, const std::string& journal) {
    table rows;
    write_behind_options<int, std::int64_t> behind{.flush_interval = 1ms,
                                                   .max_pending = 16,
                                                   .full_timeout = 60s,
                                                   .durable_timeout = 60s,
                                                   .workers = 3,
                                                   .batch_size = 8,
                                                   .backoff = {.initial = 1ms, .max = 5ms},
                                                   .max_attempts = 1000};
    if (!journal.empty()) {
        behind.journal.emplace();
        behind.journal->folder = journal;
        behind.journal->sync = journal_sync::every;
        behind.journal->segment_bytes = 16 << 10;
    }
    options.local = {.max_entries = 10};
    options.executor = on.get_executor();
    options.blocking_executor = on.blocking_executor();
    write_behind<int, std::int64_t> cache(failing(rows), options, std::move(behind));
    const auto grow = [](std::optional<std::int64_t> n) { return std::optional(n.value_or(0) + 1); };

    std::latch ended(coroutines);
    std::atomic<int> failures{0};
    auto count = [&](int c) -> asio::awaitable<void> {
        try {
            for (int i = 0; i < each_counts; ++i) {
                co_await cache.async_compute((i + c) % keys, grow, asio::use_awaitable);
            }
        } catch (...) {
            ++failures;
        }
        ended.count_down();
    };
    for (int c = 0; c < coroutines; ++c) {
        asio::co_spawn(on.get_executor(), count(c), asio::detached);
    }
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&, t] {
            for (int i = 0; i < each_counts; ++i) {
                cache.compute((i * 3 + t) % keys, grow);
                static_cast<void>(cache.try_get(i % keys));
                if (i % 100 == 0) {
                    cache.flush(60s);
                    static_cast<void>(cache.stats());
                }
            }
        });
    }
    for (auto& each : running) {
        each.join();
    }
    ended.wait();
    EXPECT_EQ(failures, 0);
    EXPECT_TRUE(cache.close(60s));
    std::int64_t total = 0;
    for (const auto& row : rows.rows) {
        total += row.second;
    }
    EXPECT_EQ(total, (threads + coroutines) * each_counts);
    EXPECT_EQ(cache.stats().pending, 0U);
    EXPECT_TRUE(cache.dead_letters().empty());
}

TEST(write_behind_stress, threads_and_coroutines_lose_no_count) {
    runtime on(2, 3);
    count_with_everybody({}, on, "");
}

TEST(write_behind_stress, nor_with_a_journal) {
    const tests::temp_dir dir;
    runtime on(2, 3);
    count_with_everybody({}, on, dir / "journal");
}

TEST(write_behind_stress, nor_with_a_shared_level_and_a_peer) {
    runtime on(2, 3);
    const auto shared = std::make_shared<memory_store>();
    const auto bus = std::make_shared<memory_backplane>();
    const cache<int, std::int64_t> peer({.name = "n",
                                         .local = {.max_entries = 10},
                                         .remote = shared,
                                         .backplane = bus,
                                         .executor = on.get_executor()});
    count_with_everybody({.name = "n", .remote = shared, .backplane = bus}, on, "");
}

// A sleeper that can be cancelled may be awake, and gone, before the call that put it to sleep returns.
TEST(wake_up_stress, a_sleeper_is_woken_by_others_while_it_lies_down) {
    constexpr int rounds = 20'000;
    runtime on(3, 1);
    const auto bell = std::make_shared<cache_detail::wake_up>();
    std::atomic<int> round{-1};
    std::latch ended(1);
    asio::cancellation_signal never;
    auto sleep = [&]() -> asio::awaitable<void> {
        for (int i = 0; i < rounds; ++i) {
            round = i;
            auto waiting = cache_detail::wake_up::async_wait(bell);
            co_await std::move(waiting);
        }
    };
    asio::co_spawn(
        on.get_executor(), sleep(),
        asio::bind_cancellation_slot(never.slot(), [&](std::exception_ptr) { ended.count_down(); }));
    for (int i = 0; i < rounds; ++i) {
        // At any moment of its lying down.
        for (int spins = i % 300; round != i || spins > 0; --spins) {
        }
        bell->notify();
    }
    ended.wait();
}

}  // namespace
}  // namespace levee
