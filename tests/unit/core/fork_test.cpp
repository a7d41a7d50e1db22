// What the child of a fork finds. Children report through their exit status and never return to gtest.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <latch>
#include <thread>

#include "core/slot_registry.hpp"
#include "levee/core/epoch.hpp"
#include "levee/core/thread_slots.hpp"

// The thread sanitizer cannot start threads in the child of a process that had several.
#if !defined(LEVEE_THREAD_SANITIZER)

namespace {

using levee::epoch;
using levee::retire_list;
using levee::thread_cells;
using levee::thread_counter;
using levee::thread_slots;

// The child's answer: 0, or the line of the first check that failed. Only the lowest byte survives, so
// these files stay short of 255 lines.
#define CHILD_CHECK(condition) \
    do {                       \
        if (!(condition)) {    \
            return __LINE__;   \
        }                      \
    } while (false)

template <class F>
int status_of_child(F child) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::alarm(60);  // a child that hangs is killed, and so fails the test
        ::_exit(child());
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

// A thread that has a slot, is pinned and has counted 5, until the end of this object.
class busy_thread {
public:
    explicit busy_thread(thread_counter& counter)
        : thread_([&counter, this] {
              counter.add(5);
              const auto pinned = epoch::pin();
              slot_ = thread_slots::current();
              ready_.count_down();
              end_.wait();
          }) {
        ready_.wait();
    }
    ~busy_thread() {
        end_.count_down();
        thread_.join();
    }
    [[nodiscard]] std::uint32_t slot() const { return slot_; }

private:
    std::latch ready_{1};
    std::latch end_{1};
    std::uint32_t slot_ = 0;
    std::thread thread_;
};

class after_fork : public testing::TestWithParam<bool> {
protected:
    void SetUp() override { static_cast<void>(levee::detail::force_fenced_epochs(GetParam())); }
    void TearDown() override { static_cast<void>(levee::detail::force_fenced_epochs(false)); }
};

TEST_P(after_fork, counters_are_intact_in_child_and_parent) {
    thread_counter counter;
    counter.add(1);
    {
        busy_thread other(counter);
        EXPECT_EQ(status_of_child([&] {
                      CHILD_CHECK(counter.sum() == 6);
                      counter.add(1);
                      CHILD_CHECK(counter.sum() == 7);
                      return 0;
                  }),
                  0);
        EXPECT_EQ(counter.sum(), 6U);
    }
}

TEST_P(after_fork, the_forking_thread_keeps_its_slot_and_all_others_are_free) {
    thread_counter counter;
    const std::uint32_t mine = thread_slots::current();
    busy_thread other(counter);
    EXPECT_EQ(status_of_child([&] {
                  CHILD_CHECK(thread_slots::current() == mine);
                  std::uint32_t reused = thread_slots::none;
                  std::thread([&] { reused = thread_slots::current(); }).join();
                  CHILD_CHECK(reused == other.slot());
                  return 0;
              }),
              0);
}

TEST_P(after_fork, pins_of_other_threads_are_gone_in_the_child_only) {
    thread_counter counter;
    busy_thread other(counter);
    const auto tag = epoch::retire_tag();
    EXPECT_EQ(status_of_child([&] {
                  CHILD_CHECK(epoch::has_passed(tag));
                  return 0;
              }),
              0);
    EXPECT_FALSE(epoch::has_passed(tag));
}

TEST_P(after_fork, the_forking_threads_own_pin_still_holds_in_the_child) {
    epoch::tag tag{};
    EXPECT_EQ(status_of_child([&] { return 0; }), 0);
    {
        const auto pinned = epoch::pin();
        tag = epoch::retire_tag();
        EXPECT_EQ(status_of_child([&] {
                      CHILD_CHECK(!epoch::has_passed(tag));
                      return 0;
                  }),
                  0);
    }
    EXPECT_TRUE(epoch::has_passed(tag));
}

TEST_P(after_fork, the_child_can_make_threads_that_pin_and_retire) {
    thread_counter counter;
    busy_thread other(counter);
    EXPECT_EQ(status_of_child([&] {
                  std::atomic<int*> shared{new int(0)};
                  thread_counter reads;
                  std::atomic<bool> stop{false};
                  std::thread reader([&] {
                      while (!stop.load()) {
                          const auto pinned = epoch::pin();
                          reads.add(*shared.load() >= 0 ? 1 : 0);
                      }
                  });
                  retire_list retired;
                  for (int i = 1; i <= 1000; ++i) {
                      retired.retire(shared.exchange(new int(i)));
                      retired.collect();
                  }
                  while (reads.sum() == 0) {
                      std::this_thread::yield();
                  }
                  stop.store(true);
                  reader.join();
                  retired.retire(shared.exchange(nullptr));
                  retired.collect();
                  CHILD_CHECK(retired.empty());
                  return 0;
              }),
              0);
}

TEST_P(after_fork, a_fork_by_another_thread_keeps_that_threads_slot) {
    static_cast<void>(thread_slots::current());
    thread_counter counter;
    busy_thread other(counter);
    int status = -1;
    std::thread([&] {
        const std::uint32_t mine = thread_slots::current();
        status = status_of_child([&] {
            CHILD_CHECK(thread_slots::current() == mine);
            std::uint32_t theirs = mine;
            std::thread([&] { theirs = thread_slots::current(); }).join();
            CHILD_CHECK(theirs != mine);
            return 0;
        });
    }).join();
    EXPECT_EQ(status, 0);
}

TEST_P(after_fork, the_child_never_finds_the_registry_locked) {
    // The other thread neither allocates nor starts threads, since the address sanitizer's own locks do
    // not survive a fork.
    std::atomic<bool> stop{false};
    std::latch running(1);
    std::thread locking([&] {
        running.count_down();
        while (!stop.load()) {
            for (int i = 0; i < 200; ++i) {
                levee::detail::limit_slots(thread_slots::capacity);
            }
            std::this_thread::yield();  // lets the other one have the lock at all
        }
    });
    running.wait();
    std::thread([] {
        for (int i = 0; i < 100; ++i) {
            EXPECT_EQ(status_of_child([&] {
                          CHILD_CHECK(thread_slots::current() != thread_slots::none);  // its first: locks
                          return 0;
                      }),
                      0);
        }
    }).join();
    stop.store(true);
    locking.join();
}

TEST_P(after_fork, grandchildren_work_like_children) {
    thread_counter counter;
    busy_thread other(counter);
    const auto tag = epoch::retire_tag();
    EXPECT_EQ(status_of_child([&] {
                  return status_of_child([&] {
                      CHILD_CHECK(epoch::has_passed(tag));
                      CHILD_CHECK(counter.sum() == 5);
                      return 0;
                  });
              }),
              0);
}

INSTANTIATE_TEST_SUITE_P(by, after_fork, testing::Values(false, true),
                         [](const auto& by) { return by.param ? "fences" : "membarrier"; });

}  // namespace

#endif
