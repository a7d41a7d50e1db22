/// A Redis server of a test's own: on a free loopback port and a Unix socket, in a temporary folder.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "free_port.hpp"

extern char** environ;

namespace levee::tests {

/// Where a server program is: `redis-server`, or what Debian's redis-tools brings, which is the same program
/// under another name and looks at how it is called. Empty: neither.
inline std::string redis_server_program() {
    for (const char* name :
         {"/usr/bin/redis-server", "/usr/local/bin/redis-server", "/usr/bin/redis-check-rdb"}) {
        if (::access(name, X_OK) == 0) {
            return name;
        }
    }
    return {};
}

/// Runs from construction to destruction, but for `kill` and `start`. Stopped by its process id.
class redis_server {
public:
    /// `arguments`: further ones, "--maxmemory", "10mb". A port of 0 there is not for us to replace.
    explicit redis_server(std::vector<std::string> arguments = {})
        : folder_(make_folder()), port_(free_port()), arguments_(std::move(arguments)) {
        start();
    }
    ~redis_server() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    redis_server(const redis_server&) = delete;
    redis_server& operator=(const redis_server&) = delete;

    [[nodiscard]] static bool is_installed() { return !redis_server_program().empty(); }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string unix_socket() const { return folder_ + "/socket"; }
    [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

    /// Returns when it accepts connections.
    void start() {
        std::vector<std::string> words{"redis-server",
                                       "--port",
                                       std::to_string(port_),
                                       "--bind",
                                       "127.0.0.1",
                                       "--unixsocket",
                                       unix_socket(),
                                       "--dir",
                                       folder_,
                                       "--save",
                                       "",
                                       "--appendonly",
                                       "no",
                                       "--daemonize",
                                       "no"};
        words.insert(words.end(), arguments_.begin(), arguments_.end());
        std::vector<char*> argv;
        for (std::string& each : words) {
            argv.push_back(each.data());
        }
        argv.push_back(nullptr);
        int out[2];
        if (::pipe2(out, O_CLOEXEC) != 0) {
            throw std::runtime_error("no pipe");
        }
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
        const int failed =
            ::posix_spawn(&pid_, redis_server_program().c_str(), &actions, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(out[1]);
        output_ = out[0];
        std::string said;
        char buffer[512];
        while (failed == 0 && said.find("eady to accept connections") == std::string::npos) {
            const ssize_t size = ::read(output_, buffer, sizeof buffer);
            if (size <= 0) {
                break;
            }
            said.append(buffer, static_cast<std::size_t>(size));
        }
        if (said.find("eady to accept connections") == std::string::npos) {
            kill();
            throw std::runtime_error("redis-server does not start: " + said);
        }
    }

    /// As `kill -9`; returns when it is gone.
    void kill() noexcept {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
        if (output_ >= 0) {
            ::close(output_);
            output_ = -1;
        }
    }

    void pause() noexcept {
        ::kill(pid_, SIGSTOP);
        ::waitpid(pid_, nullptr, WUNTRACED);
    }
    void resume() noexcept { ::kill(pid_, SIGCONT); }

private:
    static std::string make_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "levee_redis_XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        return name;
    }

    std::string folder_;
    std::uint16_t port_;
    std::vector<std::string> arguments_;
    pid_t pid_ = -1;
    int output_ = -1;  // kept open and hardly written to: what Redis says at its start fits into the pipe
};

}  // namespace levee::tests
