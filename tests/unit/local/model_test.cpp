// The whole cache beside a simple model, its invariants after each run; and what makes operations fail.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "levee/core/epoch.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"
#include "support/failing_allocations.hpp"
#include "support/manual_clock_stub.hpp"

namespace levee {
namespace {

using tests::allocations_left;

using namespace std::chrono_literals;

template <class T>
T value_of(int n);
template <>
int value_of<int>(int n) {
    return n;
}
template <>
std::string value_of<std::string>(int n) {
    return "a value that is not kept in the string itself: " + std::to_string(n);
}

template <class V>
class local_cache_model : public testing::Test {};
using value_types = testing::Types<int, std::string>;
TYPED_TEST_SUITE(local_cache_model, value_types);

// Never full, so that the model knows exactly what is there; lives, idleness and each way of writing.
TYPED_TEST(local_cache_model, agrees_over_random_operations_and_times) {
    struct known {
        TypeParam value;
        time_point life_ends;
        time_point used;
    };
    for (const duration idle : {duration(0s), duration(3s)}) {
        test::manual_clock_stub clock;
        local_cache<int, TypeParam> cache({.max_entries = 4096, .time_to_idle = idle, .clock = &clock});
        std::map<int, known> model;
        xoshiro256 random(7);
        const auto find = [&](int key) {
            const auto at = model.find(key);
            if (at != model.end() && (clock.now() >= at->second.life_ends ||
                                      (idle != 0s && clock.now() >= at->second.used + idle))) {
                model.erase(at);
                return model.end();
            }
            return at;
        };
        for (int step = 0; step < 15'000; ++step) {
            const int key = static_cast<int>(uniform_below(random, 300));
            const auto at = find(key);
            const bool is_there = at != model.end();
            const TypeParam fresh = value_of<TypeParam>(step);
            switch (uniform_below(random, 10)) {
                case 0: {
                    const duration ttl = std::chrono::milliseconds(1 + uniform_below(random, 9000));
                    cache.put(key, fresh, ttl);
                    model.insert_or_assign(key, known{fresh, clock.now() + ttl, clock.now()});
                    break;
                }
                case 1:
                    cache.put(key, fresh);
                    model.insert_or_assign(key, known{fresh, time_point::max(), clock.now()});
                    break;
                case 2:
                    ASSERT_EQ(cache.insert(key, fresh), !is_there);
                    model.try_emplace(key, known{fresh, time_point::max(), clock.now()});
                    break;
                case 3:
                    ASSERT_EQ(cache.invalidate(key), is_there);
                    model.erase(key);
                    break;
                case 4:
                    cache.compute(key, [&](std::optional<TypeParam> old) {
                        EXPECT_EQ(old.has_value(), is_there);
                        return old ? std::nullopt : std::optional(fresh);
                    });
                    is_there ? void(model.erase(key))
                             : void(model.emplace(key, known{fresh, time_point::max(), clock.now()}));
                    break;
                case 5:
                    clock.advance(std::chrono::milliseconds(uniform_below(random, 200)));
                    if (uniform_below(random, 10) == 0) {
                        cache.run_pending_work();
                        std::size_t live = 0;
                        for (auto it = model.begin(); it != model.end();) {
                            const int known_key = (it++)->first;
                            live += find(known_key) != model.end() ? 1U : 0U;
                        }
                        ASSERT_EQ(cache.estimated_size(), live);
                    }
                    break;
                case 6: {
                    const fill_lease lease = cache.begin_fill(key);
                    ASSERT_TRUE(cache.fill(lease, key, fresh));
                    model.insert_or_assign(key, known{fresh, time_point::max(), clock.now()});
                    break;
                }
                default: {
                    const auto found = cache.get(key);
                    ASSERT_EQ(found.has_value(), is_there) << step;
                    if (found) {
                        ASSERT_EQ(*found, at->second.value);
                        at->second.used = clock.now();
                    }
                }
            }
            if (step % 1500 == 0) {
                ASSERT_TRUE(cache.is_consistent());
            }
        }
        ASSERT_TRUE(cache.is_consistent());
        cache.clear();
        ASSERT_TRUE(cache.is_consistent());
    }
}

// Full all the time: the bounds hold, the books balance, and what is found is what was last stored.
TYPED_TEST(local_cache_model, keeps_its_books_while_it_evicts) {
    for (const std::size_t shards : {1U, 8U}) {
        local_cache<int, TypeParam> cache(
            {.max_entries = 700,
             .max_weight = 3000,
             .weigher = [](int key, const TypeParam&) { return static_cast<std::size_t>(key % 10); },
             .shards = shards});
        std::map<int, TypeParam> last;
        xoshiro256 random(3);
        for (int step = 0; step < 20'000; ++step) {
            const int key = 1 + static_cast<int>(uniform_below(random, 3000)) / (step % 3 + 1);
            if (key % 10 == 0 && key > 200) {
                continue;  // few are pinned
            }
            switch (uniform_below(random, 6)) {
                case 0:
                    if (const auto found = cache.get(key)) {
                        ASSERT_EQ(*found, last.at(key));
                    }
                    break;
                case 1:
                    cache.invalidate(key);
                    break;
                default:
                    cache.put(key, last[key] = value_of<TypeParam>(step));
            }
            ASSERT_LE(cache.estimated_size(), 700U);
            ASSERT_LE(cache.estimated_weight(), 3000U);
            if (step % 4000 == 3999) {
                cache.set_max_entries(step % 8000 == 3999 ? 300 : 700);
                ASSERT_TRUE(cache.is_consistent());
                cache.set_max_entries(700);
            }
        }
        ASSERT_TRUE(cache.is_consistent());
    }
}

// A reader that does not end: nothing is overfilled, nobody waits, and all is well when it has gone.
TYPED_TEST(local_cache_model, refuses_writes_rather_than_overfill_while_a_reader_does_not_end) {
    local_cache<int, TypeParam> cache({.max_entries = 100, .shards = 1});
    cache.put(-1, value_of<TypeParam>(0));
    cache.visit(-1, [&](const TypeParam&) {  // which no user may: writing from within
        for (int i = 0; i < 5000; ++i) {
            cache.put(i, value_of<TypeParam>(i));
            ASSERT_LE(cache.estimated_size(), 100U);
        }
    });
    EXPECT_GT(cache.stats().rejected, 0U);
    EXPECT_LT(cache.memory_usage(), 1U << 20);
    cache.put(1, value_of<TypeParam>(1));
    EXPECT_EQ(cache.get(1), value_of<TypeParam>(1));
    EXPECT_TRUE(cache.is_consistent());
}

/// An equality that throws on demand.
struct fragile_equal {
    const bool* fails;
    bool operator()(int a, int b) const {
        if (*fails) {
            throw std::runtime_error("equal");
        }
        return a == b;
    }
};

TEST(local_cache_failure_of, equality_changes_nothing) {
    bool fails = false;
    local_cache<int, std::string, levee::hash<int>, fragile_equal> cache({.max_entries = 10}, {},
                                                                         fragile_equal{&fails});
    cache.put(1, "one");
    fails = true;
    EXPECT_THROW((void)cache.get(1), std::runtime_error);
    EXPECT_THROW(cache.put(1, "two"), std::runtime_error);
    EXPECT_THROW(cache.invalidate(1), std::runtime_error);
    EXPECT_THROW((void)cache.get_or_compute(1, [] { return std::string(); }), std::runtime_error);
    fails = false;
    EXPECT_EQ(cache.get(1), "one");
    EXPECT_TRUE(cache.is_consistent());
}

template <class V>
class local_cache_out_of_memory : public testing::Test {};
TYPED_TEST_SUITE(local_cache_out_of_memory, value_types);

// Each allocation of a run of writes fails in turn: the call throws, and everything still agrees.
TYPED_TEST(local_cache_out_of_memory, at_any_point_leaves_the_cache_whole) {
    int thrown = 0;
    for (long failing = 0; failing < 400; ++failing) {
        test::manual_clock_stub clock;
        int removed = 0;
        local_cache<int, TypeParam> cache(
            {.max_entries = 60,
             .max_weight = 200,
             .weigher = [](int key, const TypeParam&) { return static_cast<std::size_t>(key % 5 + 1); },
             .on_removal = [&](int, const TypeParam&, removal_cause) { ++removed; },
             .clock = &clock,
             .shards = 1});
        allocations_left = failing;
        for (int key = 0; key < 90; ++key) {
            try {
                clock.advance(20ms);
                if (key % 3 == 0) {
                    cache.put(key, value_of<TypeParam>(key), 100ms);
                } else if (key % 3 == 1) {
                    (void)cache.get_or_compute(key, [&] { return value_of<TypeParam>(key); });
                } else {
                    cache.put(key, value_of<TypeParam>(key));
                }
            } catch (const std::bad_alloc&) {
                ++thrown;
                allocations_left = -1;
                ASSERT_TRUE(cache.is_consistent()) << failing;
            }
        }
        allocations_left = -1;
        ASSERT_TRUE(cache.is_consistent()) << failing;
        ASSERT_EQ(cache.get_or_compute(1000, [] { return value_of<TypeParam>(1); }), value_of<TypeParam>(1));
        ASSERT_LE(cache.estimated_size(), 60U);
        ASSERT_GT(removed, 0) << failing;
    }
    EXPECT_GT(thrown, 100);
}

}  // namespace
}  // namespace levee
