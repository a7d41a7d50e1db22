// Whether the operations on each key of a local_cache could have happened one at a time.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "levee/core/epoch.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"
#include "support/linearizability.hpp"

namespace levee {
namespace {

using test::linearizability_checker;
using test::operation;
using kind = operation::kind;

TEST(linearizability_checker, accepts_operations_that_overlap) {
    EXPECT_TRUE(
        linearizability_checker({{kind::write, 1, 0, 10}, {kind::read, 1, 2, 3}, {kind::read, {}, 0, 1}})
            .holds());
    EXPECT_TRUE(linearizability_checker({{kind::add, 1, 0, 9}, {kind::add, 2, 1, 8}, {kind::read, 2, 10, 11}})
                    .holds());
}

TEST(linearizability_checker, refuses_a_value_that_comes_back) {
    EXPECT_FALSE(
        linearizability_checker(
            {{kind::write, 1, 0, 1}, {kind::write, 2, 2, 9}, {kind::read, 2, 3, 4}, {kind::read, 1, 5, 6}})
            .holds());
}

TEST(linearizability_checker, refuses_a_lost_update_and_a_lost_value) {
    EXPECT_FALSE(linearizability_checker({{kind::add, 1, 0, 9}, {kind::add, 1, 1, 8}}).holds());
    const std::vector<operation> lost = {{kind::write, 1, 0, 1}, {kind::read, {}, 2, 3}};
    EXPECT_FALSE(linearizability_checker(lost).holds());
    EXPECT_TRUE(linearizability_checker(lost, true).holds());
}

/// A value as a cache of words, and one as a cache of nodes, holds it.
struct in_slot {
    using type = int;
    static int make(int n) { return n; }
    static int read(const int& value) { return value; }
};
struct in_node {
    using type = std::shared_ptr<const int>;
    static type make(int n) { return std::make_shared<const int>(n); }
    static int read(const type& value) { return *value; }
};

/// Reads through a memory that may be one write behind: the fault that the checker must find.
template <class Cache>
class stale_reads {
public:
    explicit stale_reads(Cache& cache) : cache_(cache) {}
    auto get(int key) {
        auto now = cache_.get(key);
        std::swap(now, last_[static_cast<std::size_t>(key)]);
        return now;
    }

private:
    Cache& cache_;
    std::array<decltype(std::declval<Cache&>().get(0)), 4> last_{};
};

/// Four threads on three keys, recorded; how many keys' histories could not have happened one at a time.
template <class Kind>
int violations(std::uint64_t seed, bool with_fault, std::size_t max_entries) {
    constexpr int threads = 4;
    constexpr int keys = 3;
    constexpr int rounds = 24;  // of a thread; a key's history has about a third of all
    using cache_type = local_cache<int, typename Kind::type>;
    cache_type cache({.max_entries = max_entries, .shards = 2});
    std::atomic<std::uint64_t> ticks{1};
    std::array<std::array<std::vector<operation>, keys>, threads> recorded;
    std::latch start(threads);
    {
        std::vector<std::jthread> running;
        for (int t = 0; t < threads; ++t) {
            running.emplace_back([&, t] {
                xoshiro256 random(seed * threads + static_cast<std::uint64_t>(t));
                stale_reads<cache_type> faulty(cache);
                start.arrive_and_wait();
                for (int i = 0; i < rounds; ++i) {
                    const int key = static_cast<int>(uniform_below(random, keys));
                    auto& history = recorded[static_cast<std::size_t>(t)][static_cast<std::size_t>(key)];
                    if (history.size() == 16) {
                        continue;  // the checker takes 64 in all
                    }
                    const int fresh = t * 1000 + i + 100'000;
                    operation one{kind::read, {}, ticks++, 0};
                    switch (uniform_below(random, 6)) {
                        case 0:
                            cache.put(key, Kind::make(fresh));
                            one.what = kind::write;
                            one.value = fresh;
                            break;
                        case 1:
                            cache.invalidate(key);
                            one.what = kind::write;
                            break;
                        case 2: {
                            const auto answer = cache.compute(key, [](auto old) {
                                return std::optional(Kind::make(old ? Kind::read(*old) + 1 : 1));
                            });
                            one.what = kind::add;
                            one.value = Kind::read(*answer);
                            break;
                        }
                        default: {
                            const auto found = with_fault ? faulty.get(key) : cache.get(key);
                            if (found) {
                                one.value = Kind::read(*found);
                            }
                        }
                    }
                    one.end = ticks++;
                    history.push_back(one);
                }
            });
        }
    }
    EXPECT_TRUE(cache.is_consistent());
    int bad = 0;
    for (std::size_t key = 0; key < keys; ++key) {
        std::vector<operation> all;
        for (const auto& of_thread : recorded) {
            all.insert(all.end(), of_thread[key].begin(), of_thread[key].end());
        }
        bad += linearizability_checker(all, max_entries < keys).holds() ? 0 : 1;
    }
    return bad;
}

TEST(local_cache_stress, operations_on_a_key_happen_one_at_a_time) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        EXPECT_EQ(violations<in_slot>(seed, false, 64), 0) << seed;
        EXPECT_EQ(violations<in_node>(seed, false, 64), 0) << seed;
        EXPECT_EQ(violations<in_slot>(seed, false, 2), 0) << seed;  // they evict each other
        EXPECT_EQ(violations<in_node>(seed, false, 2), 0) << seed;
    }
}

TEST(local_cache_stress, the_checker_finds_a_planted_stale_read) {
    int found = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        found += violations<in_slot>(seed, true, 64);
    }
    EXPECT_GT(found, 0);
}

/// Entries that move to other tables under readers: keys that are always there are always found.
template <class V, class Make>
void expect_no_miss_while_the_index_grows(Make make) {
    local_cache<int, V> cache({.max_entries = 200'000, .shards = 2});
    constexpr int stable = 100;
    for (int key = 0; key < stable; ++key) {
        cache.put(key, make(key));
    }
    std::atomic<bool> is_over = false;
    std::vector<std::jthread> readers;
    std::atomic<int> missed = 0;
    for (int t = 0; t < 2; ++t) {
        readers.emplace_back([&] {
            for (int i = 0; !is_over; ++i) {
                missed += cache.visit(i % stable, [](const V&) {}) ? 0 : 1;
            }
        });
    }
    for (int key = stable; key < 20'000; ++key) {
        cache.put(key, make(key));
        cache.put(key % stable, make(key));  // replaced, never absent
        if (key % 64 == 0) {
            // The machine may stop a reader for long; then writes would be refused, which is not meant here.
            const epoch::tag now = epoch::retire_tag();
            while (!epoch::has_passed(now)) {
                std::this_thread::yield();
            }
        }
    }
    EXPECT_EQ(cache.stats().rejected, 0U);
    is_over = true;
    readers.clear();
    EXPECT_EQ(missed, 0);
    EXPECT_TRUE(cache.is_consistent());
}

TEST(local_cache_stress, no_reader_misses_what_is_there_while_the_index_grows) {
    expect_no_miss_while_the_index_grows<int>([](int n) { return n; });
    expect_no_miss_while_the_index_grows<std::shared_ptr<int>>(
        [](int n) { return std::make_shared<int>(n); });
}

}  // namespace
}  // namespace levee
