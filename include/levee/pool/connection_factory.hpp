/// How a pool's connections are made, tested and cleaned: what a database adapter implements.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

namespace levee {

/// Makes connections of type `C`, says whether one still works, and cleans one for its next user.
///
/// Implement the `async_` functions as coroutines; or derive from `blocking_connection_factory`, or wrap
/// functions by `factory_from`. They should heed cancellation, which comes when their time is up; a pool
/// that they hang in goes on without them, but what they hold stays until they return.
///
/// Thread safety: every function is called from any thread, concurrently, though never twice at the same
/// time for one connection.
template <class C>
class connection_factory {
public:
    virtual ~connection_factory() = default;

    /// A new connection, not null. Errors: what it throws is reported as the last connect error.
    [[nodiscard]] virtual boost::asio::awaitable<std::unique_ptr<C>> async_connect() = 0;

    /// Asked after a connection was idle for `validate_after_idle`. False, or an exception: it is closed.
    /// The default trusts all.
    [[nodiscard]] virtual boost::asio::awaitable<bool> async_is_valid(C& /*connection*/) { co_return true; }

    /// Cleans a returned connection for its next user, if `needs_reset` says so. An exception: it is closed.
    [[nodiscard]] virtual boost::asio::awaitable<void> async_reset(C& /*connection*/) { co_return; }

    /// Called by the thread that returns a connection: may it go to the next user as it is? It must not
    /// block. The default says that every one needs a reset, which is safe, and costs every return a
    /// visit to the executor: override it to look (an open transaction?), or to answer false.
    [[nodiscard]] virtual bool needs_reset(const C& /*connection*/) const noexcept { return true; }

protected:
    connection_factory() = default;
    connection_factory(const connection_factory&) = default;
    connection_factory& operator=(const connection_factory&) = default;
};

/// Base of factories whose client library blocks. A pool runs them on its `blocking_executor`.
template <class C>
class blocking_connection_factory : public connection_factory<C> {
public:
    [[nodiscard]] virtual std::unique_ptr<C> connect() = 0;
    [[nodiscard]] virtual bool is_valid(C& /*connection*/) { return true; }
    virtual void reset(C& /*connection*/) {}

    [[nodiscard]] boost::asio::awaitable<std::unique_ptr<C>> async_connect() final { co_return connect(); }
    [[nodiscard]] boost::asio::awaitable<bool> async_is_valid(C& connection) final {
        co_return is_valid(connection);
    }
    [[nodiscard]] boost::asio::awaitable<void> async_reset(C& connection) final {
        reset(connection);
        co_return;
    }
};

}  // namespace levee
