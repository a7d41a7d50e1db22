/// What runs a user's function over a connection of a pool.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/pool/factory_from.hpp"
#include "levee/postgres/detail/pool_core.hpp"
#include "levee/postgres/transaction.hpp"

namespace levee::postgres::detail {

/// The waits of one transaction's repetitions, and whether there is another.
class repetitions {
public:
    explicit repetitions(const transaction_options& options);

    /// Empty: it is not run again; else after this wait.
    [[nodiscard]] std::optional<duration> after_failure(const std::exception_ptr& failed);
    [[nodiscard]] std::size_t attempt() const noexcept { return attempt_; }

private:
    std::size_t attempts_;
    std::size_t attempt_ = 1;
    backoff waits_;
};

template <class F>
auto run_transaction_once(const std::shared_ptr<pool_core>& core, F& f, const transaction_options& options,
                          holder_label label, std::size_t attempt) {
    const auto held = core->acquire(core->acquire_deadline(), label, core->options().reset_on_return);
    static_cast<void>(held->query(begin_text(options)));
    transaction running(*held, attempt);
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<F&, transaction&>>) {
            std::invoke(f, running);
            check_commit(held->query("COMMIT"));
        } else {
            auto answer = std::invoke(f, running);
            check_commit(held->query("COMMIT"));
            return answer;
        }
    } catch (...) {
        roll_back(*held);
        throw;
    }
}

/// By value: the pool may be destroyed while `f` runs.
template <class F>
auto run_transaction(std::shared_ptr<pool_core> core, F& f, const transaction_options& options,
                     holder_label label) {
    validate(options);
    repetitions left(options);
    for (;;) {
        std::optional<duration> wait;
        try {
            return run_transaction_once(core, f, options, label, left.attempt());
        } catch (...) {
            wait = left.after_failure(std::current_exception());
            if (!wait) {
                throw;
            }
        }
        pause(*wait);
    }
}

template <class F>
using answer_of_transaction = typename pool_detail::awaited<std::invoke_result_t<F&, transaction&>>::type;

template <class F>
boost::asio::awaitable<answer_of_transaction<F>> run_async_transaction_once(
    std::shared_ptr<pool_core> core, F& f, const transaction_options& options, holder_label label,
    std::size_t attempt) {
    auto acquiring =
        pool_core::async_acquire(core, core->acquire_deadline(), label, core->options().reset_on_return);
    const auto held = co_await std::move(acquiring);
    statement begin(begin_text(options));
    auto beginning = held->async_query(std::move(begin), boost::asio::use_awaitable);
    static_cast<void>(co_await std::move(beginning));
    transaction running(*held, attempt);
    std::exception_ptr failed;
    try {
        auto work = f(running);
        if constexpr (std::is_void_v<answer_of_transaction<F>>) {
            co_await std::move(work);
            statement commit("COMMIT");
            auto committing = held->async_query(std::move(commit), boost::asio::use_awaitable);
            const result done = co_await std::move(committing);
            check_commit(done);
            co_return;
        } else {
            auto answer = co_await std::move(work);
            statement commit("COMMIT");
            auto committing = held->async_query(std::move(commit), boost::asio::use_awaitable);
            const result done = co_await std::move(committing);
            check_commit(done);
            co_return answer;
        }
    } catch (...) {
        failed = std::current_exception();
    }
    if (can_roll_back(*held)) {
        try {
            statement rollback("ROLLBACK");
            auto ending = held->async_query(std::move(rollback), boost::asio::use_awaitable);
            static_cast<void>(co_await std::move(ending));
        } catch (...) {  // NOLINT(bugprone-empty-catch): the first failure is the one to tell
        }
    }
    std::rethrow_exception(failed);
}

template <class F>
boost::asio::awaitable<answer_of_transaction<F>> run_async_transaction(std::shared_ptr<pool_core> core, F f,
                                                                       transaction_options options,
                                                                       holder_label label) {
    validate(options);
    repetitions left(options);
    for (;;) {
        std::optional<duration> wait;
        try {
            auto once = run_async_transaction_once(core, f, options, label, left.attempt());
            co_return co_await std::move(once);
        } catch (...) {
            wait = left.after_failure(std::current_exception());
            if (!wait) {
                throw;
            }
        }
        const auto& time = core->connections().options().scheduler;
        co_await time->sleep_until(after(time->now(), *wait));
    }
}

template <class F>
boost::asio::awaitable<typename pool_detail::awaited<std::invoke_result_t<F&, connection&>>::type>
run_with_connection(std::shared_ptr<pool_core> core, F f, holder_label label) {
    auto acquiring = pool_core::async_acquire(core, core->acquire_deadline(), label,
                                              core->options().reset_after_with_connection);
    const auto held = co_await std::move(acquiring);
    auto work = f(*held);
    co_return co_await std::move(work);
}

template <class Convert>
boost::asio::awaitable<typename Convert::type> ask_over_lease(std::shared_ptr<pool_core> core, statement what,
                                                              time_point until) {
    auto work = pool_core::async_ask(std::move(core), std::move(what), until);
    if constexpr (std::is_same_v<Convert, to_rows>) {
        const result answer = co_await std::move(work);
        co_return answer.affected_rows();
    } else {
        co_return co_await std::move(work);
    }
}

}  // namespace levee::postgres::detail
