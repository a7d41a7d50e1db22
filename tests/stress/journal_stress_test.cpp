// Many threads append, wait, release and lend threads for syncing, on a disk that fails now and then; then
// the power goes, and nothing that was acknowledged and not released is missing.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/journal/journal.hpp"
#include "levee/testing/power_loss_files.hpp"

namespace {

using namespace std::chrono_literals;
using levee::journal;
using levee::journal_options;
using levee::journal_sync;
using levee::testing::power_loss;
using levee::testing::power_loss_files;

/// A thread that calls `run_sync` when the journal asks for it.
class syncer {
public:
    void ask(levee::time_point when) {
        const std::lock_guard lock(mutex_);
        due_ = std::min(due_, when);
        changed_.notify_one();
    }

    void run(journal& log) {
        std::unique_lock lock(mutex_);
        while (!is_over_) {
            if (due_ <= levee::clock::precise().now()) {
                due_ = (levee::time_point::max)();
                lock.unlock();
                log.run_sync();
                lock.lock();
            } else {
                changed_.wait_until(lock, due_);
            }
        }
    }

    void end() {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
        changed_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    levee::time_point due_ = (levee::time_point::max)();
    bool is_over_ = false;
};

void storm(journal_sync sync, bool is_failing) {
    constexpr int threads = 8;
    constexpr int rounds = 600;
    const auto disk = std::make_shared<power_loss_files>(static_cast<std::uint64_t>(sync) + 1);
    syncer lent;
    journal_options options{.sync = sync,
                            .sync_interval = 1ms,
                            .segment_bytes = 16384,
                            .schedule = [&](levee::time_point when) { lent.ask(when); },
                            .files = disk};
    auto log = std::make_unique<journal>(options, [](std::uint64_t, levee::bytes_view) {});
    std::thread sync_thread([&] { lent.run(*log); });

    std::mutex mutex;  // guards the sets
    std::set<std::uint64_t> safe;
    std::set<std::uint64_t> released;
    std::atomic<int> told{0};
    std::atomic<int> asked{0};
    const auto note = [&](std::uint64_t sequence) {
        const std::lock_guard lock(mutex);
        safe.insert(sequence);
    };
    std::vector<std::thread> writers;
    for (int thread = 0; thread < threads; ++thread) {
        writers.emplace_back([&, thread] {
            levee::xoshiro256 random(static_cast<std::uint64_t>(thread) + 1);
            std::vector<std::uint64_t> mine;
            for (int i = 0; i < rounds; ++i) {
                const std::string text(levee::uniform_below(random, 200), static_cast<char>('a' + thread));
                const auto sequence = log->append(levee::as_bytes(text));
                if (levee::uniform_below(random, 3) == 0) {
                    ++asked;
                    log->when_durable(sequence, [&, sequence](std::exception_ptr failed) {
                        if (failed == nullptr) {
                            note(sequence);
                        }
                        ++told;
                        told.notify_one();
                    });
                } else {
                    try {
                        log->wait_durable(sequence, levee::clock::precise().now() + 1min);
                        note(sequence);
                        mine.push_back(sequence);
                    } catch (const levee::error& failed) {
                        EXPECT_EQ(failed.code(), std::errc::io_error);
                    }
                }
                if (mine.size() >= 16) {
                    {
                        const std::lock_guard lock(mutex);
                        released.insert(mine.begin(), mine.end());
                    }
                    log->release(mine);
                    mine.clear();
                }
                if (is_failing && levee::uniform_below(random, 100) == 0) {
                    disk->fail_syncs(1 + levee::uniform_below(random, 3));
                }
                if (i % 50 == 0) {
                    EXPECT_GE(log->stats().last_sequence, sequence);
                }
            }
        });
    }
    for (std::thread& each : writers) {
        each.join();
    }
    for (int seen = told.load(); seen < asked.load(); seen = told.load()) {
        told.wait(seen);
    }
    disk->fail_syncs(0);
    if (sync == journal_sync::every) {
        log->sync(levee::clock::precise().now() + 1min);
    }
    lent.end();
    sync_thread.join();
    EXPECT_EQ(log->stats().appended, static_cast<std::uint64_t>(threads * rounds));
    disk->cut_power();
    log.reset();
    disk->power_on(power_loss::reordered);

    std::set<std::uint64_t> replayed;
    const journal again(options,
                        [&](std::uint64_t sequence, levee::bytes_view) { replayed.insert(sequence); });
    for (const auto sequence : safe) {
        EXPECT_TRUE(replayed.contains(sequence) || released.contains(sequence)) << sequence << " is lost";
    }
}

TEST(journal_stress, always_keeps_what_eight_threads_were_told_is_safe) {
    storm(journal_sync::always, false);
}

TEST(journal_stress, always_keeps_it_while_syncs_fail) {
    storm(journal_sync::always, true);
}

TEST(journal_stress, every_keeps_it_while_syncs_fail) {
    storm(journal_sync::every, true);
}

TEST(journal_stress, waiters_give_up_at_their_deadline_and_others_go_on) {
    const auto disk = std::make_shared<power_loss_files>();
    journal log({.segment_bytes = 1 << 20, .files = disk}, [](std::uint64_t, levee::bytes_view) {});
    std::vector<std::thread> writers;
    std::atomic<int> late{0};
    std::atomic<int> served{0};
    for (int thread = 0; thread < 8; ++thread) {
        writers.emplace_back([&, thread] {
            for (int i = 0; i < 500; ++i) {
                const auto sequence = log.append(levee::as_bytes("x"));
                const levee::duration patience =
                    thread % 2 == 0 ? levee::duration(2000) : levee::duration(1min);
                try {
                    log.wait_durable(sequence, levee::clock::precise().now() + patience);
                    ++served;
                } catch (const levee::error& failed) {
                    EXPECT_EQ(failed.code(), levee::errc::timeout);
                    EXPECT_EQ(thread % 2, 0);
                    ++late;
                }
            }
        });
    }
    for (std::thread& each : writers) {
        each.join();
    }
    EXPECT_EQ(served + late, 8 * 500);
    EXPECT_GE(served, 4 * 500);
}

}  // namespace
