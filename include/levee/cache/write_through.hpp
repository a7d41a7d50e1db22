/// Write-through: writes reach the system of record first, then the cache.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/read_through.hpp"
#include "levee/store/source.hpp"

namespace levee {

namespace cache_detail {

/// Whether the source may have done what it failed to confirm.
[[nodiscard]] bool may_have_happened(const std::exception_ptr& failure) noexcept;

}  // namespace cache_detail

/// A `read_through` cache that also writes: `put` and `erase` return once the source has the write and the
/// caches show it, or have dropped the key.
///
/// With a remote level a write announces itself there first: leases are void and the key is busy from then
/// on, so that no load that began before can store what it read. If two writes of one key meet, neither
/// value is cached, since which one the source has last is not known; the next `get` asks it.
///
/// Thread safety: as `cache`. The source's `store` is called on the calling thread by `put` and `erase`; by
/// the asynchronous forms on `executor`, or on `blocking_executor` for a source that blocks.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class write_through {
    using core = cache_detail::cache_core<K, V, Hash, Eq>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

public:
    using key_type = K;
    using mapped_type = V;

    /// Errors: std::invalid_argument for options out of range, or without a source.
    write_through(std::shared_ptr<source<K, V>> to, cache_options<K, V> options)
        : reads_(to, std::move(options)), source_(std::move(to)) {}

    /// As `read_through`.
    [[nodiscard]] std::optional<V> get(const K& key) { return reads_.get(key); }
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get(Key&& key, Token&& token) {
        return reads_.async_get(std::forward<Key>(key), std::forward<Token>(token));
    }
    [[nodiscard]] std::vector<std::optional<V>> get_many(std::vector<K> keys) {
        return reads_.get_many(std::move(keys));
    }
    template <class Token>
    auto async_get_many(std::vector<K> keys, Token&& token) {
        return reads_.async_get_many(std::move(keys), std::forward<Token>(token));
    }
    [[nodiscard]] std::optional<V> try_get(const K& key) { return reads_.try_get(key); }
    [[nodiscard]] lookup_result<V> lookup(const K& key) { return reads_.lookup(key); }

    /// Writes the value to the source, then to the caches.
    ///
    /// Blocks: for the source. Errors: the source's; errc::read_only. The value is not cached then. When it
    /// cannot be known whether the source has it (a time-out, a lost connection), the key is dropped.
    reach put(K key, V value) { return write(*core_ptr(), std::move(key), std::move(value)); }

    /// Erases the key in the source, then in the caches.
    reach erase(K key) { return write(*core_ptr(), std::move(key), std::nullopt); }

    /// The same as asynchronous operations, `void(std::exception_ptr, reach)`.
    template <class Token>
    auto async_put(K key, V value, Token&& token) {
        return start(std::move(key), std::optional<V>(std::move(value)), token);
    }
    template <class Token>
    auto async_erase(K key, Token&& token) {
        return start(std::move(key), std::optional<V>(), token);
    }

    /// Drops the key from the caches; the source is not touched.
    reach invalidate(const K& key) { return reads_.invalidate(key); }

    /// The rest of what a cache can do.
    [[nodiscard]] cache<K, V, Hash, Eq>& underlying() noexcept { return reads_.underlying(); }
    [[nodiscard]] cache_statistics stats() const { return reads_.stats(); }
    [[nodiscard]] const std::string& name() const noexcept { return reads_.name(); }

private:
    using pending_put = typename core::pending_put;

    /// What the source made of the write.
    struct written {
        std::exception_ptr error{};
        std::uint64_t version = 0;
    };

    [[nodiscard]] const std::shared_ptr<core>& core_ptr() noexcept { return reads_.underlying().core_; }

    static std::vector<write_op<K, V>> operations(const K& key, const std::optional<V>& value) {
        std::vector<write_op<K, V>> one;
        one.push_back({.key = key, .value = value});
        return one;
    }

    static written outcome_of(const write_report& report) {
        if (report.size() != 1) {
            return {.error = std::make_exception_ptr(error(
                        errc::invalid_data,
                        "a source answered one write with " + std::to_string(report.size()) + " results"))};
        }
        return {.error = report.front().error, .version = report.front().version};
    }

    /// What is to be done with the caches.
    enum class ending { fill, put_if_newer, drop, keep };

    static ending end_of(const written& done, bool is_erasure, bool is_leased) {
        if (done.error != nullptr) {
            return cache_detail::may_have_happened(done.error) ? ending::drop : ending::keep;
        }
        if (is_erasure) {
            return ending::drop;
        }
        return is_leased ? ending::fill : done.version != 0 ? ending::put_if_newer : ending::drop;
    }

