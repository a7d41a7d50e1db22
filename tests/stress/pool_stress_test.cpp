// Threads and coroutines on one pool at once, for the thread sanitizer: time-outs, cancellations, failures,
// invalidations and the end of the pool race the handing over of connections.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/pool/connection_pool.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Two users at once are a race that the sanitizer sees, and one that `users` counts.
struct guarded {
    guarded(std::atomic<int>& all) : living(all) { ++living; }
    guarded(const guarded&) = delete;
    guarded& operator=(const guarded&) = delete;
    ~guarded() { --living; }

    std::atomic<int>& living;
    std::atomic<int> users = 0;
    std::uint64_t unguarded = 0;
};

class flaky_factory final : public connection_factory<guarded> {
public:
    explicit flaky_factory(std::atomic<int>& living) : living_(living) {}

    asio::awaitable<std::unique_ptr<guarded>> async_connect() override {
        co_await asio::post(asio::use_awaitable);
        if (one_in(10)) {
            throw std::runtime_error("this time it fails");
        }
        co_return std::make_unique<guarded>(living_);
    }
    asio::awaitable<bool> async_is_valid(guarded& connection) override {
        ++connection.unguarded;
        co_await asio::post(asio::use_awaitable);
        co_return !one_in(10);
    }
    asio::awaitable<void> async_reset(guarded& connection) override {
        ++connection.unguarded;
        co_await asio::post(asio::use_awaitable);
    }
    bool needs_reset(const guarded& connection) const noexcept override {
        return connection.unguarded % 8 == 0;
    }

private:
    bool one_in(std::uint64_t n) {
        const std::lock_guard lock(mutex_);
        return uniform_below(random_, n) == 0;
    }

    std::atomic<int>& living_;
    std::mutex mutex_;  // guards random_
    xoshiro256 random_{1};
};

