/// libpq's connection, with its socket as Asio and poll(2) see it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>

#include "levee/core/clock.hpp"
#include "postgres/result_access.hpp"

namespace levee::postgres::detail {

struct connection_closer {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using pg_connection = std::unique_ptr<PGconn, connection_closer>;

struct result_clearer {
    void operator()(PGresult* cleared) const noexcept { PQclear(cleared); }
};
using pg_result = std::unique_ptr<PGresult, result_clearer>;

enum class wait_for : std::uint8_t { input, output, either };

/// libpq opens and closes its socket as it likes: while connecting, and when the connection breaks. What
/// waits uses a duplicate of the descriptor, which stays the same and stays open until it is let go here; so
/// nobody ever waits for a number that means another file by then.
///
/// Thread safety: unsafe, apart from `poll` and `shut_down`, which may run beside anything but `follow` and
/// the destructor.
class link {
public:
    link(boost::asio::any_io_executor executor, pg_connection connection)
        : watch_(std::move(executor)), connection_(std::move(connection)) {}
    ~link();
    link(const link&) = delete;
    link& operator=(const link&) = delete;

    /// Null once `take_leave` was called; libpq's questions answer nothing then.
    [[nodiscard]] PGconn* get() const noexcept { return connection_.get(); }

    /// Tells the server that this was all, and ends libpq's connection. Nothing may be under way.
    void take_leave() noexcept {
        let_go();
        connection_.reset();
    }

    /// Takes libpq's present socket. False: it has none.
    bool follow();

    /// Blocks until it is ready, or `until` passed (false).
    [[nodiscard]] bool poll(wait_for what, time_point until) const noexcept;

    /// True if something can be received, or the peer has closed.
    [[nodiscard]] bool has_input() const noexcept;
    void shut_down() noexcept;

    /// While Asio knows the socket, whatever comes wakes a thread of the executor, also when other threads do
    /// the reading: so it is told of it only when the executor has to wait for something.
    [[nodiscard]] boost::asio::posix::stream_descriptor& attached();
    /// Ends what waits.
    void let_go() noexcept;
    [[nodiscard]] bool is_attached() const noexcept { return watch_.is_open(); }

    /// Several writes become one packet, until `uncork`. For TCP; otherwise they do nothing.
    void cork() noexcept;
    void uncork() noexcept;

private:
    void close_alias() noexcept;

    int alias_ = -1;
    bool is_tcp_ = false;
    bool is_corked_ = false;
    boost::asio::posix::stream_descriptor watch_;
    pg_connection connection_;
};

}  // namespace levee::postgres::detail
