// The races of epoch: readers pin while writers unlink, retire and free.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/slot_registry.hpp"
#include "levee/core/epoch.hpp"
#include "levee/core/random.hpp"
#include "levee/core/thread_slots.hpp"

namespace {

using levee::epoch;
using levee::retire_list;
using levee::thread_counter;

constexpr std::uint64_t alive = 0x616c697665616c69;
constexpr std::uint64_t dead = 0x6465616464656164;

// Says when it was freed, in place of being freed: premature freeing is counted, and is not undefined.
struct marked_node {
    std::atomic<std::uint64_t> canary{alive};
};

void mark_dead(void* node) {
    static_cast<marked_node*>(node)->canary.store(dead);
}

struct by_epoch {
    retire_list list;
    void retire(marked_node* node) {
        list.retire(node, mark_dead);
        list.collect();
    }
    static auto pin() { return epoch::pin(); }
};

// Two mistakes that the check below must find.
struct frees_at_once {
    static void retire(marked_node* node) { mark_dead(node); }
    static auto pin() { return epoch::pin(); }
};
struct never_pins : by_epoch {
    static int pin() { return 0; }
};

// Whether a reader that holds a node while it is unlinked and retired sees it freed.
template <class Reclaimer>
bool reader_sees_a_freed_node() {
    marked_node old;
    marked_node fresh;
    std::atomic<marked_node*> shared{&old};
    bool freed = false;
    std::latch holds_it(1);
    std::latch retired(1);
    std::thread reader([&] {
        [[maybe_unused]] const auto pinned = Reclaimer::pin();
        marked_node* const node = shared.load();
        holds_it.count_down();
        retired.wait();
        freed = node->canary.load() != alive;
    });
    holds_it.wait();
    {
        Reclaimer reclaimer;
        reclaimer.retire(shared.exchange(&fresh));
        retired.count_down();
        reader.join();
    }
    return freed;
}

class epoch_stress : public testing::TestWithParam<bool> {
protected:
    // Under the thread sanitizer, and without membarrier(2), both are the same.
    void SetUp() override { static_cast<void>(levee::detail::force_fenced_epochs(GetParam())); }
    void TearDown() override { static_cast<void>(levee::detail::force_fenced_epochs(false)); }
};

TEST_P(epoch_stress, a_reader_never_sees_a_freed_node_and_the_check_finds_those_who_do) {
    EXPECT_FALSE(reader_sees_a_freed_node<by_epoch>());
    EXPECT_TRUE(reader_sees_a_freed_node<frees_at_once>());
    EXPECT_TRUE(reader_sees_a_freed_node<never_pins>());
}

// Puts the calling thread on one processor, if it may run there: two threads that share one never race.
void run_on(std::size_t processor) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(processor, &only);
    static_cast<void>(::pthread_setaffinity_np(::pthread_self(), sizeof only, &only));
}

