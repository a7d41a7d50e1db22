/// Asks servers to cancel what a session is at.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>
#include <cstddef>
#include <memory>

#include "postgres/backend.hpp"
#include "postgres/session_config.hpp"

namespace levee::postgres::detail {

class session;

/// By `pg_cancel_backend` over a connection of its own, made when needed and kept for the next time. Not by
/// PQcancel: libpq 15's blocks for as long as the server is silent, with no deadline, and is not encrypted.
/// The server compares when the process began, so that no stranger is hit who got its number since.
///
/// At most `most_at_once` are under way; more are refused, and those sessions closed: a server that many
/// statements hang in is not to be hit by as many connections.
///
/// Thread safety: safe on a shared object.
class canceller : public std::enable_shared_from_this<canceller> {
public:
    explicit canceller(const connection_options& options);
    ~canceller();
    canceller(const canceller&) = delete;
    canceller& operator=(const canceller&) = delete;

    /// Tells `session::cancel_ended` what came of it, within `cancel_timeout`.
    void cancel(std::shared_ptr<session> target, const backend& whom, server_address where);

    /// Closes the connection of its own. What is under way ends by its deadline.
    void close() noexcept;

private:
    static constexpr std::size_t most_at_once = 64;

    static boost::asio::awaitable<void> run(std::shared_ptr<canceller> self, std::shared_ptr<session> target,
                                            backend whom, server_address where);
    boost::asio::awaitable<bool> ask(backend whom, const server_address& where);

    const connection_options options_;
    const boost::asio::strand<boost::asio::any_io_executor> strand_;

    // On the strand.
    std::shared_ptr<session> over_{};
    server_address there_{};
    std::size_t under_way_ = 0;
    bool is_closed_ = false;
};

}  // namespace levee::postgres::detail
