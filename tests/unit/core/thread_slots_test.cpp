#include "levee/core/thread_slots.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "core/slot_registry.hpp"
#include "levee/core/error.hpp"

namespace {

using levee::thread_cells;
using levee::thread_counter;
using levee::thread_slots;

// No slot is given out while it lives, to threads that have none.
struct no_more_slots {
    no_more_slots() { levee::detail::limit_slots(0); }
    ~no_more_slots() { levee::detail::limit_slots(thread_slots::capacity); }
};

template <class F>
void on_a_thread(F f) {
    std::thread(std::move(f)).join();
}

TEST(thread_slots, a_thread_keeps_its_slot) {
    const std::uint32_t mine = thread_slots::current();
    EXPECT_EQ(thread_slots::current(), mine);
    EXPECT_EQ(thread_slots::try_current(), mine);
    EXPECT_LT(mine, thread_slots::high_water());
}

TEST(thread_slots, threads_alive_together_have_different_slots) {
    constexpr std::size_t threads = 200;
    std::vector<std::uint32_t> slots(threads);
    std::latch all_have_one(threads);
    const std::uint32_t mine = thread_slots::current();
    {
        std::vector<std::jthread> running;
        for (std::size_t i = 0; i < threads; ++i) {
            running.emplace_back([&, i] {
                slots[i] = thread_slots::current();
                all_have_one.arrive_and_wait();
                EXPECT_EQ(thread_slots::current(), slots[i]);
            });
        }
    }
    slots.push_back(mine);
    EXPECT_EQ(std::set(slots.begin(), slots.end()).size(), threads + 1);
    EXPECT_LT(*std::max_element(slots.begin(), slots.end()), thread_slots::high_water());
}

TEST(thread_slots, an_ended_thread_gives_its_slot_back) {
    std::uint32_t first = 0;
    std::uint32_t second = 0;
    on_a_thread([&] { first = thread_slots::current(); });
    on_a_thread([&] { second = thread_slots::current(); });
    EXPECT_EQ(first, second);
}

TEST(thread_slots, the_lowest_free_slot_goes_first) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    std::uint32_t again = 0;
    std::latch low_taken(1);
    std::latch high_taken(1);
    std::latch end(1);
    std::thread first([&] {
        low = thread_slots::current();
        low_taken.count_down();
        high_taken.wait();
    });
    std::thread second([&] {
        low_taken.wait();
        high = thread_slots::current();
        high_taken.count_down();
        end.wait();
    });
    first.join();
    on_a_thread([&] { again = thread_slots::current(); });
    end.count_down();
    second.join();
    EXPECT_LT(low, high);
    EXPECT_EQ(again, low);
}

