/// One connected socket, with what reads its replies.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/redis/detail/request.hpp"
#include "redis/reply_parser.hpp"
#include "redis/tls_session.hpp"

namespace levee::redis::detail {

enum class io_status : std::uint8_t { done, would_block, failed };

/// Sending, receiving and waiting are plain system calls, so that any thread can do them; Asio's part is to
/// tell when the socket is ready. Nothing here blocks, apart from `wait_readable`.
///
/// Thread safety: one thread may send while another one receives; `shut_down` at any time. The socket is
/// closed with the object, when nobody can be using it any more.
class link {
public:
    /// Owns the connected socket `descriptor` from now on.
    link(boost::asio::any_io_executor executor, int descriptor, const reply_limits& limits,
         std::unique_ptr<tls_session> tls);
    ~link();
    link(const link&) = delete;
    link& operator=(const link&) = delete;

    // The writer's.

    std::string output{};  ///< What is to be sent; replaced once all of it is.

    [[nodiscard]] bool has_output() const { return !output.empty() || !cipher_.empty() || owes_output(); }
    /// Sends what is left of `output`, and empties it if that was all.
    [[nodiscard]] io_status send(failure& why);

    // The reader's.

    /// Takes what is there, at most some 64 KiB; complete replies go to the end of `into`.
    [[nodiscard]] io_status receive(std::vector<reply>& into, failure& why);

    /// Blocks until something can be received or `until` passed (false).
    [[nodiscard]] bool wait_readable(time_point until) const;

    // Anybody's.

    /// TLS has something to send on its own account.
    [[nodiscard]] bool owes_output() const { return tls_ != nullptr && tls_->has_output(); }
    /// True if the peer has closed, or sent what nobody asked for: for a connection on which no answer is
    /// owed. Does not take anything.
    [[nodiscard]] bool is_dead_or_noisy() const noexcept;
    void shut_down() noexcept;

    // The strand's. While Asio knows the socket, whatever comes wakes a thread of the executor, also when
    // other threads do the reading: so it is told of it only when the executor has to wait for something.

    [[nodiscard]] boost::asio::posix::stream_descriptor& attached();
    /// Ends what waits.
    void let_go();
    [[nodiscard]] bool is_attached() const noexcept { return is_attached_.load(std::memory_order_relaxed); }

private:
    [[nodiscard]] bool take(const char* data, std::size_t size, std::vector<reply>& into, failure& why);

    const int descriptor_;
    boost::asio::posix::stream_descriptor watch_;
    std::atomic<bool> is_attached_ = false;  // written on the strand; others only guess by it
    reply_parser parser_;
    std::unique_ptr<tls_session> tls_;
    std::string cipher_{};      // of `output`, with TLS
    std::size_t position_ = 0;  // what of `output`, or `cipher_`, is sent
    std::unique_ptr<char[]> buffer_;
};

}  // namespace levee::redis::detail
