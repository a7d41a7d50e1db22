/// A server that answers what a test tells it to: for malformed, cut, late and missing replies.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace levee::tests {

/// One connection of it, for the function that serves it. Reading and writing end at the server's end.
class fake_session {
public:
    fake_session(int descriptor, int number) : descriptor_(descriptor), number_(number) {}

    /// Which connection this is, from 0.
    [[nodiscard]] int number() const noexcept { return number_; }

    /// The next command, its words joined by blanks; empty: the peer has gone.
    std::string command() {
        const std::string count = line();
        if (count.empty() || count[0] != '*') {
            return {};
        }
        std::string words;
        for (int left = std::stoi(count.substr(1)); left > 0; --left) {
            const std::string size = line();
            if (size.empty()) {
                return {};
            }
            words += (words.empty() ? "" : " ") + exactly(std::stoul(size.substr(1)) + 2);
            words.resize(words.size() - 2);
        }
        return words;
    }

    void say(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return;
            }
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    /// Answers the client's greeting, and says whether there was one.
    bool greet() {
        if (command() != "PING") {
            return false;
        }
        say("+PONG\r\n");
        return true;
    }

    /// The connection ends by RST.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }

    /// Returns when the peer has gone, or the server ends.
    void wait_for_the_end() {
        while (!command().empty()) {
        }
    }

private:
    bool fill() {
        char buffer[4096];
        const ssize_t size = ::recv(descriptor_, buffer, sizeof buffer, 0);
        if (size > 0) {
            input_.append(buffer, static_cast<std::size_t>(size));
        }
        return size > 0;
    }
    std::string line() {
        std::size_t end = 0;
        while ((end = input_.find("\r\n")) == std::string::npos) {
            if (!fill()) {
                return {};
            }
        }
        std::string one = input_.substr(0, end);
        input_.erase(0, end + 2);
        return one;
    }
    std::string exactly(std::size_t size) {
        while (input_.size() < size) {
            if (!fill()) {
                return std::string(size, ' ');
            }
        }
        std::string one = input_.substr(0, size);
        input_.erase(0, size);
        return one;
    }

    int descriptor_;
    int number_;
    std::string input_{};
};

/// Serves one connection at a time; the others wait.
class fake_redis {
public:
    explicit fake_redis(std::function<void(fake_session&)> serve) : serve_(std::move(serve)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            ::close(listener_);
            throw std::runtime_error("no socket to listen on");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this] { run(); });
    }
    ~fake_redis() {
        is_over_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        if (const int open = session_.load(); open >= 0) {
            ::shutdown(open, SHUT_RDWR);
        }
        thread_.join();
        ::close(listener_);
    }
    fake_redis(const fake_redis&) = delete;
    fake_redis& operator=(const fake_redis&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    void run() {
        for (int number = 0; !is_over_; ++number) {
            const int accepted = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (accepted < 0) {
                return;
            }
            session_ = accepted;
            if (!is_over_) {
                fake_session session(accepted, number);
                serve_(session);
            }
            session_ = -1;
            ::close(accepted);
        }
    }

    std::function<void(fake_session&)> serve_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<int> session_ = -1;
    std::atomic<bool> is_over_ = false;
    std::jthread thread_;
};

}  // namespace levee::tests
