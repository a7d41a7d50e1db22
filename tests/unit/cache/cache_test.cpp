#include "levee/cache/cache.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "levee/testing/manual_clock.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;

struct a_cache : ::testing::Test {
    levee::testing::manual_clock clock;

    cache_options<std::string, int> options() {
        return {.name = "numbers",
                .local = {.max_entries = 100, .clock = &clock},
                .defaults = {.ttl = 10s, .ttl_jitter = 0.0, .negative_ttl = 2s}};
    }
    cache<std::string, int> numbers{options()};

    int loads = 0;
    auto loading(int value) {
        return [this, value](const std::string&) {
            ++loads;
            return value;
        };
    }
};

TEST_F(a_cache, has_nothing_at_first) {
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(numbers.try_get("a"), std::nullopt);
    EXPECT_EQ(numbers.lookup("a").state, entry_state::miss);
    EXPECT_EQ(numbers.lookup("a").level, cache_level::none);
    EXPECT_EQ(numbers.name(), "numbers");
}

TEST_F(a_cache, loads_what_it_does_not_have_and_then_has_it) {
    EXPECT_EQ(numbers.get_or_load("a", loading(7)), 7);
    EXPECT_EQ(numbers.get_or_load("a", loading(8)), 7);
    EXPECT_EQ(numbers.get("a"), 7);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(numbers.stats().loads, 1U);
    EXPECT_EQ(numbers.stats().misses, 1U);
    EXPECT_EQ(numbers.stats().hits, 2U);
}

TEST_F(a_cache, passes_the_key_to_the_loader) {
    EXPECT_EQ(numbers.get_or_load("abc", [](const std::string& key) { return static_cast<int>(key.size()); }),
              3);
}

TEST_F(a_cache, takes_loaders_that_return_optional_loaded_or_convertible_values) {
    EXPECT_EQ(numbers.get_or_load("o", [](const std::string&) { return std::optional<int>(1); }), 1);
    EXPECT_EQ(numbers.get_or_load("l", [](const std::string&) { return loaded<int>::found(2); }), 2);
    EXPECT_EQ(numbers.get_or_load("s", [](const std::string&) { return short{3}; }), 3);
    EXPECT_EQ(numbers.get_or_load(
                  "c", [](const std::string&, load_context& c) { return c.is_cancelled() ? 0 : 4; }),
              4);
}

TEST_F(a_cache, moves_a_loader_that_cannot_be_copied) {
    auto load = [held = std::make_unique<int>(5)](const std::string&) { return *held; };
    EXPECT_EQ(numbers.get_or_load("a", std::move(load)), 5);
}

TEST_F(a_cache, remembers_for_a_while_that_a_key_does_not_exist) {
    const auto none = [this](const std::string&) {
        ++loads;
        return std::optional<int>();
    };
    EXPECT_EQ(numbers.get_or_load("a", none), std::nullopt);
    EXPECT_EQ(numbers.get_or_load("a", none), std::nullopt);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(numbers.lookup("a").state, entry_state::negative);
    clock.advance(2s);
    EXPECT_EQ(numbers.get_or_load("a", none), std::nullopt);
    EXPECT_EQ(loads, 2);
}

TEST_F(a_cache, forgets_that_a_key_does_not_exist_when_it_is_put) {
    EXPECT_EQ(numbers.get_or_load("a", [](const std::string&) { return std::optional<int>(); }),
              std::nullopt);
    numbers.put("a", 1);
    EXPECT_EQ(numbers.get("a"), 1);
}

TEST_F(a_cache, does_not_remember_absence_with_a_negative_ttl_of_zero) {
    entry_options lives = options().defaults;
    lives.negative_ttl = 0s;
    const auto none = [this](const std::string&) {
        ++loads;
        return std::optional<int>();
    };
    EXPECT_EQ(numbers.get_or_load("a", none, lives), std::nullopt);
    EXPECT_EQ(numbers.get_or_load("a", none, lives), std::nullopt);
    EXPECT_EQ(loads, 2);
    EXPECT_EQ(numbers.estimated_size(), 0U);
}

TEST_F(a_cache, tells_the_age_of_what_it_has) {
    numbers.put("a", 1);
    clock.advance(3s);
    const auto found = numbers.lookup("a");
    EXPECT_EQ(found.state, entry_state::fresh);
    EXPECT_EQ(found.value, 1);
    EXPECT_EQ(found.age, 3s);
    EXPECT_EQ(found.level, cache_level::local);
}

TEST_F(a_cache, serves_no_value_past_its_life) {
    numbers.put("a", 1);
    clock.advance(10s - 1ns);
    EXPECT_EQ(numbers.get("a"), 1);
    clock.advance(1ns);
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(numbers.get_or_load("a", loading(2)), 2);
}