struct racing_users : ::testing::Test {
    std::atomic<int> living = 0, wrong = 0, served = 0, refused = 0, out_of_order = 0;
    std::vector<std::atomic<int>> held = std::vector<std::atomic<int>>(100'000);  // by connection
    std::shared_ptr<flaky_factory> factory = std::make_shared<flaky_factory>(living);
    runtime threads{2, 1};

    std::unique_ptr<connection_pool<guarded>> make(std::size_t size) {
        return std::make_unique<connection_pool<guarded>>(
            factory, pool_options{.max_size = size,
                                  .max_waiters = 6,
                                  .idle_timeout = 5ms,
                                  .max_lifetime = 10ms,
                                  .lifetime_jitter = 0.5,
                                  .validate_after_idle = 1ms,
                                  .validation_timeout = 2ms,
                                  .reset_timeout = 2ms,
                                  .connect_timeout = 2ms,
                                  .backoff = {.initial = 10us, .max = 100us},
                                  .leak_threshold = 1ms,
                                  .observer = [this](const pool_event& event) { check_order(event); },
                                  .executor = threads.get_executor()});
    }

    // A connection is said to be acquired before it is said to be released.
    void check_order(const pool_event& event) {
        std::atomic<int>& leases = held[event.connection % held.size()];
        if (event.kind == pool_event_kind::acquired) {
            out_of_order += leases.fetch_add(1) == 0 ? 0 : 1;
        } else if (event.kind == pool_event_kind::released) {
            out_of_order += leases.fetch_sub(1) == 1 ? 0 : 1;
        }
    }

    void use(pooled<guarded> lease, xoshiro256& random) {
        wrong += lease->users.fetch_add(1) == 0 ? 0 : 1;
        ++lease->unguarded;
        if (uniform_below(random, 4) == 0) {
            std::this_thread::yield();
        }
        lease->users.fetch_sub(1);
        ++served;
        if (uniform_below(random, 16) == 0) {
            lease.discard();
        }
    }

    void block(connection_pool<guarded>& pool, std::uint64_t seed, int rounds) {
        xoshiro256 random(seed);
        for (int i = 0; i < rounds; ++i) {
            try {
                const auto patience = std::chrono::microseconds(uniform_below(random, 300));
                if (uniform_below(random, 4) == 0) {
                    if (auto lease = pool.try_acquire()) {
                        use(std::move(lease), random);
                    }
                } else {
                    use(pool.acquire(patience), random);
                }
            } catch (const pool_error&) {
                ++refused;
            }
        }
    }

    asio::awaitable<void> suspend(connection_pool<guarded>& pool, std::uint64_t seed, int rounds) {
        xoshiro256 random(seed);
        const auto strand = co_await asio::this_coro::executor;
        for (int i = 0; i < rounds; ++i) {
            asio::cancellation_signal signal;
            if (uniform_below(random, 3) == 0) {
                asio::post(strand, [&signal] { signal.emit(asio::cancellation_type::terminal); });
            }
            const duration patience = std::chrono::microseconds(uniform_below(random, 300));
            auto token = asio::bind_cancellation_slot(signal.slot(), asio::use_awaitable);
            try {
                auto lease = co_await pool.async_acquire(patience, std::move(token));
                use(std::move(lease), random);
            } catch (const pool_error&) {
                ++refused;
            }
            co_await asio::post(asio::use_awaitable);  // what cancels this has run
        }
    }
};

TEST_F(racing_users, never_share_a_connection) {
    auto pool = make(3);
    std::vector<std::future<void>> coroutines;
    for (std::uint64_t i = 0; i < 4; ++i) {
        coroutines.push_back(asio::co_spawn(asio::make_strand(threads.get_executor()),
                                            suspend(*pool, 100 + i, 500), asio::use_future));
    }
    {
        std::vector<std::jthread> callers;
        for (std::uint64_t i = 0; i < 3; ++i) {
            callers.emplace_back([&, i] { block(*pool, i, 1'000); });
        }
        callers.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                static_cast<void>(pool->stats());
                if (i % 20 == 0) {
                    pool->invalidate_all();
                }
                std::this_thread::yield();
            }
        });
    }
    for (auto& each : coroutines) {
        each.get();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(out_of_order, 0);
    EXPECT_GT(served, 100);
    const pool_stats stats = pool->stats();
    EXPECT_EQ(stats.in_use, 0U);
    EXPECT_EQ(stats.waiting, 0U);
    EXPECT_EQ(stats.acquired, static_cast<std::uint64_t>(served));
    EXPECT_TRUE(pool->close(1min));
}

TEST_F(racing_users, may_still_wait_and_hold_leases_when_the_pool_goes) {
    for (std::uint64_t round = 0; round < 100; ++round) {
        auto pool = make(2);
        std::atomic<int> begun = 0;
        std::vector<std::jthread> callers;
        std::vector<std::future<pooled<guarded>>> asked;
        for (int i = 0; i < 2; ++i) {
            asked.push_back(pool->async_acquire(asio::use_future));
        }
        for (std::uint64_t i = 0; i < 2; ++i) {
            callers.emplace_back([&, i, shared = pool.get()] {
                xoshiro256 random(round * 10 + i);
                try {
                    ++begun;
                    use(shared->acquire(1s), random);
                } catch (const pool_error&) {
                    ++refused;
                }
            });
        }
        // Each has its lease or is in the queue before the pool may go.
        for (std::uint64_t seen = 0; seen < 4; std::this_thread::yield()) {
            const pool_stats stats = pool->stats();
            seen = stats.waiting + stats.acquired;
        }
        std::jthread holder([&] {
            for (auto& each : asked) {
                try {
                    xoshiro256 random(round);
                    use(each.get(), random);
                } catch (const error&) {
                    ++refused;
                }
            }
        });
        pool.reset();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(served + refused, 400);  // all end, each by one or the other
}

}  // namespace
}  // namespace levee
