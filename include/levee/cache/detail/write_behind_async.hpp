/// The asynchronous forms of what a write-behind cache does.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/detail/write_behind_core.hpp"
#include "levee/cache/read_through.hpp"

namespace levee::cache_detail {

/// They own the core; `async_compute` needs the cache's reads to outlive it.
template <class K, class V, class Hash, class Eq>
struct write_behind_async {
    using core = write_behind_core<K, V, Hash, Eq>;
    using core_ptr = std::shared_ptr<core>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    /// What an asynchronous put or erasure begins with: most are accepted here, and make no coroutine.
    struct write_operation {
        core_ptr shared;

        template <class Handler>
        void operator()(Handler&& handler, K key, pending_write<V> made) const {
            std::exception_ptr failure;
            typename core::accepted_write got;
            try {
                got = shared->accept(key, made);
            } catch (...) {
                failure = std::current_exception();
            }
            const bool is_accepted = got.what == core::answer::accepted || got.what == core::answer::stale;
            if (failure == nullptr && !is_accepted) {
                boost::asio::co_spawn(shared->cache().options().executor,
                                      written(shared, std::move(key), std::move(made)),
                                      std::forward<Handler>(handler));
                return;
            }
            auto executor = boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                                boost::asio::execution::outstanding_work.tracked);
            auto held = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
            auto complete = [executor, held](std::exception_ptr why) {
                boost::asio::post(executor, [held, why = std::move(why)] { std::move (*held)(why); });
            };
            if (failure == nullptr && shared->must_wait_durable(got.sequence)) {
                shared->log()->when_durable(got.sequence, shared->durable_deadline(), std::move(complete));
            } else {
                complete(std::move(failure));
            }
        }
    };

    [[nodiscard]] static time_point full_deadline(const core& of) {
        return after(of.time()->now(), of.options().full_timeout);
    }

    static awaitable<void> written(core_ptr shared, K key, pending_write<V> made) {
        auto putting = core::async_put(shared, std::move(key), std::move(made), full_deadline(*shared), {});
        const auto sequence = co_await std::move(putting);
        auto waiting = core::async_durable(shared, sequence.value_or(0));
        co_await std::move(waiting);
    }

    static awaitable<void> many(core_ptr shared, std::vector<std::pair<K, V>> entries) {
        const time_point deadline = full_deadline(*shared);
        std::vector<std::uint64_t> sequences;
        for (auto& entry : entries) {
            auto made = shared->prepare_late(entry.first, std::move(entry.second), 0);
            auto putting = core::async_put(shared, entry.first, std::move(made), deadline, {});
            const auto sequence = co_await std::move(putting);
            sequences.push_back(sequence.value_or(0));
        }
        auto waiting = core::async_all_durable(shared, std::move(sequences));
        co_await std::move(waiting);
    }

    template <class F>
    static awaitable<std::optional<V>> computed(read_through<K, V, Hash, Eq>* reads, core_ptr shared, K key,
                                                F f) {
        const time_point deadline = full_deadline(*shared);
        for (;;) {
            const std::uint32_t seen = shared->writes_of(key);
            std::optional<V> before;
            if (!shared->find(key, before)) {
                before = co_await reads->async_get(key, boost::asio::use_awaitable);
            }
            const bool was_there = before.has_value();
            std::optional<V> made = f(std::move(before));
            if (!made && !was_there) {
                co_return made;
            }
            auto write = shared->prepare(key, made, 0);
            write_condition unchanged;
            unchanged.writes = seen;
            auto putting = core::async_put(shared, key, std::move(write), deadline, unchanged);
            const auto sequence = co_await std::move(putting);
            if (sequence) {
                auto waiting = core::async_durable(shared, *sequence);
                co_await std::move(waiting);
                co_return made;
            }
        }
    }

    static awaitable<bool> closed(core_ptr shared, duration within) {
        if (shared->is_abandoned()) {
            co_return true;
        }
        const time_point deadline = after(shared->time()->now(), within);
        auto flushing = core::async_flush(shared, shared->last_sequence(), deadline);
        const bool is_flushed = co_await std::move(flushing);
        shared->abandon();
        co_return is_flushed;
    }
};

}  // namespace levee::cache_detail
