// Tables of a cache's shards lie in one piece of memory once they have grown to what was expected, and cannot
// be told from others by what is found in them.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "levee/local/detail/slot_index.hpp"
#include "levee/local/detail/table_arena.hpp"
#include "levee/local/local_cache.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = std::size_t{1} << 21;
constexpr auto no_times = slot_layout::times::none;

TEST(table_arena, is_cut_into_slices_that_fill_it_and_begin_at_different_lines) {
    for (const std::size_t bytes : {std::size_t{700'000}, std::size_t{1'912'000}, 3 * huge_page + 17}) {
        for (const std::size_t slices : {std::size_t{4}, std::size_t{16}}) {
            const table_arena arena(slices, bytes);
            ASSERT_NE(arena.bytes(), 0U) << "nothing can be mapped here";
            EXPECT_NEAR(static_cast<double>(arena.bytes()), static_cast<double>(slices * bytes),
                        static_cast<double>(slices * bytes) / 16 + page);
            const std::byte* next = arena.slice(0).data();
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(next) % huge_page, 0U);
            std::size_t sum = 0;
            std::set<std::uintptr_t> lines;
            for (std::size_t i = 0; i < slices; ++i) {
                const std::span<std::byte> slice = arena.slice(i);
                EXPECT_EQ(slice.data(), next);
                EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slice.data()) % 64, 0U);
                lines.insert(reinterpret_cast<std::uintptr_t>(slice.data()) % page);
                next += slice.size();
                sum += slice.size();
            }
            EXPECT_EQ(sum, arena.bytes());
            EXPECT_EQ(lines.size(), slices);
            EXPECT_TRUE(arena.slice(slices).empty());
        }
    }
}

TEST(table_arena, has_no_slices_where_nothing_is_gained_or_the_system_refuses) {
    const table_arena unknown(16, 0), small(16, page), alone(1, huge_page), big(16, 64 * huge_page),
        refused(std::numeric_limits<std::size_t>::max() / huge_page / 16, 16 * huge_page);
    for (const table_arena* arena : {&unknown, &small, &alone, &big, &refused}) {
        EXPECT_EQ(arena->bytes(), 0U);
        EXPECT_TRUE(arena->slice(0).empty());
    }
}

/// An index of 8-byte slots over a slice.
class set_in_slice {
public:
    set_in_slice(std::size_t expected, std::span<std::byte> slice)
        : index(slot_index::content::values, sizeof(std::uint64_t), no_times, expected, nullptr, slice) {}

    void insert(std::uint64_t key) {
        ASSERT_TRUE(index.prepare());
        const slot_number at = index.take(hash_parts(spread(key)));
        std::memcpy(index.table().slot(at), &key, sizeof key);
        index.publish(at, hash_parts(spread(key)));
    }
    [[nodiscard]] bool holds(std::uint64_t key) {
        const auto fits = [&](const std::byte* slot) { return std::memcmp(slot, &key, sizeof key) == 0; };
        return index.find_locked(hash_parts(spread(key)), fits) != no_slot;
    }
    [[nodiscard]] bool lies_in(std::span<std::byte> slice) const {
        return reinterpret_cast<const std::byte*>(&index.table()) == slice.data();
    }

    slot_index index;

private:
    static std::uint64_t spread(std::uint64_t key) { return (key + 1) * 0x9e3779b97f4a7c15; }
};

TEST(table_arena, an_index_grows_into_its_slice_once_and_out_of_it_again) {
    constexpr std::size_t expected = 40'000;
    const std::size_t bytes =
        slot_index::settled_bytes(slot_index::content::values, sizeof(std::uint64_t), no_times, expected);
    const table_arena arena(4, bytes);
    ASSERT_NE(arena.bytes(), 0U) << "nothing can be mapped here";
    const std::span<std::byte> slice = arena.slice(1);
    {
        set_in_slice set(expected, slice);
        EXPECT_FALSE(set.lies_in(slice));
        for (std::uint64_t key = 0; key < expected; ++key) {
            set.insert(key);
        }
        set.index.rebuild(expected);
        EXPECT_TRUE(set.lies_in(slice));
        EXPECT_EQ(set.index.table().memory(), slice.size());
        EXPECT_TRUE(set.index.is_consistent());
        for (std::uint64_t key = expected; key < 2 * expected; ++key) {
            set.insert(key);
        }
        set.index.rebuild(2 * expected);
        EXPECT_FALSE(set.lies_in(slice));
        EXPECT_TRUE(set.index.is_consistent());
        for (std::uint64_t key = 0; key < 2 * expected; ++key) {
            ASSERT_TRUE(set.holds(key));
        }
        group_table* const passed = set.index.take_passed_tables();
        ASSERT_NE(passed, nullptr);
        for (group_table* one = passed; one != nullptr;) {
            group_table::free_memory()(std::exchange(one, one->next_retired));
        }
        for (const std::byte left : slice.subspan(page, slice.size() - 2 * page)) {
            ASSERT_EQ(left, std::byte{0});  // the memory was given back
        }
    }
    for (const std::size_t other : {0, 2, 3}) {
        for (const std::byte left : arena.slice(other)) {
            ASSERT_EQ(left, std::byte{0});
        }
    }
}

