/// Sources made of functions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/store/detail/load_answer.hpp"
#include "levee/store/source.hpp"

namespace levee {
namespace store_detail {

/// Stands where a source has no store function.
struct read_only {};

/// What a store function may answer: nothing, or what became of the write.
template <class Answer>
concept store_answer = std::is_void_v<Answer> || std::is_same_v<Answer, write_result>;

template <class K, class V, class Load, class Store>
struct function_traits {
    using raw_load = std::invoke_result_t<Load&, const K&>;
    static constexpr bool loads_async = awaited<raw_load>::is_awaitable;
    static_assert(
        load_answer<typename awaited<raw_load>::type, V>,
        "levee: load(const K&) returns V, std::optional<V>, loaded<V>, or an awaitable of one of these");

    static constexpr bool can_store = !std::is_same_v<Store, read_only>;
    static constexpr bool is_mixed = [] {
        if constexpr (can_store) {
            using raw_store = std::invoke_result_t<Store&, const write_op<K, V>&>;
            static_assert(
                store_answer<typename awaited<raw_store>::type>,
                "levee: store(const write_op<K, V>&) returns void, write_result, or an awaitable of these");
            return awaited<raw_store>::is_awaitable != loads_async;
        } else {
            return false;
        }
    }();
    static_assert(!is_mixed, "levee: load and store of one source are both plain or both coroutines");
};

/// Over plain functions, which may block.
template <class K, class V, class Load, class Store>
class blocking_functions final : public blocking_source<K, V> {
public:
    blocking_functions(Load load, Store store) : load_(std::move(load)), store_(std::move(store)) {}

    [[nodiscard]] std::vector<loaded<V>> load(std::vector<load_request<K, V>> requests) override {
        std::vector<loaded<V>> answers;
        answers.reserve(requests.size());
        for (const auto& request : requests) {
            try {
                answers.push_back(as_loaded<V>(load_(request.key)));
            } catch (...) {
                answers.push_back(loaded<V>::failure(std::current_exception()));
            }
        }
        return answers;
    }

    [[nodiscard]] write_report store([[maybe_unused]] std::vector<write_op<K, V>> operations) override {
        if constexpr (std::is_same_v<Store, read_only>) {
            throw error(errc::read_only);
        } else {
            write_report report(operations.size());
            for (std::size_t i = 0; i < operations.size(); ++i) {
                try {
                    if constexpr (std::is_void_v<std::invoke_result_t<Store&, const write_op<K, V>&>>) {
                        store_(operations[i]);
                    } else {
                        report[i] = store_(operations[i]);
                    }
                } catch (...) {
                    report[i].error = std::current_exception();
                }
            }
            return report;
        }
    }

private:
    Load load_;
    Store store_;
};

/// Over coroutines; the keys of a batch one after the other.
template <class K, class V, class Load, class Store>
class coroutine_functions final : public source<K, V> {
public:
    coroutine_functions(Load load, Store store) : load_(std::move(load)), store_(std::move(store)) {}

    [[nodiscard]] boost::asio::awaitable<std::vector<loaded<V>>> async_load(
        std::vector<load_request<K, V>> requests) override {
        std::vector<loaded<V>> answers;
        answers.reserve(requests.size());
        for (const auto& request : requests) {
            try {
                auto answer = co_await load_(request.key);
                answers.push_back(as_loaded<V>(std::move(answer)));
            } catch (...) {
                answers.push_back(loaded<V>::failure(std::current_exception()));
            }
        }
        co_return answers;
    }

    [[nodiscard]] boost::asio::awaitable<write_report> async_store(
        [[maybe_unused]] std::vector<write_op<K, V>> operations) override {
        write_report report(operations.size());
        if constexpr (std::is_same_v<Store, read_only>) {
            throw error(errc::read_only);
        } else {
            for (std::size_t i = 0; i < operations.size(); ++i) {
                try {
                    using answer =
                        typename awaited<std::invoke_result_t<Store&, const write_op<K, V>&>>::type;
                    if constexpr (std::is_void_v<answer>) {
                        co_await store_(operations[i]);
                    } else {
                        report[i] = co_await store_(operations[i]);
                    }
                } catch (...) {
                    report[i].error = std::current_exception();
                }
            }
        }
        co_return report;
    }

private:
    Load load_;
    Store store_;
};

}  // namespace store_detail

/// A source over a function `load(const K&)` that returns V, std::optional<V> (empty: no such key),
/// loaded<V>, or an awaitable of one of these; and, if it can be written, `store(const write_op<K, V>&)`
/// that returns nothing or a write_result, awaitable when `load` is. Without `store`, writes end with
/// errc::read_only.
///
/// The functions are called from any thread, concurrently. What they throw is that key's failure.
template <class K, class V, class Load, class Store = store_detail::read_only>
[[nodiscard]] std::shared_ptr<source<K, V>> source_from(Load load, Store store = {}) {
    using traits = store_detail::function_traits<K, V, Load, Store>;
    if constexpr (traits::loads_async) {
        return std::make_shared<store_detail::coroutine_functions<K, V, Load, Store>>(std::move(load),
                                                                                      std::move(store));
    } else {
        return std::make_shared<store_detail::blocking_functions<K, V, Load, Store>>(std::move(load),
                                                                                     std::move(store));
    }
}

}  // namespace levee