TEST_F(a_cache, lets_a_call_a_put_and_a_loaded_answer_bring_lives_of_their_own) {
    entry_options brief = options().defaults;
    brief.ttl = 1s;
    numbers.put("put", 1, brief);
    EXPECT_EQ(numbers.get_or_load("call", loading(2), brief), 2);
    EXPECT_EQ(numbers.get_or_load("answer",
                                  [](const std::string&) {
                                      auto answer = loaded<int>::found(3);
                                      answer.ttl = 1s;
                                      return answer;
                                  }),
              3);
    clock.advance(1s);
    EXPECT_EQ(numbers.get("put"), std::nullopt);
    EXPECT_EQ(numbers.get("call"), std::nullopt);
    EXPECT_EQ(numbers.get("answer"), std::nullopt);
}

TEST_F(a_cache, keeps_for_ever_what_has_a_life_of_zero) {
    entry_options for_ever = options().defaults;
    for_ever.ttl = 0s;
    numbers.put("a", 1, for_ever);
    clock.advance(24h * 365 * 50);
    EXPECT_EQ(numbers.get("a"), 1);
}

TEST_F(a_cache, does_not_store_an_answer_whose_life_is_over) {
    EXPECT_EQ(numbers.get_or_load("a",
                                  [](const std::string&) {
                                      auto answer = loaded<int>::found(3);
                                      answer.ttl = -1s;
                                      return answer;
                                  }),
              3);
    EXPECT_EQ(numbers.get("a"), std::nullopt);
}

TEST_F(a_cache, throws_what_the_loader_threw_caches_nothing_and_loads_again) {
    const auto failing = [this](const std::string&) -> int {
        ++loads;
        throw std::runtime_error("database is on fire");
    };
    try {
        static_cast<void>(numbers.get_or_load("a", failing));
        FAIL() << "the loader's error was lost";
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "database is on fire");
    }
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(numbers.get_or_load("a", loading(1)), 1);
    EXPECT_EQ(loads, 2);
    EXPECT_EQ(numbers.stats().load_failures, 1U);
}

TEST_F(a_cache, turns_impossible_answers_into_errors) {
    const auto answering = [](loaded<int> answer) { return [answer](const std::string&) { return answer; }; };
    const auto code_of = [&](loaded<int> answer) {
        try {
            static_cast<void>(numbers.get_or_load("a", answering(answer)));
        } catch (const error& e) {
            return e.code();
        }
        return std::error_code();
    };
    loaded<int> answer;
    answer.what = load_outcome::failed;
    EXPECT_EQ(code_of(answer), errc::load_failed);
    answer.what = load_outcome::not_modified;
    EXPECT_EQ(code_of(answer), errc::invalid_data);
    answer.what = load_outcome::value;
    EXPECT_EQ(code_of(answer), errc::invalid_data);
}

TEST_F(a_cache, drops_what_is_invalidated_or_cleared) {
    numbers.put("a", 1);
    numbers.put("b", 2);
    EXPECT_EQ(numbers.invalidate("a"), reach::acknowledged);
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(numbers.get("b"), 2);
    numbers.clear();
    EXPECT_EQ(numbers.get("b"), std::nullopt);
    EXPECT_EQ(numbers.invalidate("never there"), reach::acknowledged);
}

TEST_F(a_cache, does_not_store_a_load_that_an_invalidation_overtook) {
    const auto overtaken_by = [&](auto&& operation) {
        return numbers.get_or_load("a", [&](const std::string&) {
            operation();
            return 1;
        });
    };
    EXPECT_EQ(overtaken_by([&] { numbers.invalidate("a"); }), 1) << "its own caller gets what it asked for";
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(overtaken_by([&] { numbers.clear(); }), 1);
    EXPECT_EQ(numbers.get("a"), std::nullopt);
    EXPECT_EQ(overtaken_by([&] { numbers.put("a", 2); }), 1);
    EXPECT_EQ(numbers.get("a"), 2) << "the put is newer than the load";
    numbers.invalidate("a");
    EXPECT_EQ(overtaken_by([&] { numbers.invalidate("b"); }), 1);
    EXPECT_EQ(numbers.get("a"), 1) << "another key's invalidation is no reason";
}

TEST_F(a_cache, refuses_a_loader_that_asks_for_its_own_key) {
    const auto code_of = [&](auto&& loader) {
        try {
            static_cast<void>(numbers.get_or_load("a", loader));
        } catch (const error& e) {
            return e.code();
        }
        return std::error_code();
    };
    EXPECT_EQ(code_of([&](const std::string& key) { return numbers.get_or_load(key, loading(1)).value(); }),
              errc::recursive_load);
    EXPECT_EQ(code_of([&](const std::string&) {
                  return numbers
                      .get_or_load("b",
                                   [&](const std::string&) {
                                       return numbers
                                           .get_or_load(
                                               "c",
                                               [&](const std::string&) {
                                                   return numbers.get_or_load("a", loading(1)).value();
                                               })
                                           .value();
                                   })
                      .value();
              }),
              errc::recursive_load);
    EXPECT_EQ(numbers.get_or_load("a", loading(1)), 1) << "the refusal leaves nothing behind";
}

