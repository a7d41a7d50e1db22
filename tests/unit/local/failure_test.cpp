// Exceptions out of the user's types and functions leave the cache as it was.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

/// A value whose copies throw on demand.
struct fragile {
    explicit fragile(int n) : number(n) {}
    fragile(const fragile& other) : number(other.number) {
        if (fails) {
            throw std::runtime_error("copy");
        }
    }
    fragile(fragile&&) noexcept = default;
    fragile& operator=(const fragile&) = default;
    fragile& operator=(fragile&&) noexcept = default;

    int number;
    static inline bool fails = false;
};

/// A hash that throws on demand.
struct fragile_hash {
    const bool* fails;
    std::size_t operator()(int key) const {
        if (*fails) {
            throw std::runtime_error("hash");
        }
        return static_cast<std::size_t>(key);
    }
};

class local_cache_failure : public testing::Test {
protected:
    bool weigher_fails = false;
    bool hash_fails = false;
    local_cache<int, fragile, fragile_hash> cache{{.max_entries = 4,
                                                   .max_weight = 100,
                                                   .weigher =
                                                       [this](int, const fragile& value) {
                                                           if (weigher_fails) {
                                                               throw std::runtime_error("weigher");
                                                           }
                                                           return static_cast<std::size_t>(value.number);
                                                       }},
                                                  fragile_hash{&hash_fails}};

    void SetUp() override {
        cache.put(1, fragile(10));
        cache.put(2, fragile(20));
    }
    void TearDown() override {
        fragile::fails = weigher_fails = hash_fails = false;
        EXPECT_EQ(cache.estimated_size(), 2U);
        EXPECT_EQ(cache.estimated_weight(), 30U);
        EXPECT_EQ(number(1), 10);
        EXPECT_EQ(number(2), 20);
        EXPECT_EQ(cache.stats().evictions, 0U);
        // No flight, lease or reservation is left behind.
        EXPECT_EQ(cache.get_or_compute(3, [] { return fragile(70); }).number, 70);
        EXPECT_EQ(cache.estimated_weight(), 100U);
    }
    int number(int key) {
        int found = 0;
        cache.visit(key, [&](const fragile& value) { found = value.number; });
        return found;
    }
    void expect_every_write_to_throw() {
        EXPECT_THROW(cache.put(1, fragile(50)), std::runtime_error);
        EXPECT_THROW(cache.insert(3, fragile(50)), std::runtime_error);
        EXPECT_THROW((void)cache.get_or_compute(3, [] { return fragile(50); }), std::runtime_error);
        EXPECT_THROW(cache.compute(1, [](std::optional<fragile>) { return std::optional(fragile(50)); }),
                     std::runtime_error);
        EXPECT_THROW(cache.fill(cache.begin_fill(3), 3, fragile(50)), std::runtime_error);
    }
};

TEST_F(local_cache_failure, of_the_weigher_changes_nothing) {
    weigher_fails = true;
    expect_every_write_to_throw();
}

TEST_F(local_cache_failure, of_the_hash_changes_nothing) {
    hash_fails = true;
    expect_every_write_to_throw();
    EXPECT_THROW((void)cache.get(1), std::runtime_error);
    EXPECT_THROW(cache.invalidate(1), std::runtime_error);
}

TEST_F(local_cache_failure, of_a_copy_of_the_value_changes_nothing) {
    fragile::fails = true;
    EXPECT_THROW((void)cache.get(1), std::runtime_error);
    EXPECT_THROW((void)cache.peek(1), std::runtime_error);
    EXPECT_THROW((void)cache.get_or_compute(3, [] { return fragile(50); }), std::runtime_error);
    EXPECT_THROW(cache.compute(1, [](std::optional<fragile> v) { return v; }), std::runtime_error);
    EXPECT_EQ(cache.stats().load_failures, 1U);
}

