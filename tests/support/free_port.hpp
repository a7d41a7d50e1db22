/// Ports for servers of a test's own.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <stdexcept>

namespace levee::tests {

/// A port that nobody listened on a moment ago, below those that the kernel gives to outgoing connections: so
/// none of these takes it before the server starts, or while it is restarted.
inline std::uint16_t free_port() {
    std::random_device chance;
    std::uniform_int_distribution<int> ports(10'000, 32'000);
    for (int attempt = 0; attempt < 200; ++attempt) {
        const auto port = static_cast<std::uint16_t>(ports(chance));
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        const bool is_free = ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(probe);
        if (is_free) {
            return port;
        }
    }
    throw std::runtime_error("no free port");
}

}  // namespace levee::tests
