// G1 and G4 of one process under many seeded interleavings: callers, cancellations, invalidations, puts and
// a failing, slow source take turns in virtual time; the history is checked after every answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "levee/cache/cache.hpp"
#include "levee/core/random.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr int key_count = 3;

/// A source whose values are version numbers, so that an answer tells when it was read.
struct history {
    std::array<std::uint64_t, key_count> written{};   // the version the source holds
    std::array<std::uint64_t, key_count> required{};  // the least version that a new call may be answered
    std::array<std::uint64_t, key_count> invalidations{};
};

/// A load under way: asked for after how many invalidations of its key, and whether anybody still waits.
struct running_load {
    std::uint64_t epoch;
    const load_context* context;
};

struct world_of_one_cache {
    explicit world_of_one_cache(std::uint64_t seed) : world(seed), random(seed + 1) {}

    testing::simulation world;
    xoshiro256 random;
    history past;
    std::array<std::list<running_load>, key_count> running;
    cache<int, std::uint64_t> values{{.local = {.max_entries = 2, .clock = &world.clock(), .shards = 1},
                                      .executor = world.executor(),
                                      .defaults = {.ttl = 20ms, .ttl_jitter = 0.5, .load_timeout = 40ms},
                                      .scheduler = world.scheduler()}};
    int answers = 0, failures = 0, calls = 0, stale = 0, double_loads = 0;

    duration up_to(duration most) {
        return duration(
            static_cast<duration::rep>(uniform_below(random, static_cast<std::uint64_t>(most.count()))));
    }

    asio::awaitable<std::uint64_t> load(int key, std::uint64_t epoch, load_context& context) {
        const auto at = static_cast<std::size_t>(key);
        // Two at a time only if an invalidation came between them, or nobody waits for the first any more.
        for (const running_load& other : running[at]) {
            double_loads += other.epoch == epoch && !other.context->is_cancelled() ? 1 : 0;
        }
        struct listed {
            std::list<running_load>& list;
            std::list<running_load>::iterator place;
            ~listed() { list.erase(place); }
        };
        running[at].push_front({epoch, &context});
        const listed until_it_ends{running[at], running[at].begin()};
        co_await world.scheduler()->sleep_until(world.now() + up_to(5ms));
        const std::uint64_t read = past.written[at];
        co_await world.scheduler()->sleep_until(world.now() +
                                                up_to(uniform_below(random, 20) == 0 ? 60ms : 5ms));
        if (uniform_below(random, 10) == 0) {
            throw std::runtime_error("the source fails");
        }
        co_return read;
    }

    void call(int key) {
        const auto at = static_cast<std::size_t>(key);
        const std::uint64_t least = past.required[at];
        const auto signal = std::make_shared<asio::cancellation_signal>();
        auto loader = [this, epoch = past.invalidations[at]](int k, load_context& context) {
            return load(k, epoch, context);
        };
        ++calls;
        values.async_get_or_load(
            key, loader,
            asio::bind_cancellation_slot(
                signal->slot(),
                asio::bind_executor(
                    world.executor(),
                    [this, least, signal](std::exception_ptr failure, std::optional<std::uint64_t> value) {
                        failure ? ++failures : ++answers;
                        stale += !failure && *value < least ? 1 : 0;
                    })));
        if (uniform_below(random, 8) == 0) {
            asio::co_spawn(world.executor(), cancel_soon(signal), asio::detached);
        }
    }

    asio::awaitable<void> cancel_soon(std::shared_ptr<asio::cancellation_signal> signal) {
        co_await world.scheduler()->sleep_until(world.now() + up_to(8ms));
        signal->emit(asio::cancellation_type::terminal);
    }

    asio::awaitable<void> act(int steps) {
        for (int i = 0; i < steps; ++i) {
            const int key = static_cast<int>(uniform_below(random, key_count));
            const auto at = static_cast<std::size_t>(key);
            switch (uniform_below(random, 8)) {
                case 0:
                    ++past.written[at];
                    values.invalidate(key);
                    ++past.invalidations[at];
                    past.required[at] = past.written[at];
                    break;
                case 1:
                    values.put(key, ++past.written[at]);
                    ++past.invalidations[at];
                    past.required[at] = past.written[at];
                    break;
                case 2:
                    if (const auto held = values.try_get(key)) {
                        stale += *held < past.required[at] ? 1 : 0;
                    }
                    break;
                case 3:
                    if (uniform_below(random, 4) == 0) {
                        for (std::size_t k = 0; k < key_count; ++k) {
                            past.required[k] = ++past.written[k];
                            ++past.invalidations[k];
                        }
                        values.clear();
                        break;
                    }
                    [[fallthrough]];
                default:
                    call(key);
            }
            co_await world.scheduler()->sleep_until(world.now() + up_to(3ms));
        }
    }

    void run() {
        for (int actor = 0; actor < 4; ++actor) {
            asio::co_spawn(world.executor(), act(40), asio::detached);
        }
        world.run();
    }
};

void check_seeds(std::uint64_t first, std::uint64_t count) {
    std::uint64_t answers = 0;
    std::uint64_t failures = 0;
    std::uint64_t joined = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        world_of_one_cache w(seed);
        w.run();
        ASSERT_EQ(w.stale, 0) << "G1: an answer older than an invalidation that had returned, seed " << seed;
        ASSERT_EQ(w.double_loads, 0) << "G4: a second load without an invalidation, seed " << seed;
        ASSERT_EQ(w.answers + w.failures, w.calls) << "a call without an answer, seed " << seed;
        ASSERT_EQ(w.world.sleeping(), 0U) << "a timer was left, seed " << seed;
        answers += static_cast<std::uint64_t>(w.answers);
        failures += static_cast<std::uint64_t>(w.failures);
        joined += w.values.stats().joined;
    }
    // The schedules do what they are meant to: all kinds of ends occur.
    EXPECT_GT(answers, count * 10);
    EXPECT_GT(failures, count);
    EXPECT_GT(joined, count * 10);
}

TEST(a_cache_under_simulation, answers_nothing_older_than_an_invalidation_and_loads_once) {
    check_seeds(1, 2'000);
}

TEST(a_cache_under_simulation, long_answers_nothing_older_than_an_invalidation_and_loads_once) {
    check_seeds(1'000'000, 200'000);
}

}  // namespace
}  // namespace levee
