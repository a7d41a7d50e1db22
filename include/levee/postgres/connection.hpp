/// A connection to a PostgreSQL server.
#pragma once

#include <boost/asio/async_result.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "levee/postgres/connection_options.hpp"
#include "levee/postgres/copy_writer.hpp"
#include "levee/postgres/detail/async_request.hpp"
#include "levee/postgres/detail/call.hpp"
#include "levee/postgres/error.hpp"
#include "levee/postgres/notification.hpp"
#include "levee/postgres/result.hpp"
#include "levee/postgres/statement.hpp"

namespace levee::postgres {

using connection_facts = detail::session_facts;

/// Executes statements, one session of the server's.
///
///     levee::runtime rt;
///     postgres::connection db({.uri = "postgresql://app@10.0.0.5/shop", .executor = rt.get_executor()});
///     auto found = db.query("SELECT name FROM users WHERE id = $1", 42);                        // a thread
///     statement question("SELECT name FROM users WHERE id = $1", 42);
///     auto found = co_await db.async_query(std::move(question), asio::use_awaitable);            // a
///     coroutine
///
/// Statements are prepared when they are first used, and kept prepared, the `max_prepared` last used ones.
/// Several that are under way at once are pipelined: they share the writes, and each is a sync group of its
/// own, so that one that fails undoes nothing of another, unless a transaction is open, which then is theirs
/// together.
///
/// Deadlines: each call ends by its own. One that ends by deadline or cancellation before its answer has the
/// server cancel the statement (pg_cancel_backend, over another connection that is made for it), and its
/// answer is dropped, never given to another; meanwhile nothing further is sent. If the server does not stop
/// within `cancel_timeout`, the connection is closed. Through a pooler (PgBouncer, …) no statement is
/// cancelled, as nobody can tell which process has it: one that was given up has `cancel_timeout` to end by
/// itself.
///
/// There is no way back from a connection that broke, or was closed: use a `pool`.
///
/// Every call has an `async_` twin that takes any completion token, of signature void(std::exception_ptr, T).
/// It completes on the handler's executor, never inside the call.
///
/// Errors, of every call: sql_error, as the server refused; levee::errc::timeout, cancelled, closed;
/// errc::connection_lost, queue_full, protocol_error; levee::errc::would_deadlock for a blocking call on a
/// thread that runs the executor. `error::may_have_been_executed` tells whether it is known what became of
/// it.
///
/// Thread safety: safe on a shared object, apart from moving and destruction, which ends what is under way
/// with levee::errc::closed.
class connection {
public:
    /// None: nothing but assigning and destroying is allowed.
    connection() = default;

    /// Connects. Blocks: until then, or `connect_timeout`. Errors: std::invalid_argument;
    /// levee::errc::timeout; errc::not_connected, wrong_role; sql_error with the server's refusal (28P01,
    /// 53300, 57P03, …).
    explicit connection(const connection_options& options);

