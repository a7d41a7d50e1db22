/// A table that fails as told, and a write-behind cache over it in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "levee/cache/write_behind.hpp"
#include "levee/store/codec.hpp"
#include "levee/store/source.hpp"
#include "levee/testing/simulation.hpp"

namespace levee::tests {

using namespace std::chrono_literals;

/// A text whose copies throw while a test wants that.
struct fragile {
    fragile() = default;
    explicit fragile(std::string what) : text(std::move(what)) {}
    fragile(const fragile& other) : text(checked(other).text) {}
    fragile(fragile&&) noexcept = default;
    fragile& operator=(const fragile& other) {
        text = checked(other).text;
        return *this;
    }
    fragile& operator=(fragile&&) noexcept = default;
    ~fragile() = default;

    static const fragile& checked(const fragile& other) {
        if (breaks != nullptr && (*breaks == '\0' || other.text == breaks)) {
            throw std::runtime_error("it broke");
        }
        return other;
    }

    /// Null: none; empty: all of them; else those of this text.
    static inline const char* breaks = nullptr;
    std::string text{};
};

/// Something that a coroutine waits for, and that heeds no cancellation.
class stone {
public:
    boost::asio::awaitable<void> async_wait() {
        auto begin = [this](auto handler) {
            const auto held = std::make_shared<decltype(handler)>(std::move(handler));
            lift_ = [held] {
                const auto executor = boost::asio::get_associated_executor(*held);
                boost::asio::post(executor, [held] { std::move (*held)(nullptr); });
            };
        };
        co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void(std::exception_ptr)>(
            begin, boost::asio::use_awaitable);
    }
    void lift() { std::exchange(lift_, nullptr)(); }

private:
    std::function<void()> lift_{};
};

/// A table in memory whose failures a test chooses. Coroutines that never suspend, unless told to.
template <class V>
class scripted_table final : public source<int, V> {
public:
    using text_op = write_op<int, V>;

    boost::asio::awaitable<std::vector<loaded<V>>> async_load(
        std::vector<load_request<int, V>> requests) override {
        const std::lock_guard lock(mutex);
        std::vector<loaded<V>> found;
        for (const auto& each : requests) {
            ++loads;
            const auto at = rows.find(each.key);
            found.push_back(at == rows.end() ? loaded<V>::missing() : loaded<V>::found(at->second));
        }
        co_return found;
    }

    boost::asio::awaitable<write_report> async_store(std::vector<text_op> operations) override {
        if (before_store) {
            auto waiting = before_store(operations);
            co_await std::move(waiting);
        }
        const std::lock_guard lock(mutex);
        batches.push_back(operations);
        for (const auto& each : operations) {
            if (refuse) {
                refuse(each);  // throws: the whole batch
            }
        }
        write_report report(operations.size());
        for (std::size_t i = 0; i < operations.size(); ++i) {
            if (refuse_row && (report[i].error = refuse_row(operations[i])) != nullptr) {
                continue;
            }
            if (operations[i].value) {
                rows[operations[i].key] = *operations[i].value;
            } else {
                rows.erase(operations[i].key);
            }
        }
        co_return report;
    }

    std::mutex mutex;
    std::map<int, V> rows;
    std::vector<std::vector<text_op>> batches;
    std::size_t loads = 0;
    std::function<void(const text_op&)> refuse{};
    std::function<std::exception_ptr(const text_op&)> refuse_row{};
    std::function<boost::asio::awaitable<void>(const std::vector<text_op>&)> before_store{};
};

/// A write-behind cache in virtual time: nothing happens but in `world.run_for`.
template <class V>
struct bench_of {
    using options = write_behind_options<int, V>;

    explicit bench_of(options behind = {}, std::size_t l1 = 100,
                      const std::function<void(cache_options<int, V>&)>& adjust = {})
        : db(std::make_shared<scripted_table<V>>()),
          owned(std::make_unique<write_behind<int, V>>(db, caches(l1, adjust), at_once(std::move(behind)))),
          cache(*owned) {}
    bench_of(const bench_of&) = delete;
    bench_of& operator=(const bench_of&) = delete;

    cache_options<int, V> caches(std::size_t l1, const std::function<void(cache_options<int, V>&)>& adjust) {
        cache_options<int, V> made{.local = {.max_entries = l1, .clock = &world.clock()},
                                   .executor = world.executor(),
                                   .blocking_executor = world.executor(),
                                   .scheduler = world.scheduler(),
                                   .seed = 7};
        if (adjust) {
            adjust(made);
        }
        return made;
    }

    /// What an operation of the cache brings, which must not need more than `within` of virtual time.
    template <class Begin>
    auto get(Begin begin, duration within = 1min) {
        auto future = begin(boost::asio::bind_executor(world.executor(), boost::asio::use_future));
        world.run_for(within);
        EXPECT_EQ(future.wait_for(0s), std::future_status::ready);
        return future.get();
    }
    [[nodiscard]] auto token() {
        return boost::asio::bind_executor(world.executor(), boost::asio::use_future);
    }

    // Destructors run outside of virtual time: nothing would come of waiting.
    options at_once(options given) {
        given.close_timeout = 0s;
        if (given.journal && given.journal->clock == nullptr) {
            given.journal->clock = &world.clock();
        }
        return given;
    }
    bool flush(duration within = 1min) {
        return get([&](auto token) { return cache.async_flush(within, token); }, within);
    }

    testing::simulation world{1};
    std::shared_ptr<scripted_table<V>> db;
    std::unique_ptr<write_behind<int, V>> owned;
    write_behind<int, V>& cache;
};

using text_op = write_op<int, std::string>;
using text_options = write_behind_options<int, std::string>;
using bench = bench_of<std::string>;

inline std::vector<std::string> values_of(const std::vector<dead_letter<int, std::string>>& letters) {
    std::vector<std::string> values;
    for (const auto& each : letters) {
        values.push_back(each.operation.value.value_or("erased"));
    }
    return values;
}

inline std::exception_ptr failure(errc code) {
    return std::make_exception_ptr(error(code, "scripted"));
}

}  // namespace levee::tests

template <>
struct levee::codec<levee::tests::fragile> {
    static void encode(const levee::tests::fragile& from, bytes& out) {
        codec<std::string>::encode(from.text, out);
    }
    static std::optional<levee::tests::fragile> decode(bytes_view from) {
        return levee::tests::fragile(std::string(as_text(from)));
    }
};
