/// A flight that carries a key, its loader and what that brought.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "levee/cache/detail/asio_flight.hpp"
#include "levee/cache/detail/loader.hpp"
#include "levee/cache/entry_options.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/store/source.hpp"

namespace levee::cache_detail {

/// One load of one key. `lease` and `answer` belong to whoever runs the load, until `finish` hands the
/// answer to the waiters; it is not written after that.
template <class K, class V>
class load_flight : public asio_flight {
public:
    load_flight(K the_key, const entry_options& lives, time_point deadline,
                std::shared_ptr<async::scheduler> scheduler)
        : asio_flight(deadline, std::move(scheduler)), key(std::move(the_key)), options(lives) {}

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

    const K key;
    const entry_options options;
    fill_lease lease{};
    loaded<V> answer{};
    std::exception_ptr error{};  // null: the answer is usable
};

/// A load by a loader that a caller brought.
template <class K, class V, class Loader>
class loader_flight final : public load_flight<K, V> {
    using traits = loader_traits<K, V, Loader>;

public:
    template <class L>
    loader_flight(K the_key, L&& loader, const entry_options& lives, time_point deadline,
                  std::shared_ptr<async::scheduler> scheduler)
        : load_flight<K, V>(std::move(the_key), lives, deadline, std::move(scheduler)),
          loader_(unwrap(std::forward<L>(loader))) {}

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
    template <class L>
    static decltype(auto) unwrap(L&& loader) {
        if constexpr (traits::is_detachable) {
            return (std::forward<L>(loader).loader);
        } else {
            return std::forward<L>(loader);
        }
    }

    typename traits::function loader_;
};

/// A load from a bound source.
template <class K, class V>
class source_flight final : public load_flight<K, V> {
public:
    source_flight(K the_key, std::shared_ptr<source<K, V>> from, const entry_options& lives,
                  time_point deadline, std::shared_ptr<async::scheduler> scheduler)
        : load_flight<K, V>(std::move(the_key), lives, deadline, std::move(scheduler)),
          from_(std::move(from)) {}

    [[nodiscard]] loaded<V> run(load_context& /*context*/) override { return only(from_->load(request())); }

    [[nodiscard]] boost::asio::awaitable<loaded<V>> run_async(load_context& /*context*/) override {
        auto wanted = request();
        auto answers = co_await from_->async_load(std::move(wanted));
        co_return only(std::move(answers));
    }

private:
    [[nodiscard]] std::vector<load_request<K, V>> request() const {
        std::vector<load_request<K, V>> one;
        one.push_back({.key = this->key});
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
