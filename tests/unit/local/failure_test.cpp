// Exceptions out of the user's types and functions leave the cache as it was.
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>

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

}  // namespace
}  // namespace levee
