/// A flight that carries a key, its loader and what that brought.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/cache/detail/loader.hpp"
#include "levee/cache/detail/remote_flight.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/store/codec.hpp"
#include "levee/store/source.hpp"

namespace levee::cache_detail {

/// One load of one key. Everything here belongs to whoever runs the load, until `finish` hands the answer to
/// the waiters; it is not written after that.
template <class K, class V>
class load_flight : public remote_flight {
public:
    load_flight(K the_key, flight_setup setup) : remote_flight(std::move(setup)), key(std::move(the_key)) {}

    /// Does the load on the calling thread. Plain loaders only.
    [[nodiscard]] virtual loaded<V> run(load_context& context) = 0;
    /// Does the load as a coroutine. Coroutine loaders only.
    [[nodiscard]] virtual boost::asio::awaitable<loaded<V>> run_async(load_context& context) = 0;

    /// What the waiters get: the value, empty when the key is known not to exist, or the load's error.
    [[nodiscard]] std::optional<V> result() const {
        if (error) {
            std::rethrow_exception(error);
        }
        return answer.value;
    }

    /// Later callers do not find it any more: an invalidation came in between.
    void mark_detached() noexcept { is_detached_.store(true, std::memory_order_release); }
    [[nodiscard]] bool is_detached() const noexcept { return is_detached_.load(std::memory_order_acquire); }

    const K key;
    fill_lease lease{};
    loaded<V> answer{};
    std::exception_ptr error{};  // null: the answer is usable
    std::optional<V> reserve_value{};
    std::uint64_t reserve_version = 0;

protected:
    /// What a source is asked, with what is held in reserve.
    [[nodiscard]] load_request<K, V> request() const {
        load_request<K, V> wanted{.key = key};
        if (reserve_value) {
            wanted.stale = std::make_shared<const V>(*reserve_value);
            wanted.stale_version = reserve_version;
        }
        return wanted;
    }

    void load(load_context& context) final { answer = run(context); }
    [[nodiscard]] boost::asio::awaitable<void> async_load(load_context& context) final {
        answer = co_await run_async(context);
    }

    [[nodiscard]] bool take(const remote_entry& found, bool as_reserve) final {
        if (found.is_negative) {
            if (!as_reserve) {
                answer = loaded<V>::missing();
            }
            return !as_reserve;
        }
        if constexpr (encodable<V>) {
            auto value = codec<V>::decode(found.payload);
            if (!value) {
                return false;
            }
            if (as_reserve) {
                reserve_value = std::move(value);
                reserve_version = found.version;
            } else {
                answer = loaded<V>::found(std::move(*value));
            }
            return true;
        } else {
            return false;
        }
    }

    void use_reserve() noexcept final {
        answer.what = load_outcome::value;
        answer.error = nullptr;
        answer.value = std::move(reserve_value);
    }

    [[nodiscard]] loaded_terms terms() final {
        if (answer.what == load_outcome::not_modified && reserve_value) {
            answer.what = load_outcome::value;
            answer.value = reserve_value;
            answer.version = answer.version != 0 ? answer.version : reserve_version;
        }
        return {.is_usable = answer.what == load_outcome::not_found ||
                             (answer.what == load_outcome::value && answer.value),
                .is_negative = answer.what == load_outcome::not_found,
                .ttl = answer.ttl,
                .tags = std::move(answer.tags),
                .version = answer.version};
    }

    void encode(bytes& to) final {
        if constexpr (encodable<V>) {
            codec<V>::encode(*answer.value, to);
        }
    }

private:
    std::atomic<bool> is_detached_{false};
};

/// A load by a loader that a caller brought.
template <class K, class V, class Loader>
class loader_flight final : public load_flight<K, V> {
    using traits = loader_traits<K, V, Loader>;

public:
    template <class L>
    loader_flight(K the_key, L&& loader, flight_setup setup)
        : load_flight<K, V>(std::move(the_key), std::move(setup)), loader_(unwrap(std::forward<L>(loader))) {}

    [[nodiscard]] loaded<V> run([[maybe_unused]] load_context& context) override {
        if constexpr (traits::is_coroutine) {
            throw levee::error(errc::load_failed, "a coroutine loader was run as a plain one");
        } else {
            return store_detail::as_loaded<V>(traits::call(loader_, this->key, context));
        }
    }

    [[nodiscard]] boost::asio::awaitable<loaded<V>> run_async(load_context& context) override {
        if constexpr (traits::is_coroutine) {
            auto brought = co_await traits::call(loader_, this->key, context);
            co_return store_detail::as_loaded<V>(std::move(brought));
        } else {
            co_return run(context);
        }
    }

private:
    typename traits::function loader_;
};

/// A load from a bound source.
template <class K, class V>
class source_flight final : public load_flight<K, V> {
public:
    source_flight(K the_key, std::shared_ptr<source<K, V>> from, flight_setup setup)
        : load_flight<K, V>(std::move(the_key), std::move(setup)), from_(std::move(from)) {}

    [[nodiscard]] loaded<V> run(load_context& /*context*/) override { return only(from_->load(requests())); }

    [[nodiscard]] boost::asio::awaitable<loaded<V>> run_async(load_context& /*context*/) override {
        auto wanted = requests();
        auto answers = co_await from_->async_load(std::move(wanted));
        co_return only(std::move(answers));
    }

private:
    [[nodiscard]] std::vector<load_request<K, V>> requests() const {
        std::vector<load_request<K, V>> one;
        one.push_back(this->request());
        return one;
    }

    static loaded<V> only(std::vector<loaded<V>> answers) {
        if (answers.size() != 1) {
            throw levee::error(errc::invalid_data, "a source answered a request for one key with " +
                                                       std::to_string(answers.size()) + " results");
        }
        return std::move(answers.front());
    }

    const std::shared_ptr<source<K, V>> from_;
};

}  // namespace levee::cache_detail
