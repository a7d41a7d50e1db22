// Many keys at once of threads and executors as programs have them: mixed hits, misses, negative and repeated
// keys with one call of the loader (M10).
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "bulk_support.hpp"
#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/chaos_store.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::strings;
using tests::text_of;
using tests::values;
using string_cache = cache<std::string, std::string>;

class blocking_bulk : public ::testing::Test {
protected:
    string_cache plain{{.local = {.max_entries = 100}}};
    std::vector<strings> asked;

    values load(const strings& keys) {
        asked.push_back(keys);
        values all;
        for (const auto& key : keys) {
            all.push_back(key == "none" ? std::nullopt : std::optional(key + std::to_string(asked.size())));
        }
        return all;
    }
    std::string get(const strings& keys) {
        return text_of(
            plain.get_or_load_many(keys, [this](const strings& missing) { return load(missing); }));
    }
};

TEST_F(blocking_bulk, loads_what_is_missing_with_one_call_and_answers_in_the_keys_order) {
    plain.put("held", "x");
    EXPECT_EQ(get({"b", "held", "none", "a", "b", "held"}), "b1 x - a1 b1 x");
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(text_of(asked[0]), "b none a") << "each once";
    EXPECT_EQ(get({"a", "none", "c"}), "a1 - c2");
    EXPECT_EQ(text_of(asked[1]), "c") << "what was loaded, and what does not exist, is known";
    EXPECT_EQ(plain.stats().loads, 4U);
}

TEST_F(blocking_bulk, of_nothing_and_of_hits_alone_calls_no_loader) {
    EXPECT_EQ(get({}), "");
    plain.put("a", "x");
    EXPECT_EQ(get({"a", "a"}), "x x");
    EXPECT_TRUE(asked.empty());
}

TEST_F(blocking_bulk, gets_without_loading) {
    plain.put("a", "x");
    EXPECT_EQ(text_of(plain.get_many({"b", "a", "b", "a"})), "- x - x");
    EXPECT_EQ(text_of(plain.get_many({})), "");
}

TEST_F(blocking_bulk, throws_the_first_keys_failure_and_keeps_the_others) {
    const auto loader = [](const strings& keys) {
        std::vector<loaded<std::string>> all;
        for (const auto& key : keys) {
            all.push_back(key.front() == '!'
                              ? loaded<std::string>::failure(std::make_exception_ptr(std::runtime_error(key)))
                              : loaded<std::string>::found(key));
        }
        return all;
    };
    try {
        static_cast<void>(plain.get_or_load_many({"a", "!b", "!c", "d"}, loader));
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "!b");
    }
    EXPECT_EQ(text_of(plain.get_many({"a", "!b", "!c", "d"})), "a - - d");
}

TEST_F(blocking_bulk, fails_as_a_whole_when_the_loader_throws_or_answers_for_other_keys) {
    const auto throwing = [](const strings&) -> strings { throw std::runtime_error("no database"); };
    EXPECT_THROW(static_cast<void>(plain.get_or_load_many({"a", "b"}, throwing)), std::runtime_error);
    const auto short_of_one = [](const strings&) { return strings{"x"}; };
    try {
        static_cast<void>(plain.get_or_load_many({"a", "b"}, short_of_one));
        FAIL() << "nothing was thrown";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::invalid_data);
    }
    EXPECT_EQ(get({"a", "b"}), "a1 b1") << "nothing was kept of it";
}

