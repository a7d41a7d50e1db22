// What K and V throw, and memory that is not there: it costs one call, and never a worker or a write.
#include <gtest/gtest.h>

#include <compare>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"
#include "levee/testing/power_loss_files.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

using namespace tests;
using testing::power_loss_files;

/// A key whose copies throw while a test wants them to.
struct fragile_key {
    explicit fragile_key(int n) : number(n) {}
    fragile_key(const fragile_key& other) : number(other.number) {
        if (breaks) {
            throw std::runtime_error("it broke");
        }
    }
    fragile_key(fragile_key&&) noexcept = default;
    fragile_key& operator=(const fragile_key&) = default;
    fragile_key& operator=(fragile_key&&) noexcept = default;
    ~fragile_key() = default;
    friend bool operator==(const fragile_key&, const fragile_key&) = default;

    static inline bool breaks = false;
    int number;
};

struct fragile_key_hash {
    std::size_t operator()(const fragile_key& key) const noexcept {
        return static_cast<std::size_t>(key.number);
    }
};

struct fragile_bench : bench_of<fragile> {
    using bench_of::bench_of;
    ~fragile_bench() { fragile::breaks = nullptr; }
};

TEST(write_behind_throws, a_worker_survives_a_copy_that_throws) {
    fragile_bench b({.flush_interval = 10ms});
    b.cache.put(1, fragile("a"));
    fragile::breaks = "";
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = nullptr;
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(1).text, "a");
    b.cache.put(2, fragile("b"));
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(2).text, "b");
}

TEST(write_behind_throws, a_write_whose_letter_cannot_be_made_waits_on) {
    fragile_bench b({.flush_interval = 10ms, .classify = [](const std::exception_ptr&) {
                         fragile::breaks = "";
                         return write_failure::permanent;
                     }});
    b.db->refuse_row = [](const auto&) { return failure(errc::invalid_data); };
    b.cache.put(1, fragile("a"));
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = nullptr;
    EXPECT_EQ(b.cache.stats().pending, 1U);
    EXPECT_TRUE(b.cache.dead_letters().empty());
    b.db->refuse_row = nullptr;
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(1).text, "a");
}

TEST(write_behind_throws, a_value_that_cannot_be_published_is_dropped_at_the_peers) {
    const auto shared = std::make_shared<memory_store>();
    const auto bus = std::make_shared<memory_backplane>();
    fragile_bench b({.flush_interval = 1h}, 100, [&](auto& options) {
        options.name = "n";
        options.remote = shared;
        options.backplane = bus;
    });
    cache<int, fragile> peer({.name = "n",
                              .local = {.max_entries = 10, .clock = &b.world.clock()},
                              .remote = shared,
                              .backplane = bus,
                              .executor = b.world.executor(),
                              .scheduler = b.world.scheduler()});
    b.cache.put(1, fragile("old"));
    EXPECT_TRUE(b.flush());
    b.world.run_for(1s);
    static_cast<void>(b.get([&](auto token) { return b.cache.async_get(1, token); }));
    b.world.run_for(1s);
    b.cache.put(1, fragile("new"));
    fragile::breaks = "";
    EXPECT_NO_THROW(b.world.run_for(1s));
    fragile::breaks = nullptr;
    EXPECT_TRUE(b.flush());
    b.world.run_for(1s);
    EXPECT_EQ(b.db->rows.at(1).text, "new");
    EXPECT_EQ(b.cache.stats().pending, 0U);
    b.cache.put(2, fragile("told as ever"));
    b.world.run_for(1s);
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind_throws, a_write_that_throws_leaves_its_room_to_others) {
    testing::simulation world(1);
    const auto disk = std::make_shared<power_loss_files>();
    using wanted = write_behind<fragile_key, int, fragile_key_hash>;
    std::size_t stored = 0;
    wanted cache(source_from<fragile_key, int>([](const fragile_key&) { return std::optional<int>(); },
                                               [&](const write_op<fragile_key, int>&) { ++stored; }),
                 {.local = {.max_entries = 10, .clock = &world.clock()},
                  .executor = world.executor(),
                  .blocking_executor = world.executor(),
                  .scheduler = world.scheduler()},
                 {.max_pending = 1, .full = when_full::reject, .close_timeout = 0s});
    const fragile_key key(1);
    auto ready = std::make_optional<fragile_key>(key);
    fragile_key::breaks = true;
    EXPECT_THROW(cache.put(std::move(*ready), 1), std::runtime_error);
    fragile_key::breaks = false;
    EXPECT_EQ(cache.stats().pending, 0U);
    EXPECT_EQ(cache.stats().pending_bytes, 0U);
    EXPECT_NO_THROW(cache.put(key, 2));
    world.run_for(1min);
    EXPECT_EQ(stored, 1U);
    EXPECT_EQ(cache.stats().pending, 0U);
}

}  // namespace
}  // namespace levee
