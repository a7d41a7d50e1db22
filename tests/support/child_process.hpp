/// Programs that a test starts: their process ids, and how they are waited for and stopped.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

extern char** environ;

namespace levee::tests {

/// Starts a program; what it prints is appended to the file `log`.
inline pid_t spawn(std::vector<std::string> words, const std::string& log) {
    std::vector<char*> argv;
    for (std::string& each : words) {
        argv.push_back(each.data());
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                       0644);
    ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    pid_t pid = -1;
    const int failed = ::posix_spawnp(&pid, argv.front(), &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        throw std::runtime_error("cannot start " + words.front());
    }
    return pid;
}

inline std::string text_of(const std::string& file) {
    std::ostringstream all;
    all << std::ifstream(file).rdbuf();
    return all.str();
}

/// Runs a program to its end. Throws with what it printed if it fails.
inline void run_program(const std::vector<std::string>& words, const std::string& log) {
    int status = 0;
    if (::waitpid(spawn(words, log), &status, 0) < 0 || status != 0) {
        throw std::runtime_error(words.front() + " failed: " + text_of(log));
    }
}

/// Looks every 5 ms whether `is_so`; false: not within the time. For other processes only, which tell nobody.
template <class F>
bool poll_until(F&& is_so, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        ::poll(nullptr, 0, 5);
    }
    return true;
}

/// The processes that `pid` started and that still run.
inline std::vector<pid_t> children_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    std::vector<pid_t> all;
    for (pid_t child = 0; file >> child;) {
        all.push_back(child);
    }
    return all;
}

}  // namespace levee::tests