TEST_F(blocking_bulk, whose_loader_asks_for_a_key_of_its_own_is_refused) {
    std::optional<std::error_code> seen;
    const auto recursive = [&](const strings& keys) {
        try {
            static_cast<void>(plain.get_or_load("b", [](const std::string& key) { return key; }));
        } catch (const error& e) {
            seen = e.code();
        }
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b"}, recursive)), "a b");
    EXPECT_EQ(seen, errc::recursive_load);
}

TEST_F(blocking_bulk, whose_loader_asks_for_other_keys_in_bulk_is_served) {
    const auto outer = [&](const strings& keys) {
        static_cast<void>(plain.get_or_load_many({"x", "y"}, [](const strings& inner) { return inner; }));
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b"}, outer)), "a b");
    EXPECT_EQ(text_of(plain.get_many({"x", "y"})), "x y");
}

TEST_F(blocking_bulk, keeps_out_what_was_invalidated_while_it_loaded_and_that_key_alone) {  // G1
    const auto invalidating = [&](const strings& keys) {
        plain.invalidate("b");
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b", "c"}, invalidating)), "a b c");
    EXPECT_EQ(text_of(plain.get_many({"a", "b", "c"})), "a - c");
}

TEST_F(blocking_bulk, looks_and_loads_again_what_was_expired_by_another_call) {
    EXPECT_EQ(get({"a", "b"}), "a1 b1");
    plain.expire("a");
    EXPECT_EQ(get({"a", "b"}), "a2 b1");
}

/// Threads and executors as programs have them.
struct bulk_callers : ::testing::Test {
    runtime threads{2};
    string_cache texts{{.local = {.max_entries = 1000},
                        .executor = threads.get_executor(),
                        .blocking_executor = threads.blocking_executor()}};
    std::atomic<int> calls = 0;
};

TEST_F(bulk_callers, of_all_kinds_get_what_any_kind_of_loader_brings) {
    const auto plain = [&](const strings& keys) {
        ++calls;
        return keys;
    };
    const auto coroutine = [&](strings keys) -> asio::awaitable<strings> {
        ++calls;
        co_return keys;
    };
    EXPECT_EQ(text_of(texts.get_or_load_many({"a", "b"}, plain)), "a b");
    EXPECT_EQ(text_of(texts.get_or_load_many({"a", "b", "c", "d"}, coroutine)), "a b c d");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"e", "a", "f"}, plain, asio::use_future).get()), "e a f");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"g", "h"}, coroutine, asio::use_future).get()), "g h");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"a", "h"}, coroutine, asio::use_future).get()), "a h");
    EXPECT_EQ(text_of(texts.async_get_many({"g", "?", "a"}, asio::use_future).get()), "g - a");
    EXPECT_EQ(calls, 4);
    const auto in_coroutine = [&]() -> asio::awaitable<std::string> {
        const strings keys{std::string(100, 'x'), std::string(100, 'y')};
        auto all = co_await texts.async_get_or_load_many(keys, coroutine, asio::use_awaitable);
        auto again = co_await texts.async_get_many(keys, asio::use_awaitable);
        co_return text_of(all) == text_of(again) ? "same" : "different";
    };
    EXPECT_EQ(asio::co_spawn(threads.get_executor(), in_coroutine, asio::use_future).get(), "same");
}

TEST_F(bulk_callers, that_overlap_on_threads_load_each_key_once) {
    std::atomic<int> keys_loaded = 0;
    const auto slow = [&](const strings& keys) {
        keys_loaded += static_cast<int>(keys.size());
        return keys;
    };
    constexpr int each = 8;
    std::latch all_there(each);
    std::vector<std::jthread> callers;
    std::atomic<int> right = 0;
    for (int i = 0; i < each; ++i) {
        callers.emplace_back([&, i] {
            strings mine;
            for (int k = 0; k < 20; ++k) {
                mine.push_back(std::to_string((i * 7 + k * 3) % 40));
            }
            all_there.arrive_and_wait();
            right += text_of(i % 2 == 0 ? texts.get_or_load_many(mine, slow)
                                        : texts.async_get_or_load_many(mine, slow, asio::use_future).get()) ==
                             text_of(mine)
                         ? 1
                         : 0;
        });
    }
    callers.clear();
    EXPECT_EQ(right, each);
    EXPECT_LE(keys_loaded, 40);
    EXPECT_EQ(static_cast<std::uint64_t>(keys_loaded.load()), texts.stats().loads);
}

TEST_F(bulk_callers, on_a_thread_of_the_executor_are_refused) {
    const auto refused = [&]() -> asio::awaitable<bool> {
        try {
            static_cast<void>(texts.get_or_load_many({"a"}, [](const strings& keys) { return keys; }));
        } catch (const error& e) {
            co_return e.code() == errc::would_deadlock;
        }
        co_return false;
    };
    EXPECT_TRUE(asio::co_spawn(threads.get_executor(), refused, asio::use_future).get());
}

TEST_F(bulk_callers, on_a_thread_of_the_executor_are_refused_before_the_shared_level_is_asked) {
    const auto shared = std::make_shared<memory_store>();
    const auto counted =
        std::make_shared<testing::chaos_store>(shared, async::steady_scheduler(threads.get_executor()));
    string_cache both{{.local = {.max_entries = 1000},
                       .remote = counted,
                       .executor = threads.get_executor(),
                       .blocking_executor = threads.blocking_executor()}};
    const auto refused = [&]() -> asio::awaitable<bool> {
        try {
            static_cast<void>(both.get_or_load_many({"a"}, [](const strings& keys) { return keys; }));
        } catch (const error& e) {
            co_return e.code() == errc::would_deadlock;
        }
        co_return false;
    };
    EXPECT_TRUE(asio::co_spawn(threads.get_executor(), refused, asio::use_future).get());
    EXPECT_EQ(counted->counts().calls, 0U) << "a refused call would count against it";
}

TEST(a_blocking_bulk_call, ends_by_its_deadline_when_the_executor_of_anothers_load_does_not_run) {
    asio::io_context idle;
    string_cache texts{{.local = {.max_entries = 1000},
                        .executor = idle.get_executor(),
                        .defaults = {.load_timeout = 50ms}}};
    const auto coroutine = [](std::string key) -> asio::awaitable<std::string> { co_return key; };
    texts.async_get_or_load("a", coroutine, [](std::exception_ptr, std::optional<std::string>) {});
    try {
        static_cast<void>(texts.get_or_load_many({"a", "b"}, [](const strings& keys) { return keys; }));
        ADD_FAILURE() << "nobody loads a";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
}

}  // namespace
}  // namespace levee