TEST_F(local_cache_failure, of_a_visitor_changes_nothing) {
    const auto fail = [](const auto&...) -> bool { throw std::runtime_error("visitor"); };
    EXPECT_THROW(cache.visit(1, fail), std::runtime_error);
    EXPECT_THROW(cache.for_each(fail), std::runtime_error);
    EXPECT_THROW(cache.invalidate_if(fail), std::runtime_error);
}

/// A value of which only so many copies can be made.
struct rationed {
    rationed() = default;
    rationed(const rationed&) {
        if (copies_left.fetch_sub(1) <= 0) {
            throw std::runtime_error("copy");
        }
    }
    rationed(rationed&&) noexcept {}
    rationed& operator=(const rationed&) = default;
    static inline std::atomic<int> copies_left = 0;
};

// One copy is the leader's, made before the value is stored; the other is for those who wait.
TEST(local_cache_failure_of_a_copy, for_those_who_wait_is_theirs_alone) {
    for (const int copies : {0, 1, 2}) {
        local_cache<int, rationed> cache({.max_entries = 4});
        std::future<void> waits;
        const auto make = [&] {
            waits = std::async(std::launch::async,
                               [&] { (void)cache.get_or_compute(1, [] { return rationed(); }); });
            while (cache.stats().joined == 0) {
                std::this_thread::yield();
            }
            rationed::copies_left = copies;
            return rationed();
        };
        const auto lead = [&] { (void)cache.get_or_compute(1, make); };
        bool has_thrown = false;
        try {
            lead();
        } catch (const std::runtime_error&) {
            has_thrown = true;
        }
        // Who is told of an error stored nothing, and who is told of none stored it.
        EXPECT_EQ(has_thrown, copies == 0);
        EXPECT_EQ(cache.visit(1, [](const rationed&) {}), !has_thrown);
        EXPECT_EQ(cache.stats().load_failures, has_thrown ? 1U : 0U);
        EXPECT_THROW(waits.get(), std::runtime_error);  // with 2 copies: its own, of what it was given
    }
}

/// A value that is copied even where it could be moved, and throws at the copy whose turn it is.
struct counted_down {
    counted_down() = default;
    counted_down(const counted_down&) {
        if (copies_left != 0 && --copies_left == 0) {
            throw std::runtime_error("copy");
        }
    }
    static inline int copies_left = 0;  // zero: none throws
};

TEST(local_cache_failure_of_a_copy, fails_a_load_only_if_nothing_was_stored) {
    int failed_after_it_was_stored = 0;
    for (int turn = 1; turn <= 12; ++turn) {
        local_cache<int, counted_down> cache({.max_entries = 4});
        bool has_thrown = false;
        try {
            (void)cache.get_or_compute(1, [&] {
                counted_down::copies_left = turn;
                return counted_down();
            });
        } catch (const std::runtime_error&) {
            has_thrown = true;
        }
        counted_down::copies_left = 0;
        const bool is_stored = cache.peek(1, [](const counted_down&) {});
        EXPECT_EQ(cache.stats().loads, 1U);
        EXPECT_EQ(cache.stats().load_failures, is_stored ? 0U : 1U) << turn;
        EXPECT_TRUE(has_thrown || is_stored);
        failed_after_it_was_stored += has_thrown && is_stored ? 1 : 0;
    }
    EXPECT_EQ(failed_after_it_was_stored, 1);  // the copy that is returned
}

TEST(flight, ends_once) {
    local_detail::flight landed;
    landed.succeed(std::make_shared<const int>(1));
    landed.fail(std::make_exception_ptr(std::runtime_error("late")));
    EXPECT_EQ(*static_cast<const int*>(landed.wait(duration::zero()).get()), 1);
    local_detail::flight crashed;
    crashed.fail(std::make_exception_ptr(std::logic_error("early")));
    crashed.fail(std::make_exception_ptr(std::runtime_error("late")));
    crashed.succeed(std::make_shared<const int>(1));
    EXPECT_THROW((void)crashed.wait(duration::zero()), std::logic_error);
}

}  // namespace
}  // namespace levee
