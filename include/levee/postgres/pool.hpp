/// Statements and transactions over a pool of connections to PostgreSQL.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "levee/pool/pool_stats.hpp"
#include "levee/postgres/connection.hpp"
#include "levee/postgres/detail/pool_core.hpp"
#include "levee/postgres/detail/run_transaction.hpp"
#include "levee/postgres/pool_options.hpp"
#include "levee/postgres/transaction.hpp"

namespace levee::postgres {

/// Lends a connection to each statement, or each transaction, and cleans it afterwards.
///
///     levee::runtime rt;
///     postgres::pool db({.connection = {.uri = "postgresql://app@10.0.0.5/shop",
///                                       .executor = rt.get_executor()}});
///     auto found = db.query("SELECT name FROM users WHERE id = $1", 42);
///     db.transaction([&](postgres::transaction& tx) {
///         tx.execute("UPDATE stock SET count = count - 1 WHERE id = $1", 7);
///         tx.execute("INSERT INTO orders (item) VALUES ($1)", 7);
///     });
///
/// `connection` says what statements, deadlines and errors are like; `levee::connection_pool` how connections
/// are made and shared. Errors of waiting for a connection: levee::pool_error.
///
/// Failover: a connection that broke is not lent again; one that the server condemned (it shuts down, or
/// became a standby, 25006) is closed. If the server became a standby, and the pool's `role` wants a primary,
/// all its connections are closed, and new ones are made to whichever server has the role now.
///
/// A statement whose connection broke is not repeated: whether it was executed is not known.
///
/// Thread safety: safe on a shared object, apart from destruction: calls that are under way end by
/// themselves, those that wait for a connection with errc::closed.
class pool {
public:
    /// Connects to nothing yet, unless `pool.min_idle` or `multiplexed` say so. Errors:
    /// std::invalid_argument.
    explicit pool(const pool_options& options);
    ~pool();
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    // Statements, each with a connection of its own while it runs.

    template <class... T>
    result query(std::string_view sql, const T&... values) {
        return core_->ask(statement(sql, values...));
    }
    result query(statement what) { return core_->ask(std::move(what)); }
    /// void(std::exception_ptr, result)
    template <class Token>
    auto async_query(statement what, Token&& token) {
        return start<detail::to_result>(std::move(what), token);
    }
    template <class Token>
    auto async_query(std::string sql, parameters values, Token&& token) {
        return start<detail::to_result>(statement(std::move(sql), std::move(values)), token);
    }

    /// Rows that it inserted, updated, deleted, or selected.
    template <class... T>
    std::uint64_t execute(std::string_view sql, const T&... values) {
        return core_->ask(statement(sql, values...)).affected_rows();
    }
    std::uint64_t execute(statement what) { return core_->ask(std::move(what)).affected_rows(); }
    /// void(std::exception_ptr, std::uint64_t)
    template <class Token>
    auto async_execute(statement what, Token&& token) {
        return start<detail::to_rows>(std::move(what), token);
    }
    template <class Token>
    auto async_execute(std::string sql, parameters values, Token&& token) {
        return start<detail::to_rows>(statement(std::move(sql), std::move(values)), token);
    }

    // Transactions.

    /// Calls `f(transaction&)` within a transaction, and commits; if `f` throws it is rolled back, and what
    /// it threw is thrown. Answers what `f` returns. With `attempts` above 1, `f` is called again after
    /// conflicts.
    ///
    /// If COMMIT's answer does not come, error::may_have_been_executed() is true.
    template <class F>
    auto transaction(F&& f, const transaction_options& options = {},
                     holder_label label = std::source_location::current()) {
        return detail::run_transaction(core_, f, options, label);
    }

    /// The same for coroutines: `f(transaction&)` returns an awaitable<T>. It is copied; name it first.
    /// void(std::exception_ptr, T), or void(std::exception_ptr).
    template <class F, class Token>
    auto async_transaction(const F& f, const transaction_options& options, Token&& token,
                           holder_label label = std::source_location::current()) {
        auto work = detail::run_async_transaction(core_, f, options, label);
        return boost::asio::co_spawn(executor(), std::move(work), std::forward<Token>(token));
    }
    template <class F, class Token>
    auto async_transaction(const F& f, Token&& token, holder_label label = std::source_location::current()) {
        auto work = detail::run_async_transaction(core_, f, transaction_options(), label);
        return boost::asio::co_spawn(executor(), std::move(work), std::forward<Token>(token));
    }
    template <class F, class... Rest>
        requires(!std::is_lvalue_reference_v<F>)
    auto async_transaction(F&& f, Rest&&... rest) = delete;

    // A connection for a while.

    /// Calls `f(connection&)` and answers what it returns. Whatever `f` leaves behind in the session is
    /// cleaned up.
    template <class F>
    auto with_connection(F&& f, holder_label label = std::source_location::current()) {
        const auto held =
            core_->acquire(core_->acquire_deadline(), label, core_->options().reset_after_with_connection);
        return std::invoke(f, *held);
    }
    /// `f(connection&)` returns an awaitable<T>. It is copied; name it first.
    template <class F, class Token>
    auto async_with_connection(const F& f, Token&& token,
                               holder_label label = std::source_location::current()) {
        auto work = detail::run_with_connection(core_, f, label);
        return boost::asio::co_spawn(executor(), std::move(work), std::forward<Token>(token));
    }
    template <class F, class... Rest>
        requires(!std::is_lvalue_reference_v<F>)
    auto async_with_connection(F&& f, Rest&&... rest) = delete;

    /// Serves nobody new, and waits until all connections have come back and are closed; false: not in time.
    bool drain(duration timeout) { return core_->connections().drain(timeout); }

    /// Of the connections that are lent; not of the multiplexed ones.
    [[nodiscard]] pool_stats stats() const { return core_->connections().stats(); }
    [[nodiscard]] const pool_options& options() const noexcept { return core_->options(); }
    /// Where the work of asynchronous callers runs.
    [[nodiscard]] boost::asio::any_io_executor executor() const {
        return core_->options().connection.executor;
    }

private:
    template <class Convert, class Token>
    auto start(statement what, Token& token) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, typename Convert::type)>(
            [](auto handler, std::shared_ptr<detail::pool_core> core, statement asked) {
                const time_point until = core->deadline(asked.timeout);
                if (auto session = core->shared_for(asked.sql)) {
                    detail::question one;
                    one.text = std::move(asked.sql);
                    one.values = std::move(asked.values);
                    one.deadline = until;
                    detail::async_operation<Convert>{}(std::move(handler), std::move(one),
                                                       std::move(session));
                } else {
                    auto work = detail::ask_over_lease<Convert>(core, std::move(asked), until);
                    boost::asio::co_spawn(core->options().connection.executor, std::move(work),
                                          std::move(handler));
                }
            },
            token, core_, std::move(what));
    }

    std::shared_ptr<detail::pool_core> core_;
};

}  // namespace levee::postgres