// The race that the fences are for: a reader announces itself and loads the pointer, a writer changes the
// pointer and looks for announcements. If both miss each other's store, a node is reused under the reader.
// Without fences a store is missed while it waits in its core's store buffer, so the reader first fills
// that with stores to lines that the writer keeps taking away, and then holds on to the node for a while.
// A run without the fences shows a few violations in thousands of changes, if there are two processors.
TEST_P(epoch_stress, reader_and_writer_never_both_miss_each_other) {
    struct alignas(64) line {
        std::atomic<std::uint64_t> word{0};
    };
    std::vector<line> contended(16);
    marked_node nodes[2];
    std::atomic<marked_node*> shared{&nodes[0]};
    std::atomic<bool> stop{false};
    std::atomic<int> changes{0};  // the reader's look is the measure of how much the two really met
    std::uint64_t violations = 0;
    std::latch reading(1);
    std::thread reader([&] {
        run_on(1);
        reading.count_down();
        const marked_node* last = nullptr;
        while (!stop.load(std::memory_order_relaxed)) {
            for (line& l : contended) {
                l.word.store(1, std::memory_order_relaxed);
            }
            const auto pinned = epoch::pin();
            const marked_node* const node = shared.load(std::memory_order_acquire);
            bool freed = false;
            for (int look = 0; look < 400 && !freed; ++look) {
                freed = node->canary.load(std::memory_order_relaxed) != alive;
            }
            violations += freed ? 1U : 0U;
            if (node != last) {  // no read-modify-write, which would be a fence
                changes.store(changes.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            }
            last = node;
        }
    });
    std::thread writer([&] {
        run_on(0);
        reading.wait();
        for (std::size_t i = 1; i <= 100'000 && changes.load(std::memory_order_relaxed) < 5'000; ++i) {
            for (line& l : contended) {
                l.word.store(2, std::memory_order_relaxed);
            }
            marked_node& fresh = nodes[i % 2];
            fresh.canary.store(alive, std::memory_order_relaxed);
            marked_node* const old = shared.exchange(&fresh, std::memory_order_acq_rel);
            const auto tag = epoch::retire_tag();
            while (!epoch::has_passed(tag)) {
            }
            old->canary.store(dead, std::memory_order_relaxed);
        }
    });
    writer.join();
    stop.store(true);
    reader.join();
    EXPECT_EQ(violations, 0U);
}

// A collector's answer holds for tags that others take while it scans.
TEST_P(epoch_stress, no_tag_taken_under_a_pin_passes_before_the_pin_ends) {
    std::atomic<bool> stop{false};
    std::atomic<epoch::tag> answered{0};
    std::latch collecting(1);
    std::thread collector([&] {
        run_on(1);
        collecting.count_down();
        while (!stop.load(std::memory_order_relaxed)) {
            answered.store(epoch::oldest());
        }
    });
    collecting.wait();
    std::uint64_t violations = 0;
    for (int i = 0; i < 30'000; ++i) {
        const auto pinned = epoch::pin();
        const auto tag = epoch::retire_tag();
        for (int look = 0; look < 100; ++look) {
            violations += tag < answered.load(std::memory_order_relaxed) ? 1U : 0U;
        }
    }
    stop.store(true);
    collector.join();
    EXPECT_EQ(violations, 0U);
}

// A node whose end the address and thread sanitizers see, and its canary in any build.
struct linked_node {
    explicit linked_node(std::unique_ptr<linked_node> tail = nullptr) : next(tail.release()) {}
    ~linked_node() { canary = dead; }
    linked_node(const linked_node&) = delete;
    linked_node& operator=(const linked_node&) = delete;

    std::uint64_t canary = alive;
    linked_node* next;
};

linked_node* make_chain() {
    return new linked_node(std::make_unique<linked_node>(std::make_unique<linked_node>()));
}

void retire_chain(retire_list& list, linked_node* node) {
    while (node != nullptr) {
        linked_node* const next = node->next;
        list.retire(node);
        node = next;
    }
}

TEST_P(epoch_stress, readers_walk_chains_while_writers_swap_and_retire_them) {
    constexpr std::size_t heads_count = 4;
    constexpr int readers = 2;
    std::atomic<linked_node*> heads[heads_count];
    for (auto& head : heads) {
        head.store(make_chain());
    }
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> violations{0};
    thread_counter walked;
    std::mutex shared_mutex;  // guards shared_list
    retire_list shared_list;  // used by two writers
    std::latch started(readers);
    {
        std::vector<std::jthread> reading;
        for (int r = 0; r < readers; ++r) {
            reading.emplace_back([&, r] {
                levee::xoshiro256 random(static_cast<std::uint64_t>(r));
                const auto walk = [&] {
                    const auto pinned = epoch::pin();
                    const auto& head = heads[levee::uniform_below(random, heads_count)];
                    for (const linked_node* n = head.load(std::memory_order_acquire); n != nullptr;
                         n = n->next) {
                        const auto nested = epoch::pin();
                        violations += n->canary == alive ? 0U : 1U;
                        walked.add();
                    }
                };
                walk();
                started.count_down();
                while (!stop.load(std::memory_order_relaxed)) {
                    walk();
                }
            });
        }
        started.wait();
        std::vector<std::jthread> writing;
        for (int w = 0; w < 3; ++w) {
            writing.emplace_back([&, w] {
                levee::xoshiro256 random(static_cast<std::uint64_t>(w) + 100);
                retire_list own;
                for (int i = 0; i < 2000; ++i) {
                    auto& head = heads[levee::uniform_below(random, heads_count)];
                    linked_node* const old = head.exchange(make_chain(), std::memory_order_acq_rel);
                    if (w == 0) {
                        retire_chain(own, old);
                        own.collect();
                    } else {
                        retire_list passed;  // freed after the lock
                        const std::lock_guard lock(shared_mutex);
                        retire_chain(shared_list, old);
                        passed = shared_list.extract_passed();
                    }
                }
                while (!own.empty()) {
                    own.collect();
                    std::this_thread::yield();
                }
            });
        }
        // Threads that are born pinned-and-gone, so that records pass between owners meanwhile.
        for (int i = 0; i < 200; ++i) {
            std::thread([&] {
                const auto pinned = epoch::pin();
                violations += heads[0].load(std::memory_order_acquire)->canary == alive ? 0U : 1U;
            }).join();
        }
        writing.clear();
        stop.store(true);
    }
    EXPECT_EQ(violations, 0U);
    EXPECT_GT(walked.sum(), 0U);
    shared_list.collect();
    EXPECT_TRUE(shared_list.empty());
    for (auto& head : heads) {
        retire_chain(shared_list, head.exchange(nullptr));
    }
}

TEST_P(epoch_stress, all_is_freed_in_the_end_while_a_reader_pins_again_and_again) {
    std::atomic<bool> stop{false};
    std::atomic<linked_node*> shared{make_chain()};
    std::uint64_t violations = 0;
    std::latch reading(1);
    std::thread reader([&] {
        reading.count_down();
        while (!stop.load(std::memory_order_relaxed)) {
            const auto pinned = epoch::pin();
            violations += shared.load(std::memory_order_acquire)->canary == alive ? 0U : 1U;
        }
    });
    reading.wait();
    retire_list list;
    std::size_t freed = 0;
    std::size_t retired = 0;
    for (int i = 0; i < 1000; ++i) {
        retire_chain(list, shared.exchange(make_chain(), std::memory_order_acq_rel));
        retired += 3;
        freed += list.collect();
    }
    while (freed < retired) {
        freed += list.collect();
        std::this_thread::yield();
    }
    EXPECT_TRUE(list.empty());
    stop.store(true);
    reader.join();
    EXPECT_EQ(violations, 0U);
    retire_chain(list, shared.load());
}

INSTANTIATE_TEST_SUITE_P(by, epoch_stress, testing::Values(false, true),
                         [](const auto& by) { return by.param ? "fences" : "membarrier"; });

}  // namespace
