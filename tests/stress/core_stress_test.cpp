// The races of thread slots, cells and counters: threads come and go while others look.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "levee/core/thread_slots.hpp"

namespace {

using levee::thread_cells;
using levee::thread_counter;
using levee::thread_slots;

TEST(thread_slots_stress, no_two_living_threads_share_a_slot_while_threads_come_and_go) {
    std::vector<std::atomic<bool>> owned(thread_slots::capacity);
    std::atomic<int> shared_slots{0};
    {
        std::vector<std::jthread> spawners;
        for (int s = 0; s < 4; ++s) {
            spawners.emplace_back([&] {
                for (int i = 0; i < 150; ++i) {
                    std::thread([&] {
                        std::atomic<bool>& mine = owned[thread_slots::current()];
                        shared_slots += mine.exchange(true) ? 1 : 0;
                        std::this_thread::yield();
                        mine.store(false);
                    }).join();
                }
            });
        }
    }
    EXPECT_EQ(shared_slots, 0);
}

TEST(thread_cells_stress, threads_that_meet_at_a_block_not_yet_made_agree_on_one) {
    constexpr std::size_t threads = 8;
    for (int round = 0; round < 60; ++round) {
        thread_cells<std::atomic<std::uint64_t>> cells;
        std::latch start(threads);
        {
            std::vector<std::jthread> running;
            for (std::size_t i = 0; i < threads; ++i) {
                running.emplace_back([&] {
                    start.arrive_and_wait();
                    cells.local().fetch_add(1);
                });
            }
        }
        std::uint64_t sum = 0;
        cells.for_each([&](const auto& cell) { sum += cell.load(); });
        ASSERT_EQ(sum, threads);
    }
}

TEST(thread_cells_stress, plain_data_passes_from_an_ended_thread_to_the_slots_next_owner) {
    thread_cells<std::uint64_t> cells;  // a race here is for the thread sanitizer to find
    {
        std::vector<std::jthread> spawners;
        for (int s = 0; s < 3; ++s) {
            spawners.emplace_back([&] {
                for (int i = 0; i < 150; ++i) {
                    std::thread([&] { ++cells.local(); }).join();
                }
            });
        }
    }
    std::uint64_t sum = 0;
    cells.for_each([&](std::uint64_t cell) { sum += cell; });
    EXPECT_EQ(sum, 450U);
}

TEST(thread_counter_stress, the_sum_never_goes_back_and_ends_exact) {
    thread_counter counter;
    std::atomic<bool> stop{false};
    std::uint64_t steps_back = 0;
    std::thread reader([&] {
        std::uint64_t last = 0;
        while (!stop.load()) {
            const std::uint64_t now = counter.sum();
            steps_back += now < last ? 1 : 0;
            last = now;
        }
    });
    {
        std::vector<std::jthread> spawners;
        for (int s = 0; s < 3; ++s) {
            spawners.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    std::thread([&] {
                        for (int n = 0; n < 200; ++n) {
                            counter.add();
                        }
                    }).join();
                }
            });
        }
    }
    stop.store(true);
    reader.join();
    EXPECT_EQ(steps_back, 0U);
    EXPECT_EQ(counter.sum(), 3U * 50 * 200);
}

}  // namespace
