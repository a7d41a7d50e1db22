#include "redis/link.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

constexpr std::size_t buffer_size = 64U << 10U;
constexpr std::size_t most_kept = 1U << 20U;  // of memory for output, once it is sent

std::error_code last_error() noexcept {
    return {errno, std::system_category()};
}

}  // namespace

link::link(boost::asio::any_io_executor executor, int descriptor, const reply_limits& limits,
           std::unique_ptr<tls_session> tls)
    : descriptor_(descriptor),
      watch_(std::move(executor)),
      parser_(limits),
      tls_(std::move(tls)),
      buffer_(std::make_unique<char[]>(buffer_size)) {}

link::~link() {
    let_go();
    ::close(descriptor_);
}

boost::asio::posix::stream_descriptor& link::attached() {
    if (!watch_.is_open()) {
        watch_.assign(descriptor_);
        is_attached_.store(true, std::memory_order_relaxed);
    }
    return watch_;
}

void link::let_go() {
    if (watch_.is_open()) {
        static_cast<void>(watch_.release());
        is_attached_.store(false, std::memory_order_relaxed);
    }
}

io_status link::send(failure& why) {
    if (tls_ != nullptr) {
        if (!output.empty() && !tls_->write(output.data(), output.size(), why)) {
            return io_status::failed;
        }
        output.clear();
        tls_->take_output(cipher_);
    }
    std::string& out = tls_ != nullptr ? cipher_ : output;
    while (position_ < out.size()) {
        const ssize_t sent =
            ::send(descriptor_, out.data() + position_, out.size() - position_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            position_ += static_cast<std::size_t>(sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return io_status::would_block;
        } else if (errno != EINTR) {
            why = {last_error(), false, "sending to Redis"};
            return io_status::failed;
        }
    }
    position_ = 0;
    out.clear();
    if (out.capacity() > most_kept) {
        out = {};
    }
    return io_status::done;
}

bool link::take(const char* data, std::size_t size, std::vector<reply>& into, failure& why) {
    if (parser_.feed(data, size, into)) {
        return true;
    }
    why = {parser_.code(), false, "reading an answer of Redis: " + parser_.message()};
    return false;
}

io_status link::receive(std::vector<reply>& into, failure& why) {
    ssize_t size = 0;
    do {
        size = ::recv(descriptor_, buffer_.get(), buffer_size, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return io_status::would_block;
        }
        why = {last_error(), false, "receiving from Redis"};
        return io_status::failed;
    }
    if (size == 0) {
        why = {errc::connection_lost, false, "Redis closed the connection"};
        return io_status::failed;
    }
    if (tls_ == nullptr) {
        return take(buffer_.get(), static_cast<std::size_t>(size), into, why) ? io_status::done
                                                                              : io_status::failed;
    }
    tls_->put_input(buffer_.get(), static_cast<std::size_t>(size));
    for (;;) {
        const std::ptrdiff_t plain = tls_->read(buffer_.get(), buffer_size, why);
        if (plain == 0) {
            return io_status::done;
        }
        if (plain < 0 || !take(buffer_.get(), static_cast<std::size_t>(plain), into, why)) {
            return io_status::failed;
        }
    }
}

bool link::wait_readable(time_point until) const {
    for (;;) {
        const duration left = until - clock::precise().now();
        if (left <= duration::zero()) {
            return false;
        }
        timespec limit{};
        limit.tv_sec = static_cast<time_t>(left / std::chrono::seconds(1));
        limit.tv_nsec = static_cast<long>((left % std::chrono::seconds(1)).count());
        pollfd readable{descriptor_, POLLIN, 0};
        if (::ppoll(&readable, 1, &limit, nullptr) > 0) {
            return true;  // also when it is closed: receiving tells
        }
    }
}

bool link::is_dead_or_noisy() const noexcept {
    char first = 0;
    const ssize_t size = ::recv(descriptor_, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size > 0) {
        return tls_ == nullptr;  // TLS may send tickets and key updates of its own
    }
    return size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void link::shut_down() noexcept {
    ::shutdown(descriptor_, SHUT_RDWR);
}

}  // namespace levee::redis::detail
