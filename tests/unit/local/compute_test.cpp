#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

#include "levee/core/error.hpp"
#include "levee/local/local_cache.hpp"

namespace levee {
namespace {

using cache_type = local_cache<int, int>;
using maybe = std::optional<int>;

TEST(local_cache_compute, creates_updates_and_removes) {
    cache_type cache({.max_entries = 10});
    const auto add_one = [](maybe value) { return maybe(value.value_or(0) + 1); };
    EXPECT_EQ(cache.compute(1, add_one), 1);
    EXPECT_EQ(cache.compute(1, add_one), 2);
    EXPECT_EQ(cache.get(1), 2);
    EXPECT_EQ(cache.compute(1, [](maybe) { return maybe(); }), std::nullopt);
    EXPECT_EQ(cache.get(1), std::nullopt);
    EXPECT_EQ(cache.compute(1, [](maybe) { return maybe(); }), std::nullopt);
    EXPECT_EQ(cache.estimated_size(), 0U);
}

TEST(local_cache_compute, changes_nothing_when_f_throws) {
    cache_type cache({.max_entries = 10});
    cache.put(1, 5);
    const auto fail = [](maybe) -> maybe { throw std::runtime_error("no"); };
    EXPECT_THROW(cache.compute(1, fail), std::runtime_error);
    EXPECT_THROW(cache.compute(2, fail), std::runtime_error);
    EXPECT_EQ(cache.get(1), 5);
    EXPECT_EQ(cache.estimated_size(), 1U);
}

/// Another write of the key between f's reading and the storing of its answer; it happens once.
template <class Write>
int runs_when_interrupted(cache_type& cache, Write write) {
    int runs = 0;
    cache.compute(1, [&](maybe value) {
        if (++runs == 1) {
            write();
        }
        return maybe(value.value_or(0) + 100);
    });
    return runs;
}

TEST(local_cache_compute, refuses_an_f_that_writes_its_own_key) {
    cache_type cache({.max_entries = 10});
    cache.put(1, 1);
    const auto code = [&](auto write) -> std::error_code {
        try {
            runs_when_interrupted(cache, write);
        } catch (const error& thrown) {
            return thrown.code();
        }
        return {};
    };
    EXPECT_EQ(code([&] { cache.put(1, 2); }), errc::recursive_load);
    EXPECT_EQ(code([&] { cache.invalidate(1); }), errc::recursive_load);
    EXPECT_EQ(code([&] { cache.compute(1, [](maybe v) { return v; }); }), errc::recursive_load);
    EXPECT_EQ(code([&] { cache.put(2, 2); }), std::error_code());
    EXPECT_EQ(cache.get(1), 100);  // it was invalidated before
}

TEST(local_cache_compute, refuses_a_make_that_computes_its_own_key) {
    cache_type cache({.max_entries = 10});
    const auto make = [&](const int& key) { return *cache.compute(key, [](maybe) { return maybe(1); }); };
    EXPECT_THROW((void)cache.get_or_compute(1, make), error);
    EXPECT_EQ(cache.estimated_size(), 0U);
}

TEST(local_cache_compute, is_no_look_up) {
    cache_type cache({.max_entries = 10});
    cache.compute(1, [](maybe) { return maybe(1); });
    EXPECT_EQ(cache.stats(), cache_stats{});
}

}  // namespace
}  // namespace levee
