/// The test program run again as a worker, in a process of its own.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

extern char** environ;

namespace levee::tests {

/// What a worker is told by its arguments, in the order of its members.
struct worker_orders {
    std::string part{};  ///< What it does: see worker.cpp.
    int memory = -1;     ///< The file of the `shared_memory`.
    unsigned slot = 0;   ///< Its history.
    unsigned redis_port = 0;
    unsigned bus_port = 0;  ///< Where its pub/sub link goes.
    std::string folder{};

    [[nodiscard]] std::vector<std::string> words() const {
        return {part,
                std::to_string(memory),
                std::to_string(slot),
                std::to_string(redis_port),
                std::to_string(bus_port),
                folder};
    }
};

/// Killed at the end, if it still runs; and by the system when the test's thread that made it is gone.
class worker_process {
public:
    explicit worker_process(const worker_orders& orders) {
        std::vector<std::string> words{"worker", "--worker", std::to_string(::getpid())};
        for (std::string& each : orders.words()) {
            words.push_back(std::move(each));
        }
        std::vector<char*> argv;
        for (std::string& each : words) {
            argv.push_back(each.data());
        }
        argv.push_back(nullptr);
        if (::posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, argv.data(), environ) != 0) {
            throw std::runtime_error("a worker cannot be started");
        }
    }
    ~worker_process() { kill(); }
    worker_process(worker_process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    worker_process& operator=(worker_process&& other) noexcept {
        kill();
        pid_ = std::exchange(other.pid_, -1);
        return *this;
    }

    /// As `kill -9`; returns when it is gone.
    void kill() noexcept {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }
    void pause() noexcept { ::kill(pid_, SIGSTOP); }
    void resume() noexcept { ::kill(pid_, SIGCONT); }

    /// Waits until it ends by itself; its exit code, or minus the signal that ended it.
    int wait() noexcept {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

private:
    pid_t pid_ = -1;
};

}  // namespace levee::tests
