/// A wire between a client and a server of a test, and what can go wrong with it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace levee::tests {

enum class proxy_mode : std::uint8_t {
    works,
    refuses,        ///< Connections are reset, and new ones right after they were accepted.
    is_silent,      ///< Connections are accepted and stay; nothing passes. What was sent comes afterwards.
    holds_answers,  ///< What the server says waits; what it is told passes.
};

/// Passes bytes between the connections made to its port and a server's port, on one thread.
///
/// Thread safety: every function may be called from any thread; each is in effect when it returns.
class tcp_proxy {
public:
    explicit tcp_proxy(std::uint16_t server)
        : server_(server), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            ::listen(listener_, 512) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw std::runtime_error("the proxy cannot listen");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~tcp_proxy() {
        {
            const std::lock_guard lock(mutex_);
            is_ending_ = true;
        }
        wake();
        thread_.join();
        reset();
        ::close(listener_);
        ::close(wake_);
    }
    tcp_proxy(const tcp_proxy&) = delete;
    tcp_proxy& operator=(const tcp_proxy&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    void set(proxy_mode mode) {
        {
            const std::lock_guard lock(mutex_);
            mode_ = mode;
            if (mode == proxy_mode::refuses) {
                reset_all();
            }
        }
        wake();
    }

    /// How late each piece that comes from now on passes.
    void set_delay(std::chrono::milliseconds by) {
        {
            const std::lock_guard lock(mutex_);
            delay_ = by;
        }
        wake();
    }

    /// Told of each piece that the server says from now on, before it passes, and may change it. On the
    /// proxy's thread.
    void on_answers(std::function<void(std::string&)> change) {
        const std::lock_guard lock(mutex_);
        change_ = std::move(change);
    }

    /// As in the beginning: it works, without a delay; what was kept back passes first.
    void forward() {
        set_delay({});
        set(proxy_mode::works);
    }

    /// Ends every connection by RST, on both sides.
    void reset() {
        const std::lock_guard lock(mutex_);
        reset_all();
    }

    /// The connections that are open.
    [[nodiscard]] std::size_t connections() {
        const std::lock_guard lock(mutex_);
        return links_.size();
    }

private:
    using clock = std::chrono::steady_clock;

    struct piece {
        clock::time_point due;
        std::string bytes;
    };
    struct end {
        int socket = -1;
        std::deque<piece> to_it{};
        bool is_shut = false;  // it will send no more
    };
    struct link {
        end client, server;
    };

    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }

    static void close_hard(int socket) {
        const linger at_once{1, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(socket);
    }

    void reset_all() {
        for (const link& each : links_) {
            close_hard(each.client.socket);
            close_hard(each.server.socket);
        }
        links_.clear();
    }

    /// Whether what this side of a link sent may pass.
    [[nodiscard]] bool passes_from(const link& each, const end* side) const {
        return mode_ == proxy_mode::works || (mode_ == proxy_mode::holds_answers && side == &each.client);
    }

    void wake() const {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(wake_, &one, sizeof one));
    }

    void run() {
        std::vector<pollfd> watched;
        for (;;) {
            int wait = -1;
            watched.clear();
            watched.push_back({wake_, POLLIN, 0});
            watched.push_back({listener_, POLLIN, 0});
            {
                const std::lock_guard lock(mutex_);
                if (is_ending_) {
                    return;
                }
                for (link& each : links_) {
                    for (const end* side : {&each.client, &each.server}) {
                        const end* const other = side == &each.client ? &each.server : &each.client;
                        int events = passes_from(each, side) && !side->is_shut ? POLLIN : 0;
                        if (passes_from(each, other) && !side->to_it.empty()) {
                            const auto left = std::chrono::ceil<std::chrono::milliseconds>(
                                side->to_it.front().due - clock::now());
                            if (left.count() <= 0) {
                                events |= POLLOUT;
                            } else {
                                wait = wait < 0 ? static_cast<int>(left.count())
                                                : std::min(wait, static_cast<int>(left.count()));
                            }
                        }
                        // Without events not even an end would be told of once.
                        watched.push_back({events != 0 ? side->socket : -1, static_cast<short>(events), 0});
                    }
                }
            }
            ::poll(watched.data(), watched.size(), wait);
            const std::lock_guard lock(mutex_);
            std::uint64_t ignored = 0;
            static_cast<void>(!::read(wake_, &ignored, sizeof ignored));
            accept_all();
            std::erase_if(links_, [this](link& each) { return !pass(each); });
        }
    }

    void accept_all() {
        for (;;) {
            const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (client < 0) {
                return;
            }
            if (mode_ == proxy_mode::refuses) {
                close_hard(client);
                continue;
            }
            const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const sockaddr_in address = loopback(server_);
            if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
                ::close(server);
                close_hard(client);
                continue;
            }
            ::fcntl(server, F_SETFL, ::fcntl(server, F_GETFL) | O_NONBLOCK);
            links_.push_back({{.socket = client}, {.socket = server}});
        }
    }

    /// False: the link has ended and is closed.
    bool pass(link& each) {
        const bool is_open = move(each, each.client, each.server) && move(each, each.server, each.client) &&
                             !(each.client.is_shut && each.server.is_shut);
        if (!is_open) {
            ::close(each.client.socket);
            ::close(each.server.socket);
        }
        return is_open;
    }

    bool move(const link& each, end& from, end& to) {
        return !passes_from(each, &from) || (take(from, to, &from == &each.server) && give(to, from));
    }

    /// Reads what `from` sent.
    bool take(end& from, end& to, bool is_answer) {
        char buffer[65'536];
        while (!from.is_shut) {
            const ssize_t size = ::recv(from.socket, buffer, sizeof buffer, 0);
            if (size == 0) {
                from.is_shut = true;
            } else if (size < 0) {
                return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
            } else {
                std::string bytes(buffer, static_cast<std::size_t>(size));
                if (is_answer && change_) {
                    change_(bytes);
                }
                to.to_it.push_back({clock::now() + delay_, std::move(bytes)});
            }
        }
        return true;
    }

    /// Writes what is due to `to`; after the last of it, the end of the other side's.
    bool give(end& to, const end& from) {
        while (!to.to_it.empty() && to.to_it.front().due <= clock::now()) {
            std::string& bytes = to.to_it.front().bytes;
            const ssize_t size = ::send(to.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (size < 0) {
                return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
            }
            bytes.erase(0, static_cast<std::size_t>(size));
            if (bytes.empty()) {
                to.to_it.pop_front();
            }
        }
        if (from.is_shut && to.to_it.empty()) {
            ::shutdown(to.socket, SHUT_WR);
        }
        return true;
    }

    const std::uint16_t server_;
    const int wake_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;  // guards what follows
    std::list<link> links_;
    proxy_mode mode_ = proxy_mode::works;
    bool is_ending_ = false;
    std::function<void(std::string&)> change_;
    std::chrono::milliseconds delay_{};
    std::thread thread_;
};

}  // namespace levee::tests
