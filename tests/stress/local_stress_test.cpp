// local_cache under threads: run under the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

/// Runs `work(index)` on `count` threads that begin together, and joins them.
void on_threads(int count, const std::function<void(int)>& work) {
    std::latch start(count);
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            work(i);
        });
    }
}

int key_below(xoshiro256& random, std::uint64_t bound) {
    return static_cast<int>(uniform_below(random, bound));
}

TEST(local_cache_stress, compute_loses_no_update) {
    local_cache<int, long> cache({.max_entries = 64});
    constexpr int threads = 4;
    constexpr int rounds = 5000;
    constexpr int keys = 3;
    on_threads(threads, [&](int) {
        for (int i = 0; i < rounds; ++i) {
            cache.compute(i % keys, [](std::optional<long> v) { return std::optional(v.value_or(0) + 1); });
        }
    });
    long sum = 0;
    cache.for_each([&](int, long value) { sum += value; });
    EXPECT_EQ(sum, static_cast<long>(threads) * rounds);
}

TEST(local_cache_stress, a_lowered_bound_holds_for_writes_that_had_begun_before) {
    local_cache<int, int> cache({.max_entries = 2});
    cache.put(0, 0);
    constexpr int rounds = 150'000;
    std::atomic<int> begun = 0;
    std::atomic<int> ended = 0;
    std::jthread writer([&] {
        for (int round = 1; round <= rounds; ++round) {
            while (begun.load() != round) {
                std::this_thread::yield();
            }
            cache.put(round, round);
            ended.store(round);
        }
    });
    int overruns = 0;
    for (int round = 1; round <= rounds; ++round) {
        begun.store(round);
        for (int delay = 0; delay < round % 1500; ++delay) {
            std::atomic_signal_fence(std::memory_order_seq_cst);  // keeps the loop
        }
        cache.set_max_entries(1);
        while (ended.load() != round) {
            std::this_thread::yield();
        }
        overruns += cache.estimated_size() > 1 ? 1 : 0;
        cache.set_max_entries(1);  // of what was too much
        cache.set_max_entries(2);
    }
    EXPECT_EQ(overruns, 0);
    EXPECT_TRUE(cache.is_consistent());
}

TEST(local_cache_stress, compute_takes_turns_with_removal) {
    // A token is in the cache or with the one thread that took it out.
    local_cache<int, int> cache({.max_entries = 64});
    cache.put(1, 0);
    std::atomic<int> holders = 0;
    std::atomic<int> taken = 0;
    on_threads(4, [&](int) {
        while (taken.load() < 3000) {
            bool has = false;
            cache.compute(1, [&](std::optional<int> v) {
                has = v.has_value();
                return std::optional<int>();
            });
            if (has) {
                EXPECT_EQ(holders.fetch_add(1), 0);
                ++taken;
                holders.fetch_sub(1);
                EXPECT_TRUE(cache.insert(1, 0));
            }
        }
    });
}

/// What a reader must never see half of.
struct canary {
    explicit canary(std::uint64_t n) : a(n), b(~n) {}
    ~canary() { a = b = 0; }
    canary(const canary&) = default;
    canary& operator=(const canary&) = default;
    [[nodiscard]] bool is_whole() const { return a == ~b; }
    std::uint64_t a;
    std::uint64_t b;
};

TEST(local_cache_stress, readers_see_whole_values_while_entries_come_and_go) {
    local_cache<int, canary> cache({.max_entries = 32, .shards = 4});
    std::atomic<int> broken = 0;
    std::atomic<int> seen = 0;
    const auto look = [&](const canary& value) {
        broken += value.is_whole() ? 0 : 1;
        ++seen;
    };
    on_threads(4, [&](int index) {
        xoshiro256 random(static_cast<std::uint64_t>(index));
        for (int i = 0; i < 4000; ++i) {
            const int key = key_below(random, 64);
            switch (uniform_below(random, 8)) {
                case 0:
                    cache.invalidate(key);
                    break;
                case 1:
                    cache.set_max_entries(16 + uniform_below(random, 32));
                    break;
                case 2:
                case 3:
                    cache.put(key, canary(random()));
                    break;
                case 4:
                    if (i % 64 == 0) {
                        cache.for_each([&](int, const canary& value) { look(value); });
                    }
                    break;
                default:
                    cache.visit(key, look);
            }
        }
    });
    EXPECT_EQ(broken, 0);
    EXPECT_GT(seen, 0);
}

void expect_bounds_to_hold(std::size_t max_entries, std::size_t max_weight) {
    local_cache<int, int> cache({.max_entries = max_entries,
                                 .max_weight = max_weight,
                                 .weigher = [](int, int weight) { return static_cast<std::size_t>(weight); },
                                 .shards = 8});
    std::atomic<bool> is_over = false;
    std::atomic<int> overruns = 0;
    std::jthread watcher([&] {
        while (!is_over) {
            if ((max_entries != 0 && cache.estimated_size() > max_entries) ||
                cache.estimated_weight() > max_weight) {
                ++overruns;
            }
            std::this_thread::yield();
        }
    });
    on_threads(4, [&](int index) {
        xoshiro256 random(static_cast<std::uint64_t>(index));
        for (int i = 0; i < 6000; ++i) {
            cache.put(key_below(random, 100), 1 + key_below(random, max_weight));
        }
    });
    is_over = true;
    watcher.join();
    EXPECT_EQ(overruns, 0);
    EXPECT_EQ(cache.stats().rejected, 0U);
    std::size_t entries = 0;
    std::size_t weights = 0;
    cache.for_each([&](int, int weight) {
        ++entries;
        weights += static_cast<std::size_t>(weight);
    });
    EXPECT_EQ(entries, cache.estimated_size());
    EXPECT_EQ(weights, cache.estimated_weight());
}

