// The chaos decorators under threads: links that are cut and healed while others publish, listen and ask.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/chaos_backplane.hpp"
#include "levee/testing/chaos_store.hpp"

namespace levee::testing {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// An io_context with two threads, ended when all its work is done.
struct two_threads {
    two_threads() {
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([this] { context.run(); });
        }
    }
    ~two_threads() { finish(); }
    two_threads(const two_threads&) = delete;
    two_threads& operator=(const two_threads&) = delete;

    void finish() {
        work.reset();
        for (auto& thread : threads) {
            thread.join();
        }
        threads.clear();
    }

    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::vector<std::thread> threads;
};

TEST(chaos_stress, delayed_messages_keep_each_senders_order_under_threads) {
    constexpr std::uint64_t senders = 3, messages = 500;
    two_threads runs;
    const auto bus = std::make_shared<memory_backplane>();
    chaos_backplane link(bus, async::steady_scheduler(runs.context.get_executor()),
                         {.delivery_delay = 200us, .duplicate = 0.1});
    std::mutex mutex;
    std::map<std::uint64_t, std::uint64_t> latest;
    std::uint64_t wrong = 0;
    const auto subscription = link.subscribe(
        [&](const backplane_message& heard) {
            const std::lock_guard lock(mutex);
            auto& last = latest[heard.sender];
            wrong += heard.count == last || heard.count == last + 1 ? 0 : 1;
            last = heard.count;
        },
        {});
    std::vector<std::thread> publishers;
    for (std::uint64_t sender = 1; sender <= senders; ++sender) {
        publishers.emplace_back([&, sender] {
            for (std::uint64_t i = 1; i <= messages; ++i) {
                link.publish({.what = change::marked, .count = i, .sender = sender});
            }
        });
    }
    for (auto& publisher : publishers) {
        publisher.join();
    }
    runs.finish();  // once nothing is on its way any more
    EXPECT_EQ(wrong, 0u);
    for (std::uint64_t sender = 1; sender <= senders; ++sender) {
        EXPECT_EQ(latest[sender], messages);
    }
}

TEST(chaos_stress, links_are_cut_healed_stalled_and_left_while_messages_flow) {
    two_threads runs;
    const auto bus = std::make_shared<memory_backplane>();
    const auto time = async::steady_scheduler(runs.context.get_executor());
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> heard{0}, gaps{0};
    std::thread publisher([&] {
        for (std::uint64_t i = 1; !is_over; ++i) {
            bus->publish({.what = change::marked, .count = i, .sender = i % 3});
        }
    });
    for (int round = 0; round < 20; ++round) {
        chaos_backplane link(bus, time,
                             {.seed = static_cast<std::uint64_t>(round),
                              .delivery_delay = 20us,
                              .break_link = 0.01,
                              .reconnect_delay = 50us});
        const auto subscription = link.subscribe([&](const backplane_message&) { ++heard; }, [&] { ++gaps; });
        std::thread reader([&] {
            for (int i = 0; i < 200; ++i) {
                static_cast<void>(link.fresh_until());
                static_cast<void>(link.counts());
            }
        });
        for (int i = 0; i < 20; ++i) {
            link.set_link(i % 2 == 0 ? chaos_link::refuses : chaos_link::is_silent);
            link.set_stalled(i % 3 == 0);
            link.set_link(chaos_link::works);
            link.set_stalled(false);
        }
        reader.join();
    }
    is_over = true;
    publisher.join();
    EXPECT_GE(gaps.load(), 400u);
}

TEST(chaos_stress, unreliable_stores_answer_blocking_callers_of_many_threads) {
    two_threads runs;
    const auto inner = std::make_shared<memory_store>();
    chaos_store store(inner, async::steady_scheduler(runs.context.get_executor()),
                      {.call_delay = 20us,
                       .answer_delay = 20us,
                       .refuse = 0.1,
                       .lose_answer = 0.1,
                       .late = 0.1,
                       .late_delay = 100us,
                       .resize = 0.1,
                       .lose = 0.01,
                       .lose_data = [inner] { inner->lose_data(); }});
    std::atomic<int> answers{0}, failures{0};
    std::vector<std::thread> callers;
    callers.reserve(4);
    for (int t = 0; t < 3; ++t) {
        callers.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                const std::string key = std::to_string(i % 5);
                try {
                    if (t == 0) {
                        store.put(key, {.payload = bytes(8), .fresh_left = 1h});
                    } else if (t == 1) {
                        static_cast<void>(store.get({key}));
                    } else {
                        store.erase({key});
                    }
                    ++answers;
                } catch (const error&) {
                    ++failures;
                }
            }
        });
    }
    callers.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
            store.set_link(chaos_link::refuses);
            store.set_link(chaos_link::works);
        }
    });
    for (auto& caller : callers) {
        caller.join();
    }
    runs.finish();
    EXPECT_EQ(answers + failures, 600);
    EXPECT_GT(answers.load(), 100);
    EXPECT_GT(failures.load(), 60);
    EXPECT_EQ(store.counts().calls, 600u);
}

}  // namespace
}  // namespace levee::testing
