#include "levee/core/epoch.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/slot_registry.hpp"
#include "levee/core/thread_slots.hpp"

namespace {

using levee::epoch;
using levee::retire_list;

// Every test runs with both ways of fencing: true is full fences on both sides.
class epoch_fencing : public testing::TestWithParam<bool> {
protected:
    // Where there is no membarrier(2) the tests run with fences twice.
    void SetUp() override { static_cast<void>(levee::detail::force_fenced_epochs(GetParam())); }
    void TearDown() override { static_cast<void>(levee::detail::force_fenced_epochs(false)); }
};
using epoch_pin = epoch_fencing;
using retired = epoch_fencing;

// A thread that is pinned from the end of the constructor until `unpin`.
class pinned_thread {
public:
    pinned_thread()
        : thread_([this] {
              const auto pinned = epoch::pin();
              pinned_.count_down();
              unpin_.wait();
          }) {
        pinned_.wait();
    }
    ~pinned_thread() {
        if (thread_.joinable()) {
            unpin();
        }
    }

    void unpin() {
        unpin_.count_down();
        thread_.join();
    }

private:
    std::latch pinned_{1};
    std::latch unpin_{1};
    std::thread thread_;
};

struct counted {
    explicit counted(int& freed_count) : freed(freed_count) {}
    ~counted() { ++freed; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    int& freed;
};

TEST(epoch, guards_stay_where_they_were_made) {
    static_assert(!std::is_copy_constructible_v<epoch::guard>);
    static_assert(!std::is_move_constructible_v<epoch::guard>);
    static_assert(!std::is_move_assignable_v<epoch::guard>);
    static_assert(noexcept(epoch::pin()));
}

TEST_P(epoch_pin, without_readers_a_tag_passes_at_once) {
    const auto tag = epoch::retire_tag();
    EXPECT_TRUE(epoch::has_passed(tag));
    EXPECT_LT(tag, epoch::oldest());
}

TEST_P(epoch_pin, tags_grow) {
    const auto first = epoch::retire_tag();
    EXPECT_LT(first, epoch::retire_tag());
}

TEST_P(epoch_pin, a_tag_not_yet_taken_has_not_passed) {
    const auto oldest = epoch::oldest();
    EXPECT_GE(epoch::retire_tag(), oldest);
}

TEST_P(epoch_pin, a_pinned_reader_blocks_until_it_unpins) {
    pinned_thread reader;
    const auto tag = epoch::retire_tag();
    EXPECT_FALSE(epoch::has_passed(tag));
    EXPECT_FALSE(epoch::has_passed(tag));
    reader.unpin();
    EXPECT_TRUE(epoch::has_passed(tag));
}

TEST_P(epoch_pin, the_callers_own_pin_blocks_too) {
    std::optional<epoch::tag> tag;
    {
        const auto pinned = epoch::pin();
        tag = epoch::retire_tag();
        EXPECT_FALSE(epoch::has_passed(*tag));
    }
    EXPECT_TRUE(epoch::has_passed(*tag));
}

TEST_P(epoch_pin, a_reader_that_pins_after_the_retirement_does_not_block) {
    const auto tag = epoch::retire_tag();
    pinned_thread late;
    EXPECT_TRUE(epoch::has_passed(tag));
    EXPECT_FALSE(epoch::has_passed(epoch::retire_tag()));
}

TEST_P(epoch_pin, the_oldest_of_several_readers_counts) {
    pinned_thread first;
    const auto one = epoch::retire_tag();
    pinned_thread second;
    const auto two = epoch::retire_tag();
    EXPECT_FALSE(epoch::has_passed(one));
    first.unpin();
    EXPECT_TRUE(epoch::has_passed(one));
    EXPECT_FALSE(epoch::has_passed(two));
    second.unpin();
    EXPECT_TRUE(epoch::has_passed(two));
}

TEST_P(epoch_pin, what_one_collector_found_passed_costs_the_others_no_fence) {
    const auto one = epoch::retire_tag();
    const auto two = epoch::retire_tag();
    std::thread([two] { EXPECT_TRUE(epoch::has_passed(two)); }).join();
    pinned_thread late;
    const auto before = levee::detail::collector_fences();
    EXPECT_TRUE(epoch::has_passed(one));
    EXPECT_TRUE(epoch::has_passed(two));
    EXPECT_EQ(levee::detail::collector_fences(), before);
    EXPECT_FALSE(epoch::has_passed(epoch::retire_tag()));
}

TEST_P(epoch_pin, a_reader_that_is_seen_in_the_way_costs_no_fence) {
    pinned_thread reader;
    const auto tag = epoch::retire_tag();
    const auto before = levee::detail::collector_fences();
    EXPECT_FALSE(epoch::has_passed(tag));
    EXPECT_EQ(levee::detail::collector_fences(), before);
    reader.unpin();
    EXPECT_TRUE(epoch::has_passed(tag));
    EXPECT_EQ(levee::detail::collector_fences(), before + 1);
}

TEST_P(epoch_pin, nested_guards_hold_until_the_outermost_ends) {
    epoch::tag tag{};
    {
        const auto outer = epoch::pin();
        {
            const auto inner = epoch::pin();
            const auto innermost = epoch::pin();
            tag = epoch::retire_tag();
        }
        EXPECT_FALSE(epoch::has_passed(tag));
        {
            const auto again = epoch::pin();  // does not renew the outer one's announcement
        }
        EXPECT_FALSE(epoch::has_passed(tag));
    }
    EXPECT_TRUE(epoch::has_passed(tag));
}

TEST_P(epoch_pin, guards_may_end_in_any_order) {
    struct holder {
        epoch::guard guard = epoch::pin();
    };
    auto one = std::make_unique<holder>();
    auto two = std::make_unique<holder>();
    const auto tag = epoch::retire_tag();
    one.reset();
    EXPECT_FALSE(epoch::has_passed(tag));
    two.reset();
    EXPECT_TRUE(epoch::has_passed(tag));
}

TEST_P(epoch_pin, a_thread_that_ends_while_pinned_does_not_block) {
    alignas(epoch::guard) std::byte abandoned[sizeof(epoch::guard)];
    epoch::tag tag{};
    std::thread([&] {
        new (abandoned) epoch::guard(epoch::pin());  // never destroyed
        tag = epoch::retire_tag();
        EXPECT_FALSE(epoch::has_passed(tag));
    }).join();
    EXPECT_TRUE(epoch::has_passed(tag));
    // The slot's next owner starts unpinned, and can pin and unpin.
    std::thread([&] {
        tag = epoch::retire_tag();
        EXPECT_TRUE(epoch::has_passed(tag));
        {
            const auto pinned = epoch::pin();
            tag = epoch::retire_tag();
            EXPECT_FALSE(epoch::has_passed(tag));
        }
        EXPECT_TRUE(epoch::has_passed(tag));
    }).join();
}

TEST_P(epoch_pin, a_thread_without_a_slot_is_pinned_all_the_same) {
    epoch::tag tag{};
    std::thread([&] {
        levee::detail::limit_slots(0);
        {
            const auto outer = epoch::pin();
            levee::detail::limit_slots(levee::thread_slots::capacity);
            tag = epoch::retire_tag();
            EXPECT_FALSE(epoch::has_passed(tag));
            {
                const auto inner = epoch::pin();  // this one finds a slot
                EXPECT_FALSE(epoch::has_passed(tag));
            }
            EXPECT_FALSE(epoch::has_passed(tag));
        }
        EXPECT_TRUE(epoch::has_passed(tag));
    }).join();
}

struct pins_at_thread_end {
    bool* blocked = nullptr;
    ~pins_at_thread_end() {
        const auto pinned = epoch::pin();
        *blocked = !epoch::has_passed(epoch::retire_tag());
    }
};

TEST_P(epoch_pin, works_in_destructors_of_thread_locals_and_of_pthread_keys) {
    static_cast<void>(levee::thread_slots::current());
    pthread_key_t key{};
    ASSERT_EQ(::pthread_key_create(&key, [](void* end) { delete static_cast<pins_at_thread_end*>(end); }), 0);
    bool by_thread_local = false;
    bool by_key = false;
    std::thread([&] {
        thread_local pins_at_thread_end local;
        local.blocked = &by_thread_local;
        ::pthread_setspecific(key, new pins_at_thread_end{&by_key});
    }).join();
    ::pthread_key_delete(key);
    EXPECT_TRUE(by_thread_local);
    EXPECT_TRUE(by_key);
    EXPECT_TRUE(epoch::has_passed(epoch::retire_tag()));
}

TEST_P(retired, an_object_waits_for_the_reader_that_was_pinned) {
    int freed = 0;
    retire_list list;
    pinned_thread reader;
    list.retire(new counted(freed));
    EXPECT_EQ(list.collect(), 0U);
    EXPECT_EQ(freed, 0);
    EXPECT_EQ(list.size(), 1U);
    reader.unpin();
    EXPECT_EQ(list.collect(), 1U);
    EXPECT_EQ(freed, 1);
    EXPECT_TRUE(list.empty());
}

TEST_P(retired, what_was_retired_before_the_reader_pinned_is_freed_and_the_rest_waits) {
    int early = 0;
    int late = 0;
    retire_list list;
    for (int i = 0; i < 64; ++i) {  // so many share a tag, which they get when the last one comes
        list.retire(std::make_unique<counted>(early));
    }
    pinned_thread reader;
    for (int i = 0; i < 150; ++i) {
        list.retire(std::make_unique<counted>(late));
    }
    EXPECT_EQ(list.collect(), 64U);
    EXPECT_EQ(early, 64);
    EXPECT_EQ(late, 0);
    EXPECT_EQ(list.size(), 150U);
    reader.unpin();
    EXPECT_EQ(list.collect(), 150U);
    EXPECT_EQ(late, 150);
}

TEST_P(retired, one_tag_serves_many_objects) {
    const auto before = epoch::retire_tag();
    retire_list list;
    int freed = 0;
    for (int i = 0; i < 6'400; ++i) {
        list.retire(new counted(freed));
    }
    EXPECT_LE(epoch::retire_tag() - before, 101U);
}

TEST_P(retired, a_unique_ptr_is_emptied) {
    retire_list list;
    int freed = 0;
    auto object = std::make_unique<counted>(freed);
    list.retire(std::move(object));
    EXPECT_EQ(object, nullptr);  // NOLINT: what `retire` promises
    EXPECT_EQ(freed, 0);
}

TEST_P(retired, collecting_an_empty_list_does_nothing) {
    retire_list list;
    EXPECT_EQ(list.collect(), 0U);
    EXPECT_TRUE(list.extract_passed().empty());
}

TEST_P(retired, what_has_passed_can_be_freed_later) {
    int freed = 0;
    retire_list list;
    list.retire(new counted(freed));
    {
        const retire_list passed = list.extract_passed();
        EXPECT_EQ(passed.size(), 1U);
        EXPECT_TRUE(list.empty());
        EXPECT_EQ(freed, 0);
    }
    EXPECT_EQ(freed, 1);
}

TEST_P(retired, the_destructor_frees_all_even_if_unrelated_readers_are_pinned) {
    int freed = 0;
    pinned_thread unrelated;
    {
        retire_list list;
        for (int i = 0; i < 70; ++i) {
            list.retire(new counted(freed));
        }
        list.collect();
        EXPECT_EQ(freed, 0);
    }
    EXPECT_EQ(freed, 70);
}

TEST_P(retired, anything_with_a_function_that_frees_it_can_be_retired) {
    retire_list list;
    int freed = 0;
    list.retire(&freed, [](void* count) { ++*static_cast<int*>(count); });
    list.retire(new const int(3));
    EXPECT_EQ(list.collect(), 2U);
    EXPECT_EQ(freed, 1);
}

struct retires_another {
    retire_list& list;
    int& freed;
    ~retires_another() { list.retire(new counted(freed)); }
};

TEST_P(retired, freeing_may_retire_more_to_the_same_list) {
    int freed = 0;
    retire_list list;
    list.retire(new retires_another{list, freed});
    EXPECT_EQ(list.collect(), 1U);
    EXPECT_EQ(list.size(), 1U);
    EXPECT_EQ(freed, 0);
    EXPECT_EQ(list.collect(), 1U);
    EXPECT_EQ(freed, 1);
    {
        retire_list ends;
        for (int i = 0; i < 50; ++i) {
            ends.retire(new retires_another{ends, freed});
        }
    }
    EXPECT_EQ(freed, 51);
}

TEST_P(retired, a_moved_list_takes_its_objects_along) {
    int freed = 0;
    retire_list from;
    for (int i = 0; i < 65; ++i) {
        from.retire(new counted(freed));
    }
    retire_list to(std::move(from));
    EXPECT_EQ(to.size(), 65U);
    EXPECT_TRUE(from.empty());  // NOLINT: what a moved-from list promises
    from.retire(new counted(freed));
    EXPECT_EQ(from.collect(), 1U);
    int replaced = 0;
    from.retire(new counted(replaced));
    from = std::move(to);
    EXPECT_EQ(replaced, 1);
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(from.collect(), 65U);
    EXPECT_EQ(freed, 66);
}

INSTANTIATE_TEST_SUITE_P(by, epoch_pin, testing::Values(false, true),
                         [](const auto& by) { return by.param ? "fences" : "membarrier"; });
INSTANTIATE_TEST_SUITE_P(by, retired, testing::Values(false, true),
                         [](const auto& by) { return by.param ? "fences" : "membarrier"; });

}  // namespace
