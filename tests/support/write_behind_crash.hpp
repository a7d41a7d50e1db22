/// A child process that writes through a write-behind cache with a journal is killed at random points; then
/// the next owner of the journal finishes its work, and the database must have what was acknowledged.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/write_behind.hpp"
#include "levee/core/random.hpp"
#include "levee/store/source.hpp"

namespace levee::tests {

using namespace std::chrono_literals;

using number = std::int64_t;
using numbers = source<int, number>;
using make_source = std::function<std::shared_ptr<numbers>(runtime&)>;

constexpr int threads = 4;
constexpr int keys_of_each = 4;
constexpr int key_count = threads * keys_of_each;

/// Each key has one writer, whose n-th write is the value n, or for each fifth an erasure.
struct report {
    std::int32_t key = 0;
    std::int64_t n = 0;
};

[[nodiscard]] inline bool erases(std::int64_t n) {
    return n % 5 == 0;
}

inline write_behind_options<int, number> journaled(const std::string& folder, std::uint64_t seed) {
    write_behind_options<int, number> options;
    options.flush_interval = std::chrono::milliseconds(1 + seed % 5);
    options.max_pending = 8;
    options.full = seed % 3 == 0 ? when_full::write_through : when_full::block;
    options.journal.emplace();
    options.journal->folder = folder;
    options.journal->segment_bytes = 16 << 10;
    options.journal->max_bytes = 1 << 20;
    options.workers = 1 + seed % 2;
    options.batch_size = 4;
    return options;
}

inline cache_options<int, number> plain(runtime& on) {
    return {.local = {.max_entries = 8},
            .executor = on.get_executor(),
            .blocking_executor = on.blocking_executor()};
}

/// In the child: writes until it is killed, and says what was acknowledged.
[[noreturn]] inline void write_for_ever(const make_source& make, const std::string& folder,
                                        std::uint64_t seed, const std::array<std::int64_t, key_count>& done,
                                        int to_parent) {
    runtime on(2, 3);
    write_behind<int, number> cache(make(on), plain(on), journaled(folder, seed));
    std::vector<std::thread> writers;
    for (int t = 0; t < threads; ++t) {
        writers.emplace_back([&, t] {
            auto next = done;
            xoshiro256 random(seed * 100 + static_cast<std::uint64_t>(t));
            for (;;) {
                const int key = t * keys_of_each + static_cast<int>(uniform_below(random, keys_of_each));
                const std::int64_t n = ++next[static_cast<std::size_t>(key)];
                if (erases(n)) {
                    cache.erase(key);
                } else if (n % 2 == 0) {
                    cache.compute(key, [n](std::optional<number>) { return std::optional<number>(n); });
                } else {
                    cache.put(key, n);
                }
                const report line{key, n};
                if (::write(to_parent, &line, sizeof(line)) != sizeof(line)) {
                    ::_exit(2);
                }
            }
        });
    }
    for (;;) {
        ::pause();
    }
}

struct child {
    pid_t pid = -1;
    int from = -1;
};

inline child begin(const std::function<void(int)>& body) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        throw std::runtime_error("no pipe");
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[0]);
        try {
            body(ends[1]);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "child: %s\n", e.what());
        }
        ::_exit(3);
    }
    ::close(ends[1]);
    return {pid, ends[0]};
}

/// Reads reports; kills the child after so many; reads what it had still written. How it ended.
inline int follow(const child& of, std::size_t acknowledgements,
                  std::array<std::int64_t, key_count>& acknowledged) {
    report line;
    std::size_t count = 0;
    while (::read(of.from, &line, sizeof(line)) == sizeof(line)) {
        auto& last = acknowledged[static_cast<std::size_t>(line.key)];
        last = std::max(last, line.n);
        if (++count == acknowledgements) {
            ::kill(of.pid, SIGKILL);
        }
    }
    ::close(of.from);
    int status = 0;
    ::waitpid(of.pid, &status, 0);
    return status;
}

/// One journal and one table through many deaths. `settle`: waits until nothing that a dead process asked
/// of the database can still happen.
inline void kill_again_and_again(const make_source& make, const std::string& folder, int times,
                                 const std::function<void()>& settle = {}) {
    xoshiro256 random(static_cast<std::uint64_t>(times));
    std::array<std::int64_t, key_count> done{};
    std::uint64_t replayed = 0;
    std::array<int, 3> rounds_with{};  // so many workers
    for (int round = 0; round < times; ++round) {
        auto acknowledged = done;
        const std::uint64_t seed = random();
        ++rounds_with.at(journaled(folder, seed).workers);
        const child writer = begin([&](int out) { write_for_ever(make, folder, seed, done, out); });
        const int status = follow(writer, 1 + uniform_below(random, 150), acknowledged);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "round " << round;
        if (settle) {
            settle();
        }

        runtime on(1, 2);
        const auto db = make(on);
        {
            write_behind<int, number> next(db, plain(on), journaled(folder, seed));
            replayed += next.stats().replayed;
            ASSERT_TRUE(next.close(60s)) << "round " << round;
            ASSERT_TRUE(next.dead_letters().empty());
        }
        for (int key = 0; key < key_count; ++key) {
            const auto rows = db->load({{.key = key}});
            const std::int64_t acked = acknowledged[static_cast<std::size_t>(key)];
            // The last acknowledged write, or the one that came after it and was under way.
            std::int64_t last = acked;
            if (rows.at(0).value) {
                ASSERT_TRUE(*rows[0].value == acked || *rows[0].value == acked + 1)
                    << "round " << round << ", key " << key << ": " << *rows[0].value << " is in the table, "
                    << acked << " was acknowledged";
                last = *rows[0].value;
                ASSERT_FALSE(erases(last));
            } else {
                ASSERT_TRUE(erases(acked) || erases(acked + 1))
                    << "round " << round << ", key " << key << " is gone, " << acked << " was acknowledged";
                last = erases(acked) ? acked : acked + 1;
            }
            done[static_cast<std::size_t>(key)] = last;
        }
    }
    EXPECT_GT(replayed, 0U);  // otherwise nothing was tested
    EXPECT_GT(rounds_with[1], 0);
    EXPECT_GT(rounds_with[2], 0);
}

}  // namespace levee::tests
