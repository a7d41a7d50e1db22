#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using text_cache = local_cache<std::string, std::string>;
using pair = std::pair<std::string, std::string>;
using pairs = std::vector<pair>;

void encode(const std::string& key, const std::string& value, std::string& bytes) {
    bytes += key + '=' + value;
}
std::optional<pair> decode(std::string_view bytes) {
    const std::size_t at = bytes.find('=');
    return pair(bytes.substr(0, at), bytes.substr(at + 1));
}

TEST(local_cache_order, the_coldest_is_the_next_victim_and_the_hottest_the_last) {
    text_cache cache({.max_entries = 4, .shards = 1});
    for (const char* key : {"a", "b", "c", "d"}) {
        cache.put(key, "v");
    }
    (void)cache.get("a");
    (void)cache.peek("b");  // is no use
    EXPECT_EQ(cache.coldest(2), (pairs{{"b", "v"}, {"c", "v"}}));
    EXPECT_EQ(cache.hottest(1), (pairs{{"a", "v"}}));
    EXPECT_EQ(cache.coldest(9).size(), 4U);
    EXPECT_EQ(cache.hottest(0).size(), 0U);
    cache.put("e", "v");
    EXPECT_FALSE(cache.peek("b"));
    EXPECT_TRUE(cache.peek("a"));
}

TEST(local_cache_order, pinned_entries_are_the_hottest) {
    local_cache<int, int> cache(
        {.max_entries = 9, .weigher = [](int, int v) { return static_cast<std::size_t>(v); }});
    cache.put(1, 1);
    cache.put(2, 0);
    cache.put(3, 1);
    EXPECT_EQ(cache.hottest(1).at(0).first, 2);
    EXPECT_EQ(cache.coldest(3).at(2).first, 2);
}

TEST(local_cache_snapshot, keeps_values_lives_and_order) {
    test::manual_clock_stub clock;
    std::stringstream bytes;
    {
        text_cache cache({.max_entries = 10, .clock = &clock, .shards = 1});
        cache.put("short", "1", 5s);
        cache.put("gone", "2", 1s);
        cache.put("cold", "3");
        cache.put("hot", "4");
        clock.advance(2s);
        (void)cache.get("short");
        (void)cache.get("hot");
        cache.snapshot(bytes, encode);
    }
    text_cache cache({.max_entries = 10, .clock = &clock, .shards = 1});
    EXPECT_EQ(cache.restore(bytes, decode), 3U);
    EXPECT_EQ(cache.coldest(3), (pairs{{"cold", "3"}, {"short", "1"}, {"hot", "4"}}));
    clock.advance(3s);
    EXPECT_EQ(cache.get("short"), std::nullopt);
    EXPECT_EQ(cache.get("hot"), "4");
}

TEST(local_cache_snapshot, a_smaller_cache_keeps_the_hottest) {
    std::stringstream bytes;
    text_cache cache({.max_entries = 100, .shards = 1});
    for (int i = 0; i < 100; ++i) {
        cache.put(std::to_string(i), "v");
    }
    (void)cache.get("7");
    cache.snapshot(bytes, encode);
    text_cache smaller({.max_entries = 10, .shards = 1});
    smaller.restore(bytes, decode);
    EXPECT_TRUE(smaller.peek("7"));
    EXPECT_EQ(smaller.estimated_size(), 10U);
}

TEST(local_cache_snapshot, restored_entries_have_a_time_to_idle_again_and_not_an_end) {
    test::manual_clock_stub clock;
    std::stringstream bytes;
    const text_cache::options idle{.max_entries = 10, .time_to_idle = 10s, .clock = &clock};
    text_cache before(idle);
    before.put("used", "1");
    before.put("short", "2", 15s);
    before.snapshot(bytes, encode);
    text_cache after(idle);
    EXPECT_EQ(after.restore(bytes, decode), 2U);
    clock.advance(8s);
    EXPECT_EQ(after.get("used"), "1");
    EXPECT_EQ(after.get("short"), "2");
    clock.advance(8s);
    EXPECT_EQ(after.get("used"), "1");  // used 8 s ago
    EXPECT_EQ(after.get("short"), std::nullopt);
    clock.advance(10s);
    EXPECT_EQ(after.get("used"), std::nullopt);
}

/// A value that counts how many of its kind there are.
struct counted {
    counted() noexcept { ++living; }
    counted(const counted&) noexcept { ++living; }
    counted& operator=(const counted&) = default;
    ~counted() { --living; }
    static inline std::size_t living = 0;
};