// More threads than values fit: each insert must find room that others are just taking or freeing.
TEST(local_cache_stress, bounds_hold_at_every_moment_and_nothing_that_fits_is_refused) {
    expect_bounds_to_hold(3, 10);
    expect_bounds_to_hold(0, 10);  // without a bound on entries it is split over all shards
    expect_bounds_to_hold(4096, 50);
}

TEST(local_cache_stress, a_put_is_found_when_nothing_is_evicted) {
    local_cache<int, int> cache({.max_entries = 100'000});
    on_threads(4, [&](int index) {
        for (int i = 0; i < 8000; ++i) {
            const int key = index * 10'000 + i;
            cache.put(key, i);
            ASSERT_EQ(cache.get(key), i);
        }
    });
    EXPECT_EQ(cache.estimated_size(), 32'000U);
    EXPECT_EQ(cache.stats().hits, 32'000U);
    EXPECT_EQ(cache.stats().misses, 0U);
}

TEST(local_cache_stress, reports_each_removal_once) {
    std::mutex mutex;
    std::map<int, int> told;  // value → times, guarded by mutex; each value is stored once
    std::atomic<int> next = 0;
    std::vector<int> left;
    {
        local_cache<int, int> cache({.max_entries = 20,
                                     .on_removal =
                                         [&](int, int value, removal_cause) {
                                             const std::lock_guard lock(mutex);
                                             ++told[value];
                                         },
                                     .shards = 2});
        on_threads(4, [&](int index) {
            xoshiro256 random(static_cast<std::uint64_t>(index));
            for (int i = 0; i < 8000; ++i) {
                const int key = key_below(random, 40);
                switch (uniform_below(random, 6)) {
                    case 0:
                        cache.invalidate(key);
                        break;
                    case 1:
                        if (i % 50 == 0) {
                            cache.clear();
                        } else if (i % 50 == 1) {
                            cache.invalidate_if([](int k, int) { return k % 2 == 0; });
                        }
                        break;
                    default:
                        cache.put(key, next++);
                }
            }
        });
        cache.for_each([&](int, int value) { left.push_back(value); });
        EXPECT_EQ(cache.stats().rejected, 0U);
    }
    EXPECT_EQ(told.size() + left.size(), static_cast<std::size_t>(next.load()));
    for (const auto& [value, times] : told) {
        EXPECT_EQ(times, 1) << value;
    }
    for (const int value : left) {
        EXPECT_FALSE(told.contains(value)) << value;
    }
}

TEST(local_cache_stress, nothing_read_before_an_invalidation_is_cached_after_it) {
    // G1 against a system of record with versions: whoever writes there invalidates, then looks.
    local_cache<int, int> cache({.max_entries = 64});
    constexpr int keys = 4;
    std::vector<std::atomic<int>> records(keys);
    on_threads(4, [&](int index) {
        xoshiro256 random(static_cast<std::uint64_t>(index));
        for (int i = 0; i < 8000; ++i) {
            const int key = key_below(random, keys);
            auto& record = records[static_cast<std::size_t>(key)];
            switch (uniform_below(random, 4)) {
                case 0: {
                    const int written = record.fetch_add(1) + 1;
                    cache.invalidate(key);
                    EXPECT_GE(cache.get_or_compute(key, [&] { return record.load(); }), written);
                    break;
                }
                case 1: {
                    const fill_lease lease = cache.begin_fill(key);
                    cache.fill(lease, key, record.load());
                    break;
                }
                case 2:
                    if (i % 40 == 0) {
                        const int written = record.fetch_add(1) + 1;
                        cache.invalidate_if([&](int k, int) { return k == key; });
                        EXPECT_GE(cache.get(key).value_or(written), written);
                    }
                    break;
                default: {
                    const int got = cache.get_or_compute(key, [&] { return record.load(); });
                    EXPECT_LE(got, record.load());
                }
            }
        }
    });
    for (int key = 0; key < keys; ++key) {
        const int now = records[static_cast<std::size_t>(key)].load();
        EXPECT_EQ(cache.peek(key).value_or(now), now);
    }
}

TEST(local_cache_stress, get_or_compute_makes_each_value_once_when_nothing_is_removed) {
    local_cache<int, int> cache({.max_entries = 10'000});
    std::vector<std::atomic<int>> made(500);
    on_threads(4, [&](int) {
        for (int key = 0; key < 500; ++key) {
            const int value = cache.get_or_compute(key, [&](const int& k) {
                ++made[static_cast<std::size_t>(k)];
                return k * 2;
            });
            ASSERT_EQ(value, key * 2);
        }
    });
    for (const auto& times : made) {
        EXPECT_EQ(times, 1);
    }
    EXPECT_EQ(cache.stats().loads, 500U);
}

}  // namespace
}  // namespace levee