    /// void(std::exception_ptr, std::unique_ptr<connection>). It ends by `connect_timeout`; cancelling it is
    /// not heeded.
    template <class Token>
    static auto async_connect(const connection_options& options, Token&& token) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, std::unique_ptr<connection>)>(
            [](auto handler, std::shared_ptr<const connection_options> chosen) {
                detail::connect_then(*chosen,
                                     detail::deliver_to<std::unique_ptr<connection>>(std::move(handler)));
            },
            token, std::make_shared<const connection_options>(options));
    }
    template <class Token>
    static auto async_connect(connection_options&& options, Token&& token) = delete;  // name them first

    ~connection();
    connection(connection&&) noexcept = default;
    connection& operator=(connection&& other) noexcept;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    // Statements.

    template <class... T>
    result query(std::string_view sql, const T&... values) {
        return query(statement(sql, values...));
    }
    result query(statement what) {
        const time_point until = blocking_deadline(what.timeout);
        return detail::ask(*session_, std::move(what), until);
    }
    /// void(std::exception_ptr, result)
    template <class Token>
    auto async_query(statement what, Token&& token) {
        const time_point until = deadline(what.timeout);
        return detail::async_ask(session_, std::move(what), until, std::forward<Token>(token));
    }

    /// Rows that it inserted, updated, deleted, copied, or selected.
    template <class... T>
    std::uint64_t execute(std::string_view sql, const T&... values) {
        return execute(statement(sql, values...));
    }
    std::uint64_t execute(statement what) { return query(std::move(what)).affected_rows(); }
    /// void(std::exception_ptr, std::uint64_t)
    template <class Token>
    auto async_execute(statement what, Token&& token) {
        detail::question asked = asked_of(std::move(what));
        return detail::start<detail::to_rows>(session_, std::move(asked), std::forward<Token>(token));
    }

    /// Several statements in one text, without values, as for a schema: one implicit transaction. The answer
    /// is that of the last one. Waits until nothing else is under way.
    result run_script(std::string sql, duration timeout = {});

    // COPY … FROM STDIN.

    /// Begins one; until `copy_writer::finish` all other statements wait. `sql`: the whole statement.
    copy_writer begin_copy(std::string sql, duration timeout = {});
    /// void(std::exception_ptr, copy_writer)
    template <class Token>
    auto async_begin_copy(std::string sql, Token&& token) {
        const time_point until = deadline({});
        return copy_writer::async_begin(session_, std::move(sql), until, std::forward<Token>(token));
    }

    /// Copies what `next` gives, piece by piece, until it gives an empty piece; answers the number of rows. A
    /// piece need not end where a row ends; some 64 KiB is a good size. If `next` throws nothing is copied.
    ///
    ///     db.copy_in("COPY stock FROM STDIN", [&]() -> std::string_view { … "1\tbolt\n2\tnut\n" … });
    template <class Next>
    std::uint64_t copy_in(std::string sql, Next&& next, duration timeout = {}) {
        copy_writer to = begin_copy(std::move(sql), timeout);
        for (;;) {
            const std::string_view piece = next();
            if (piece.empty()) {
                return to.finish();
            }
            to.write(piece);
        }
    }

    // LISTEN, NOTIFY.

    /// Channel names are quoted: any text is a channel.
    void listen(std::string_view channel);
    void unlisten(std::string_view channel);
    void notify(std::string_view channel, std::string_view payload);

    /// The next notification, those that came earlier and were not waited for first. Errors:
    /// levee::errc::timeout.
    notification wait_notification(duration timeout);
    /// void(std::exception_ptr, notification)
    template <class Token>
    auto async_wait_notification(duration timeout, Token&& token) {
        detail::question asked;
        asked.kind = detail::request_kind::notification;
        asked.deadline = deadline(timeout);
        return detail::start<detail::to_notification>(session_, std::move(asked), std::forward<Token>(token));
    }

    /// Ends what is under way with levee::errc::closed, and the session.
    void close() noexcept;

    /// What is known of the session, for reports and tests.
    [[nodiscard]] connection_facts facts() const { return session_->facts(); }
    /// False: it broke, was closed, or was condemned by the server.
    [[nodiscard]] bool is_usable() const noexcept;

    /// "name", with what is in it doubled where it must be: for names of tables and columns that are not
    /// known beforehand. Errors: levee::errc::invalid_data for an empty name, NUL, or more than 63 bytes,
    /// which the server would cut.
    [[nodiscard]] static std::string quoted(std::string_view name);

    /// For the pool.
    explicit connection(std::shared_ptr<detail::session_access> session) : session_(std::move(session)) {}
    [[nodiscard]] const std::shared_ptr<detail::session_access>& session() const noexcept { return session_; }
    bool needs_examination = false;  ///< When it comes back to its pool.

private:
    [[nodiscard]] time_point deadline(duration timeout) const {
        return after(session_->now(),
                     timeout > duration::zero() ? timeout : session_->options().statement_timeout);
    }
    [[nodiscard]] time_point blocking_deadline(duration timeout) const {
        return detail::blocking_deadline(timeout, session_->options().statement_timeout);
    }
    [[nodiscard]] detail::question asked_of(statement what) const {
        detail::question asked;
        asked.deadline = deadline(what.timeout);
        asked.text = std::move(what.sql);
        asked.values = std::move(what.values);
        return asked;
    }

    std::shared_ptr<detail::session_access> session_{};
};

}  // namespace levee::postgres