TEST(thread_slots, ten_thousand_short_threads_need_few_slots) {
    thread_counter counter;
    std::uint32_t highest = 0;
    for (int i = 0; i < 5'000; ++i) {
        std::uint32_t one = 0;
        std::uint32_t two = 0;
        std::thread pair([&] {
            one = thread_slots::current();
            counter.add();
        });
        on_a_thread([&] {
            two = thread_slots::current();
            counter.add();
        });
        pair.join();
        highest = std::max({highest, one, two});
    }
    EXPECT_EQ(counter.sum(), 10'000U);
    EXPECT_LT(highest, thread_slots::current() + 3);  // this thread and two others were alive
}

TEST(thread_slots, a_thread_without_a_slot_is_told_so_and_can_try_again) {
    on_a_thread([] {
        {
            const no_more_slots none_left;
            EXPECT_EQ(thread_slots::try_current(), thread_slots::none);
            try {
                static_cast<void>(thread_slots::current());
                ADD_FAILURE() << "no error";
            } catch (const levee::error& e) {
                EXPECT_EQ(e.code(), std::errc::resource_unavailable_try_again);
                EXPECT_NE(std::string(e.what()).find("65536"), std::string::npos) << e.what();
            }
        }
        EXPECT_NE(thread_slots::try_current(), thread_slots::none);
    });
}

struct used_at_thread_end {
    thread_counter* counter = nullptr;
    std::uint32_t* slot = nullptr;
    ~used_at_thread_end() {
        counter->add();
        *slot = thread_slots::current();
    }
};

TEST(thread_slots, can_be_used_by_destructors_of_thread_locals) {
    thread_counter counter;
    std::uint32_t before = 0;
    std::uint32_t at_end = 0;
    on_a_thread([&] {
        thread_local used_at_thread_end last;
        last.counter = &counter;
        last.slot = &at_end;
        before = thread_slots::current();
    });
    EXPECT_EQ(counter.sum(), 1U);
    EXPECT_EQ(at_end, before);  // not given back yet
}

// A pthread key whose destructor counts, and asks to be called again until it has counted `rounds` times.
class counting_key {
public:
    explicit counting_key(int rounds) : rounds_(rounds) {
        if (::pthread_key_create(
                &key_, [](void* self) { static_cast<counting_key*>(self)->on_thread_end(); }) != 0) {
            throw std::runtime_error("no key");
        }
    }
    ~counting_key() { ::pthread_key_delete(key_); }

    void use() { ::pthread_setspecific(key_, this); }
    [[nodiscard]] std::uint64_t counted() const { return counter_.sum(); }

private:
    void on_thread_end() {
        counter_.add();
        if (--rounds_ > 0) {
            use();
        }
    }

    pthread_key_t key_{};
    thread_counter counter_;
    int rounds_;
};

TEST(thread_slots, can_be_used_by_destructors_of_pthread_keys_after_it_was_given_back) {
    static_cast<void>(thread_slots::current());  // the registry's own key exists before the others here
    counting_key one_round(1);
    counting_key two_rounds(2);  // the thread sanitizer does not survive more
    std::uint32_t slot = 0;
    on_a_thread([&] {
        slot = thread_slots::current();
        one_round.use();
        two_rounds.use();
    });
    EXPECT_EQ(one_round.counted(), 1U);
    EXPECT_EQ(two_rounds.counted(), 2U);
    std::uint32_t next = 0;
    on_a_thread([&] { next = thread_slots::current(); });
    EXPECT_EQ(next, slot) << "taken anew in a destructor and not given back";
}

TEST(thread_cells, each_thread_has_a_cell_of_its_own) {
    thread_cells<std::atomic<int>> cells;
    cells.local().store(1);
    std::atomic<int>* theirs = nullptr;
    on_a_thread([&] {
        theirs = &cells.local();
        EXPECT_EQ(theirs, cells.try_local());
        theirs->store(2);
    });
    EXPECT_NE(theirs, &cells.local());
    int sum = 0;
    cells.for_each([&](const std::atomic<int>& cell) { sum += cell.load(); });
    EXPECT_EQ(sum, 3);
}

TEST(thread_cells, cells_do_not_share_lines_and_do_not_move) {
    thread_cells<std::atomic<char>> cells;
    std::atomic<char>* const mine = &cells.local();
    constexpr std::size_t threads = 70;  // enough for a second and a third block
    std::vector<std::atomic<char>*> addresses(threads);
    std::latch all(threads);
    {
        std::vector<std::jthread> running;
        for (auto& address : addresses) {
            running.emplace_back([&] {
                address = &cells.local();
                all.arrive_and_wait();
            });
        }
    }
    EXPECT_EQ(&cells.local(), mine);
    addresses.push_back(mine);
    std::sort(addresses.begin(), addresses.end());
    for (std::size_t i = 1; i < addresses.size(); ++i) {
        EXPECT_GE(addresses[i] - addresses[i - 1], 64) << i;
    }
}

TEST(thread_cells, a_new_thread_finds_what_the_slots_last_owner_left) {
    thread_cells<int> cells;  // not even atomic: a slot passes on under a mutex
    std::uint32_t first = 0;
    on_a_thread([&] {
        first = thread_slots::current();
        cells.local() = 5;
    });
    on_a_thread([&] {
        ASSERT_EQ(thread_slots::current(), first);
        EXPECT_EQ(cells.local()++, 5);
    });
    int sum = 0;
    cells.for_each([&](int cell) { sum += cell; });
    EXPECT_EQ(sum, 6);
}

struct tracked {
    static inline std::atomic<int> alive = 0;
    static inline std::atomic<int> until_failure = -1;  // negative: never
    tracked() {
        if (until_failure-- == 0) {
            throw std::bad_alloc();
        }
        ++alive;
    }
    ~tracked() { --alive; }
    tracked(const tracked&) = delete;
    tracked& operator=(const tracked&) = delete;
    int value = 0;
};

TEST(thread_cells, frees_its_cells_with_itself) {
    {
        thread_cells<tracked> cells;
        cells.local().value = 1;
        EXPECT_GT(tracked::alive, 0);
    }
    EXPECT_EQ(tracked::alive, 0);
}

TEST(thread_cells, makes_no_cells_before_they_are_asked_for) {
    thread_cells<tracked> cells;
    cells.for_each([](const tracked&) { ADD_FAILURE() << "a cell"; });
    EXPECT_EQ(tracked::alive, 0);
}

TEST(thread_cells, a_failure_while_making_cells_leaves_nothing_behind) {
    thread_cells<tracked> cells;
    for (const int which : {0, 3}) {
        tracked::until_failure = which;
        EXPECT_THROW(static_cast<void>(cells.local()), std::bad_alloc);
        EXPECT_EQ(tracked::alive, 0);
        tracked::until_failure = which;
        EXPECT_EQ(cells.try_local(), nullptr);
        EXPECT_EQ(tracked::alive, 0);
    }
    tracked::until_failure = -1;
    cells.local().value = 7;
    EXPECT_EQ(cells.local().value, 7);
}

TEST(thread_cells, many_objects_use_the_same_slots) {
    const std::uint32_t before = thread_slots::high_water();
    std::vector<std::unique_ptr<thread_cells<int>>> many;
    for (int i = 0; i < 1000; ++i) {
        many.push_back(std::make_unique<thread_cells<int>>());
        many.back()->local() = i;
    }
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(many[static_cast<std::size_t>(i)]->local(), i);
    }
    EXPECT_LE(thread_slots::high_water(), std::max(before, 1U));
}

TEST(thread_counter, counts_exactly_across_ended_threads) {
    thread_counter counter;
    for (int round = 0; round < 5; ++round) {
        std::vector<std::jthread> running;
        for (std::uint64_t i = 1; i <= 20; ++i) {
            running.emplace_back([&, i] {
                for (int n = 0; n < 100; ++n) {
                    counter.add(i);
                }
            });
        }
    }
    EXPECT_EQ(counter.sum(), 5U * 100 * 210);
}

TEST(thread_counter, a_new_one_is_zero_even_when_slots_are_used) {
    thread_counter first;
    first.add(3);
    const thread_counter second;
    EXPECT_EQ(second.sum(), 0U);
}

TEST(thread_counter, counts_also_for_threads_that_get_no_slot) {
    thread_counter counter;
    on_a_thread([&] {
        {
            const no_more_slots none_left;
            counter.add(2);
        }
        counter.add(3);
    });
    EXPECT_EQ(counter.sum(), 5U);
}

}  // namespace