TEST(table_arena, an_index_without_a_slice_grows_as_well) {
    constexpr std::size_t expected = 40'000;
    set_in_slice set(expected, {});
    for (std::uint64_t key = 0; key < expected; ++key) {
        set.insert(key);
    }
    EXPECT_TRUE(set.index.is_consistent());
    EXPECT_TRUE(set.holds(0) && set.holds(expected - 1));
}

TEST(group_table, keeps_ids_of_three_bytes_and_of_four) {
    const slot_layout layout(sizeof(std::uint64_t), no_times);
    for (const entry_id end :
         {entry_id{100}, entry_id{0xffffff}, entry_id{0x1000000}, entry_id{0x3fffffff}}) {
        const group_table::pointer table = group_table::make(layout, 8, end);
        for (slot_number group = 0; group < 8; ++group) {
            for (slot_number lane = 0; lane < slots_in_group; ++lane) {
                table->set_id(group << 4 | lane, lane == 7 ? no_slot : end - 1 - (group << 4 | lane) % end);
            }
        }
        for (slot_number group = 0; group < 8; ++group) {
            for (slot_number lane = 0; lane < slots_in_group; ++lane) {
                ASSERT_EQ(table->id(group << 4 | lane),
                          lane == 7 ? no_slot : end - 1 - (group << 4 | lane) % end);
            }
        }
    }
}

}  // namespace
}  // namespace levee::local_detail

namespace levee {
namespace {

using numbers = local_cache<std::uint64_t, std::uint64_t>;

std::size_t found(const numbers& cache, std::uint64_t keys) {
    std::size_t count = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
        if (const auto value = cache.peek(key)) {
            count += *value == key * 3 ? 1U : 0U;
        }
    }
    return count;
}

// With the 16 bytes of key and value: 46.9 and 69.9 when this was written.
TEST(local_cache_arena, memory_stays_within_its_bars_and_counts_the_tables) {
    constexpr std::size_t entries = 1'000'000;
    numbers plain({.max_entries = entries});
    numbers all({.max_entries = entries,
                 .max_weight = 2 * entries,
                 .weigher = [](std::uint64_t, std::uint64_t) { return std::size_t{1}; },
                 .time_to_live = std::chrono::minutes(5),
                 .time_to_idle = std::chrono::minutes(5)});
    const std::size_t empty = plain.memory_usage();
    for (std::uint64_t key = 0; key < entries; ++key) {
        plain.put(key, key * 3);
        all.put(key, key * 3);
    }
    plain.run_pending_work();
    all.run_pending_work();
    EXPECT_LT(empty, entries * 4);  // what is not touched takes nothing
    EXPECT_GE(plain.memory_usage(), entries * 24);
    EXPECT_LE(plain.memory_usage(), entries * 48);
    EXPECT_LE(all.memory_usage(), entries * 72);
}

TEST(local_cache_arena, a_live_resize_leaves_it_and_comes_back) {
    constexpr std::size_t entries = 80'000;
    for (const std::size_t shards : {std::size_t{2}, std::size_t{16}}) {
        numbers cache({.max_entries = entries, .shards = shards});
        std::uint64_t next = 0;
        for (const std::size_t bound : {entries, 3 * entries, entries / 10, entries, std::size_t{500}}) {
            cache.set_max_entries(bound);
            for (std::size_t i = 0; i < bound + bound / 4; ++i, ++next) {
                cache.put(next, next * 3);
            }
            cache.run_pending_work();
            ASSERT_TRUE(cache.is_consistent());
            ASSERT_LE(cache.estimated_size(), bound);
            ASSERT_GE(cache.estimated_size(), bound - bound / 20);
        }
        EXPECT_EQ(found(cache, next), cache.estimated_size());
    }
}

TEST(local_cache_arena, first_lives_of_entries_leave_it) {
    constexpr std::size_t entries = 80'000;
    numbers cache({.max_entries = entries, .shards = 16});
    for (std::uint64_t key = 0; key < entries / 2; ++key) {
        cache.put(key, key * 3);
    }
    for (std::uint64_t key = entries / 2; key < entries; ++key) {
        cache.put(key, key * 3, std::chrono::minutes(5));
    }
    cache.run_pending_work();
    EXPECT_TRUE(cache.is_consistent());
    EXPECT_EQ(found(cache, entries), entries);
}

}  // namespace
}  // namespace levee