    reach write(core& into, K key, std::optional<V> value) {
        const auto& lives = into.options().defaults;
        const auto& level = into.remote();
        const bool has_store = level != nullptr && level->has_store();
        cache_detail::cache_writes<core>::prepare(into);
        auto put = value ? into.begin_put(key, *value, lives, 0) : into.begin_erasure(key);
        const auto token = has_store ? level->begin_write(put.name) : std::optional<std::uint64_t>();
        written done;
        try {
            done = outcome_of(source_->store(operations(key, value)));
        } catch (...) {
            done.error = std::current_exception();
        }
        put.remote.version = done.version;
        bool is_kept = !has_store;
        bool is_confirmed = true;
        const ending how = has_store ? end_of(done, !value, token.has_value() && !put.is_oversized)
                                     : end_of(done, !value, true);
        if (has_store) {
            if (how == ending::keep && token) {
                level->release(put.name, token.value_or(0));
            } else if (how == ending::fill) {
                is_kept = level->fill(put.name, token.value_or(0), put.remote).value_or(false);
            } else if (how == ending::put_if_newer) {
                is_kept = !put.is_oversized && level->put_if_newer(put.name, put.remote).value_or(false);
            }
            // A refused fill: another write came in between, and which of them the source has last is not
            // known. Not leased: a load that began before this write may still fill.
            if (how == ending::drop || (how != ending::keep && !is_kept)) {
                is_confirmed = level->erase(put.name);
            }
        }
        finish(into, put, std::move(key), std::move(value), how, is_kept);
        if (level != nullptr && how != ending::keep) {
            is_confirmed = level->announce(change::invalidated, put.text) && is_confirmed;
        }
        if (done.error != nullptr) {
            std::rethrow_exception(done.error);
        }
        return cache_detail::reach_of(is_confirmed);
    }

    static awaitable<reach> async_write(std::shared_ptr<core> into, std::shared_ptr<source<K, V>> to, K key,
                                        std::optional<V> value) {
        const auto& lives = into->options().defaults;
        const auto level = into->remote();
        const bool has_store = level != nullptr && level->has_store();
        co_await cache_detail::cache_writes<core>::async_prepare(*into);
        auto put = value ? into->begin_put(key, *value, lives, 0) : into->begin_erasure(key);
        std::optional<std::uint64_t> token;
        if (has_store && !level->holes().write_through) {
            token = co_await level->async_begin_write(put.name);
        }
        written done;
        try {
            auto wanted = operations(key, value);
            const auto report = co_await to->async_store(std::move(wanted));
            done = outcome_of(report);
        } catch (...) {
            done.error = std::current_exception();
        }
        put.remote.version = done.version;
        bool is_kept = !has_store;
        bool is_confirmed = true;
        const ending how = has_store ? end_of(done, !value, token.has_value() && !put.is_oversized)
                                     : end_of(done, !value, true);
        if (has_store && level->holes().write_through) {
            is_kept = co_await level->async_put(put.name, put.remote);
        } else if (has_store) {
            if (how == ending::keep && token) {
                co_await level->async_release(put.name, token.value_or(0));
            } else if (how == ending::fill) {
                const auto filled = co_await level->async_fill(put.name, token.value_or(0), put.remote);
                is_kept = filled.value_or(false);
            } else if (how == ending::put_if_newer && !put.is_oversized) {
                const auto stored = co_await level->async_put_if_newer(put.name, put.remote);
                is_kept = stored.value_or(false);
            }
            if (how == ending::drop || (how != ending::keep && !is_kept)) {
                is_confirmed = co_await level->async_erase(put.name);
            }
        }
        finish(*into, put, std::move(key), std::move(value), how, is_kept);
        if (level != nullptr && how != ending::keep) {
            const bool is_told = co_await level->async_announce(change::invalidated, put.text);
            is_confirmed = is_confirmed && is_told;
        }
        if (done.error != nullptr) {
            std::rethrow_exception(done.error);
        }
        co_return cache_detail::reach_of(is_confirmed);
    }

    static void finish(core& into, const pending_put& put, K key, std::optional<V> value, ending how,
                       bool is_kept) {
        if (how == ending::keep) {
            into.abandon_put(put);
        } else if (value && is_kept && how != ending::drop) {
            into.end_put(put, std::move(key), std::move(*value), into.options().defaults, true);
        } else {
            into.drop_local(key);
        }
    }

    template <class Token>
    auto start(K key, std::optional<V> value, Token& token) {
        const auto& options = core_ptr()->options();
        const auto& runs_on = source_->is_blocking() ? options.blocking_executor : options.executor;
        if (!runs_on) {
            cache_detail::missing_executor(name(), source_->is_blocking() ? "blocking_executor" : "executor",
                                           "an asynchronous write");
        }
        return boost::asio::co_spawn(runs_on,
                                     async_write(core_ptr(), source_, std::move(key), std::move(value)),
                                     std::forward<Token>(token));
    }

    read_through<K, V, Hash, Eq> reads_;
    std::shared_ptr<source<K, V>> source_;
};

}  // namespace levee
