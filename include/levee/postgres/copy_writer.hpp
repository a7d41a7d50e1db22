/// COPY … FROM STDIN, piece by piece.
#pragma once

#include <boost/asio/async_result.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "levee/postgres/detail/async_request.hpp"
#include "levee/postgres/detail/session_access.hpp"

namespace levee::postgres {

/// Sends rows to the server, in the format that the COPY statement says: by default text, fields with tabs
/// between, each row with a line feed at its end. `write` returns when its piece is on its way; it waits for
/// a slow server.
///
/// What is wrong with a row is told by `finish`, and then nothing was copied. Destroyed without `finish`,
/// nothing is copied either. A piece that ends by deadline or cancellation closes the connection; so does the
/// writer's end, or `finish`, while a piece is under way.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe. Errors: as `connection::query`.
class copy_writer {
public:
    copy_writer() = default;
    copy_writer(copy_writer&&) noexcept = default;
    copy_writer& operator=(copy_writer&& other) noexcept;
    copy_writer(const copy_writer&) = delete;
    copy_writer& operator=(const copy_writer&) = delete;
    ~copy_writer();

    /// Any number of bytes; none are no piece. `timeout` zero: the connection's `statement_timeout`.
    void write(std::string_view bytes, duration timeout = {});
    /// void(std::exception_ptr, bool): true.
    template <class Token>
    auto async_write(std::string bytes, Token&& token) {
        return detail::start<detail::to_true>(
            session_, piece(detail::request_kind::copy_data, std::move(bytes)), std::forward<Token>(token));
    }

    /// The number of rows copied.
    std::uint64_t finish(duration timeout = {});
    /// void(std::exception_ptr, std::uint64_t)
    template <class Token>
    auto async_finish(Token&& token) {
        auto end = piece(detail::request_kind::copy_end, {});
        auto session = std::move(session_);
        return detail::start<detail::to_rows>(std::move(session), std::move(end), std::forward<Token>(token));
    }

private:
    friend class connection;

    explicit copy_writer(std::shared_ptr<detail::session_access> session) : session_(std::move(session)) {}

    template <class Handler>
    struct with_writer;

    template <class Token>
    static auto async_begin(std::shared_ptr<detail::session_access> session, std::string sql,
                            time_point until, Token&& token) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, copy_writer)>(
            [](auto handler, std::shared_ptr<detail::session_access> to, std::string text,
               time_point deadline) {
                detail::question asked;
                asked.kind = detail::request_kind::copy_begin;
                asked.text = std::move(text);
                asked.deadline = deadline;
                with_writer<decltype(handler)> then{std::move(handler), to};
                detail::start<detail::to_true>(std::move(to), std::move(asked), std::move(then));
            },
            token, std::move(session), std::move(sql), until);
    }

    [[nodiscard]] detail::question piece(detail::request_kind kind, std::string bytes) const;
    void abort() noexcept;

    std::shared_ptr<detail::session_access> session_{};  // null: over
};

/// Makes of a handler for writers one for beginnings; on the same executor, with the same slot.
template <class Handler>
struct copy_writer::with_writer {
    using executor_type = boost::asio::associated_executor_t<Handler>;
    using cancellation_slot_type = boost::asio::associated_cancellation_slot_t<Handler>;

    Handler handler;
    std::shared_ptr<detail::session_access> session;

    [[nodiscard]] executor_type get_executor() const noexcept {
        return boost::asio::get_associated_executor(handler);
    }
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
        return boost::asio::get_associated_cancellation_slot(handler);
    }
    void operator()(std::exception_ptr failed, bool /*begun*/) {
        copy_writer begun = failed ? copy_writer() : copy_writer(std::move(session));
        std::move(handler)(std::move(failed), std::move(begun));
    }
};

}  // namespace levee::postgres
