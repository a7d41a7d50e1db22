/// The system of record behind a cache: what a database adapter implements, and what users wrap functions in.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "levee/async/blocking.hpp"
#include "levee/core/clock.hpp"
#include "levee/core/error.hpp"

namespace levee {

/// What a load found for one key.
enum class load_outcome : std::uint8_t {
    value,         ///< `loaded::value` holds it.
    not_found,     ///< The source knows that the key does not exist; may be cached as such.
    not_modified,  ///< `load_request::stale` is still right.
    failed,        ///< `loaded::error` says why; nothing is cached.
};

/// A loader's answer for one key: a value, the knowledge that there is none, or a failure.
template <class V>
struct loaded {
    load_outcome what = load_outcome::not_found;
    std::optional<V> value{};
    std::exception_ptr error{};
    std::optional<duration> ttl{};    ///< This value's own life; empty: the cache's `entry_options::ttl`.
    std::vector<std::string> tags{};  ///< For invalidation by tag.
    std::uint64_t version = 0;        ///< The source's version of the value; 0: it has none.

    [[nodiscard]] static loaded found(V v) {
        loaded result;
        result.what = load_outcome::value;
        result.value.emplace(std::move(v));
        return result;
    }
    [[nodiscard]] static loaded missing() { return loaded{}; }
    [[nodiscard]] static loaded failure(std::exception_ptr why) {
        loaded result;
        result.what = load_outcome::failed;
        result.error = std::move(why);
        return result;
    }
};

/// One key to load, with what the cache still holds for it: a source may answer `not_modified`.
template <class K, class V>
struct load_request {
    K key;
    std::shared_ptr<const V> stale{};  ///< Null: nothing held.
    std::uint64_t stale_version = 0;
};

/// One write to the source: an upsert when `value` is present, an erasure when it is empty.
template <class K, class V>
struct write_op {
    K key;
    std::optional<V> value{};
    std::uint64_t version = 0;  ///< Given by the writer; 0: none.

    // From a write-behind cache; 0: from another. A source may store them beside the row.
    std::uint64_t writer = 0;    ///< Which one.
    std::uint64_t sequence = 0;  ///< Counts its writes, of all keys.
};

/// What became of each write of a batch, in its order.
struct write_result {
    std::exception_ptr error{};  ///< Null: written.
    std::uint64_t version = 0;   ///< The version the source gave the row; 0: it has none.
};
using write_report = std::vector<write_result>;

/// The system of record: loads and stores batches of keys.
///
/// Implement `async_load`, and `async_store` if it can be written; override the blocking forms where the
/// backend blocks by nature (then `is_blocking` says so, and the caches run them on threads that may
/// block). Arguments are owned by the callee. Results stand in the order of the requests, one each.
///
/// Thread safety: every function is called from any thread, concurrently.
/// Errors: a failure of one key is `load_outcome::failed`; what throws fails the whole batch.
template <class K, class V>
class source {
public:
    using key_type = K;
    using mapped_type = V;

    virtual ~source() = default;

    [[nodiscard]] virtual boost::asio::awaitable<std::vector<loaded<V>>> async_load(
        std::vector<load_request<K, V>> requests) = 0;

    /// Blocks: until loaded. The default drives `async_load` on the calling thread.
    [[nodiscard]] virtual std::vector<loaded<V>> load(std::vector<load_request<K, V>> requests) {
        return async::run_on_this_thread(async_load(std::move(requests)));
    }

    /// The default refuses: errc::read_only.
    [[nodiscard]] virtual boost::asio::awaitable<write_report> async_store(
        [[maybe_unused]] std::vector<write_op<K, V>> operations) {
        throw error(errc::read_only);
        co_return write_report{};  // makes this a coroutine
    }

    /// Blocks: until stored. The default drives `async_store` on the calling thread.
    [[nodiscard]] virtual write_report store(std::vector<write_op<K, V>> operations) {
        return async::run_on_this_thread(async_store(std::move(operations)));
    }

    /// True: the work is done by `load` and `store` on the calling thread, and the async forms only call
    /// them. A cache then runs them on its `blocking_executor` for async callers.
    [[nodiscard]] virtual bool is_blocking() const noexcept { return false; }

protected:
    source() = default;
    source(const source&) = default;
    source& operator=(const source&) = default;
};

/// Base of sources whose backend blocks (embedded databases, client libraries without an async form):
/// implement `load`, and `store` if it can be written.
template <class K, class V>
class blocking_source : public source<K, V> {
public:
    [[nodiscard]] std::vector<loaded<V>> load(std::vector<load_request<K, V>> requests) override = 0;
    [[nodiscard]] write_report store([[maybe_unused]] std::vector<write_op<K, V>> operations) override {
        throw error(errc::read_only);
    }

    [[nodiscard]] boost::asio::awaitable<std::vector<loaded<V>>> async_load(
        std::vector<load_request<K, V>> requests) final {
        co_return load(std::move(requests));
    }
    [[nodiscard]] boost::asio::awaitable<write_report> async_store(
        std::vector<write_op<K, V>> operations) final {
        co_return store(std::move(operations));
    }
    [[nodiscard]] bool is_blocking() const noexcept final { return true; }
};

}  // namespace levee