TEST_F(a_cache, lets_a_loader_use_other_keys) {
    const auto sum = [&](const std::string&) {
        return numbers.get_or_load("a", loading(1)).value() + numbers.get_or_load("b", loading(2)).value();
    };
    EXPECT_EQ(numbers.get_or_load("sum", sum), 3);
    EXPECT_EQ(numbers.get("a"), 1);
}

TEST_F(a_cache, weighs_values_and_tells_of_their_removal) {
    std::vector<std::string> removed;
    cache<std::string, std::string> texts(
        {.local = {.max_weight = 10,
                   .weigher = [](const std::string&, const std::string& value) { return value.size(); },
                   .on_removal = [&](const std::string& key, const std::string& value,
                                     removal_cause) { removed.push_back(key + "=" + value); },
                   .clock = &clock}});
    texts.put("a", "12345678");
    texts.put("b", "123");
    EXPECT_EQ(removed, std::vector<std::string>{"a=12345678"});
    EXPECT_EQ(texts.estimated_weight(), 3U);
    EXPECT_EQ(texts.get_or_load("none", [](const std::string&) { return std::optional<std::string>(); }),
              std::nullopt);
    EXPECT_EQ(texts.estimated_weight(), 4U);
    texts.clear();
    EXPECT_EQ(removed.size(), 2U) << "the listener hears of values only";
}

TEST_F(a_cache, hands_out_a_value_that_its_weigher_refuses_without_caching_it) {
    cache<int, int> picky({.local = {.max_weight = 10, .weigher = [](int, int) -> std::size_t {
                                         throw std::runtime_error("cannot weigh");
                                     }}});
    EXPECT_EQ(picky.get_or_load(1, [](int) { return 2; }), 2);
    EXPECT_EQ(picky.get(1), std::nullopt);
}

TEST_F(a_cache, says_which_option_is_out_of_range) {
    const auto complaint = [](cache_options<std::string, int> wrong) -> std::string {
        try {
            const cache<std::string, int> never(wrong);
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
        return "accepted";
    };
    auto wrong = options();
    wrong.local.max_entries = 0;
    EXPECT_NE(complaint(wrong).find("max_entries"), std::string::npos) << complaint(wrong);
    wrong = options();
    wrong.defaults.ttl = -5ns;
    EXPECT_EQ(complaint(wrong), "entry_options::ttl is -5 ns; it must be zero (for ever) or more");
    wrong = options();
    wrong.defaults.ttl_jitter = 1.0;
    EXPECT_NE(complaint(wrong).find("ttl_jitter"), std::string::npos);
    wrong = options();
    wrong.defaults.load_timeout = 0s;
    EXPECT_NE(complaint(wrong).find("load_timeout"), std::string::npos);
    wrong = options();
    wrong.defaults.negative_ttl = -1s;
    EXPECT_NE(complaint(wrong).find("negative_ttl"), std::string::npos);
    EXPECT_EQ(complaint(options()), "accepted");
}

TEST_F(a_cache, checks_the_options_of_single_calls_too) {
    entry_options wrong;
    wrong.ttl = -1s;
    EXPECT_THROW(numbers.put("a", 1, wrong), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(numbers.get_or_load("a", loading(1), wrong)), std::invalid_argument);
    EXPECT_EQ(loads, 0);
}

TEST(the_life_of_an_entry, is_shortened_by_jitter_and_never_lengthened) {
    using cache_detail::life_of;
    duration shortest = 1000s;
    duration longest = 0s;
    for (std::uint64_t draw = 0; draw < 10'000; ++draw) {
        const duration life = life_of(1000s, 0.25, 0s, draw);
        shortest = std::min(shortest, life);
        longest = std::max(longest, life);
    }
    EXPECT_LE(longest, 1000s);
    EXPECT_GT(longest, 999s);
    EXPECT_GE(shortest, 750s);
    EXPECT_LT(shortest, 751s);
}

TEST(the_life_of_an_entry, is_held_by_its_limit_and_is_never_jittered_to_for_ever) {
    using cache_detail::life_of;
    EXPECT_EQ(life_of(10s, 0.0, 3s, 1), 3s);
    EXPECT_EQ(life_of(0s, 0.0, 3s, 1), 3s);
    EXPECT_EQ(life_of(0s, 0.5, 0s, 1), 0s);
    EXPECT_EQ(life_of(2s, 0.0, 3s, 1), 2s);
    for (std::uint64_t draw = 0; draw < 100; ++draw) {
        EXPECT_EQ(life_of(1ns, 0.999, 0s, draw), 1ns);
    }
    EXPECT_LE(life_of(duration::max(), 0.1, 0s, 1), duration::max());
    EXPECT_GT(life_of(duration::max(), 0.1, 0s, 1), duration::max() / 2);
}

}  // namespace
}  // namespace levee