TEST(local_cache_snapshot, writes_go_on_meanwhile_and_what_they_replace_is_freed) {
    constexpr int entries = 5000;
    local_cache<int, counted> cache({.max_entries = entries, .shards = 1});
    const auto put_all = [&] {
        for (int key = 0; key < entries; ++key) {
            cache.put(key, {});
        }
    };
    put_all();
    std::stringstream bytes;
    int encoded = 0;
    std::size_t most_living = 0;
    cache.snapshot(bytes, [&](int, const counted&, std::string&) {
        if (++encoded % 1000 == 1) {
            put_all();
            cache.run_pending_work();
            most_living = std::max(most_living, counted::living);
        }
    });
    EXPECT_EQ(encoded, entries);
    EXPECT_EQ(cache.stats().rejected, 0U);
    EXPECT_LT(most_living, entries + 300U);
}

TEST(local_cache_snapshot, writes_go_on_while_a_listener_is_told_of_many) {
    constexpr int entries = 5000;
    local_cache<int, std::string>* the_cache = nullptr;
    bool is_inside = false;
    local_cache<int, std::string> cache({.max_entries = entries,
                                         .on_removal =
                                             [&](int, const std::string&, removal_cause) {
                                                 if (!std::exchange(is_inside, true)) {
                                                     for (int n = 0; n < 5000; ++n) {
                                                         the_cache->put(-1, "again");
                                                     }
                                                 }
                                             },
                                         .shards = 1});
    the_cache = &cache;
    for (int key = 0; key < entries; ++key) {
        cache.put(key, "v");
    }
    cache.set_max_entries(10);  // its listener hears of all at the end
    EXPECT_TRUE(is_inside);
    EXPECT_EQ(cache.stats().rejected, 0U);
}

TEST(local_cache_snapshot, refuses_any_damage_and_stores_nothing) {
    std::stringstream out;
    text_cache cache({.max_entries = 10});
    cache.put("key", "value");
    cache.put("other", "");
    cache.snapshot(out, encode);
    const std::string good = out.str();
    const auto is_refused = [&](std::string bytes) {
        std::istringstream in(std::move(bytes));
        text_cache target({.max_entries = 10});
        try {
            target.restore(in, decode);
        } catch (const error& thrown) {
            return thrown.code() == errc::invalid_data && target.estimated_size() == 0;
        }
        return false;
    };
    EXPECT_FALSE(is_refused(good));
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string damaged = good;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
        EXPECT_TRUE(is_refused(damaged)) << "byte " << i;
        EXPECT_TRUE(is_refused(good.substr(0, i))) << "cut at " << i;
    }
}

TEST(local_cache, looks_up_by_a_hash_computed_before) {
    text_cache cache({.max_entries = 10});
    const std::string_view key = "a key that needs an allocation of its own";
    cache.put(std::string(key), "v");
    const key_hash hash = cache.hash(key);
    EXPECT_EQ(cache.get(key, hash), "v");
    EXPECT_TRUE(cache.visit(std::string(key), hash, [](const std::string&) {}));
    EXPECT_EQ(cache.get(std::string_view("absent"), cache.hash("absent")), std::nullopt);
    EXPECT_EQ(cache.stats().hits, 2U);
}

TEST(local_cache, takes_a_hash_that_another_cache_computed) {
    text_cache first({.max_entries = 10}), second({.max_entries = 1000, .shards = 4});
    for (const char* key : {"a", "b", "c", "d"}) {
        second.put(key, "v");
        EXPECT_EQ(second.get(std::string_view(key), first.hash(key)), "v");
    }
    local_cache<int, int> numbers({.max_entries = 10}), others({.max_entries = 10});
    others.put(7, 70);
    EXPECT_EQ(others.get(7, numbers.hash(7)), 70);
    EXPECT_EQ(numbers.hash(7).value, others.hash(7).value);
}

TEST(local_cache, tells_its_memory) {
    local_cache<std::uint64_t, std::uint64_t> cache({.max_entries = 100'000});
    const std::size_t empty = cache.memory_usage();
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        cache.put(i, i);
    }
    cache.run_pending_work();
    EXPECT_GT(cache.memory_usage(), empty + 100'000 * 16);
    EXPECT_LE(cache.memory_usage(), 100'000U * (16 + 46));
}

}  // namespace
}  // namespace levee
