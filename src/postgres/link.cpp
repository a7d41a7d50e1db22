#include "postgres/link.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

namespace levee::postgres::detail {

link::~link() {
    close_alias();
}

void link::close_alias() noexcept {
    let_go();
    if (alias_ >= 0) {
        ::close(alias_);
        alias_ = -1;
    }
}

bool link::follow() {
    // The number may be the same and the socket another one: libpq closes one and opens the next.
    close_alias();
    const int descriptor = PQsocket(connection_.get());
    if (descriptor < 0) {
        return false;
    }
    alias_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    is_tcp_ = alias_ >= 0 &&
              ::getsockname(alias_, static_cast<sockaddr*>(static_cast<void*>(&address)), &size) == 0 &&
              (address.ss_family == AF_INET || address.ss_family == AF_INET6);
    return alias_ >= 0;
}

bool link::poll(wait_for what, time_point until) const noexcept {
    const auto events =
        static_cast<short>((what != wait_for::output ? POLLIN : 0) | (what != wait_for::input ? POLLOUT : 0));
    for (;;) {
        timespec limit{};
        if (until != (time_point::max)()) {
            const duration left = until - clock::precise().now();
            if (left <= duration::zero()) {
                return false;
            }
            limit.tv_sec = static_cast<std::time_t>(left / std::chrono::seconds(1));
            limit.tv_nsec = static_cast<long>((left % std::chrono::seconds(1)).count());
        }
        pollfd watched{alias_, events, 0};
        if (::ppoll(&watched, 1, until == (time_point::max)() ? nullptr : &limit, nullptr) > 0) {
            return true;  // also when it is closed: reading tells
        }
    }
}

bool link::has_input() const noexcept {
    pollfd watched{alias_, POLLIN, 0};
    return ::poll(&watched, 1, 0) > 0;
}

void link::shut_down() noexcept {
    if (alias_ >= 0) {
        ::shutdown(alias_, SHUT_RDWR);
    }
}

boost::asio::posix::stream_descriptor& link::attached() {
    if (!watch_.is_open()) {
        watch_.assign(alias_);
    }
    return watch_;
}

void link::let_go() noexcept {
    if (watch_.is_open()) {
        static_cast<void>(watch_.release());
    }
}

void link::cork() noexcept {
    if (is_tcp_ && !is_corked_) {
        const int on = 1;
        is_corked_ = ::setsockopt(alias_, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0;
    }
}

void link::uncork() noexcept {
    if (is_corked_) {
        const int off = 0;
        static_cast<void>(::setsockopt(alias_, IPPROTO_TCP, TCP_CORK, &off, sizeof off));
        is_corked_ = false;
    }
}

}  // namespace levee::postgres::detail
