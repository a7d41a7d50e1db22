#include "levee/cache/read_through.hpp"

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "levee/store/source_from.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct a_read_through : ::testing::Test {
    levee::testing::simulation world{1};
    int loads = 0;

    cache_options<int, std::string> options() {
        return {.local = {.max_entries = 10, .clock = &world.clock()},
                .blocking_executor = world.executor(),
                .defaults = {.ttl_jitter = 0.0},
                .scheduler = world.scheduler()};
    }

    std::shared_ptr<source<int, std::string>> plain = source_from<int, std::string>([this](int key) {
        ++loads;
        return key < 0 ? std::nullopt : std::optional(std::to_string(key));
    });
    std::shared_ptr<source<int, std::string>> coroutine =
        source_from<int, std::string>([this](int key) -> asio::awaitable<std::string> {
            ++loads;
            co_await world.scheduler()->sleep_until(world.now() + 1s);
            co_return std::to_string(key);
        });

    std::optional<std::string> result;
    auto keep() {
        return asio::bind_executor(world.executor(),
                                   [this](std::exception_ptr failure, std::optional<std::string> value) {
                                       result = failure ? "failed" : value;
                                   });
    }
};

TEST_F(a_read_through, loads_once_and_then_serves_from_the_cache) {
    read_through<int, std::string> texts(plain, options());
    EXPECT_EQ(texts.try_get(7), std::nullopt);
    EXPECT_EQ(texts.get(7), "7");
    EXPECT_EQ(texts.get(7), "7");
    EXPECT_EQ(texts.try_get(7), "7");
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(texts.lookup(7).state, entry_state::fresh);
}

TEST_F(a_read_through, remembers_what_its_source_does_not_have) {
    read_through<int, std::string> texts(plain, options());
    EXPECT_EQ(texts.get(-1), std::nullopt);
    EXPECT_EQ(texts.get(-1), std::nullopt);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(texts.lookup(-1).state, entry_state::negative);
}

TEST_F(a_read_through, asks_again_after_an_invalidation) {
    read_through<int, std::string> texts(plain, options());
    EXPECT_EQ(texts.get(7), "7");
    texts.invalidate(7);
    EXPECT_EQ(texts.get(7), "7");
    texts.clear();
    EXPECT_EQ(texts.get(7), "7");
    EXPECT_EQ(loads, 3);
}

TEST_F(a_read_through, serves_asynchronous_callers_of_plain_and_coroutine_sources) {
    read_through<int, std::string> from_plain(plain, options());
    from_plain.async_get(7, keep());
    world.run();
    EXPECT_EQ(result, "7");
    read_through<int, std::string> from_coroutine(coroutine, options());
    from_coroutine.async_get(8, keep());
    from_coroutine.async_get(8, keep());
    world.run();
    EXPECT_EQ(result, "8");
    EXPECT_EQ(loads, 2);
}

TEST_F(a_read_through, drives_a_coroutine_source_on_a_blocking_callers_thread) {
    const auto from = source_from<int, std::string>(
        [](int key) -> asio::awaitable<std::string> { co_return std::to_string(key); });
    read_through<int, std::string> texts(from, {.local = {.max_entries = 10}});
    EXPECT_EQ(texts.get(9), "9");
}

TEST_F(a_read_through, passes_its_sources_errors_on_and_keeps_serving_what_it_has) {
    bool is_broken = false;
    const auto from = source_from<int, std::string>([&](int key) -> std::string {
        if (is_broken) {
            throw error(errc::unavailable, "the database is locked");
        }
        return std::to_string(key);
    });
    read_through<int, std::string> texts(from, options());
    EXPECT_EQ(texts.get(1), "1");
    is_broken = true;
    EXPECT_EQ(texts.get(1), "1");
    try {
        static_cast<void>(texts.get(2));
        FAIL() << "the error was lost";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::unavailable);
    }
    is_broken = false;
    EXPECT_EQ(texts.get(2), "2");
}

TEST_F(a_read_through, refuses_a_source_that_answers_the_wrong_number_of_keys) {
    struct silent final : blocking_source<int, std::string> {
        std::vector<loaded<std::string>> load(std::vector<load_request<int, std::string>>) override {
            return {};
        }
    };
    read_through<int, std::string> texts(std::make_shared<silent>(), options());
    try {
        static_cast<void>(texts.get(1));
        FAIL() << "no answer was taken for one";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::invalid_data);
    }
}

TEST_F(a_read_through, needs_a_source) {
    EXPECT_THROW((read_through<int, std::string>(nullptr, options())), std::invalid_argument);
}

}  // namespace
}  // namespace levee
