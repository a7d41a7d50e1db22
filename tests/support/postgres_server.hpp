/// A PostgreSQL server of a test's own: on a free loopback port and a Unix socket, in a temporary folder.
#pragma once

#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "child_process.hpp"
#include "free_port.hpp"

namespace levee::tests {

/// The folder of the server's programs, of the newest version from 15 on; empty: none is installed.
inline std::string postgres_programs() {
    std::string best;
    int version = 14;
    std::error_code none;
    for (const auto& each : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
        const int found = std::atoi(each.path().filename().c_str());
        const std::string folder = (each.path() / "bin").string();
        if (found > version && ::access((folder + "/initdb").c_str(), X_OK) == 0) {
            version = found;
            best = folder;
        }
    }
    return best;
}

/// Who may connect over TCP; over the Unix socket anybody may.
enum class postgres_access { trust, password };

/// Runs from construction to destruction, but for `kill`, `stop` and `start`, with the settings that a new
/// cluster has: every commit is synced. Its superuser is "levee", its database "levee", its password
/// "sesame". It is stopped by its process id, and dies with the thread that started it.
///
/// Root may not run PostgreSQL: then it runs as the user "postgres", else "nobody", in a folder of theirs.
class postgres_server {
public:
    struct options {
        postgres_access access = postgres_access::trust;
        int max_connections = 100;
        std::vector<std::string> settings{};  ///< {"log_statement=all"}
    };

    postgres_server() : postgres_server(options{}) {}
    explicit postgres_server(options chosen) : postgres_server(std::move(chosen), nullptr) {}
    ~postgres_server() {
        if (pid_ > 0) {
            resume();
            end_by(SIGQUIT, std::chrono::seconds(5));
        }
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;

    [[nodiscard]] static bool is_installed() { return !postgres_programs().empty(); }
    static constexpr const char* why_skipped = "no PostgreSQL server is installed";

    /// A streaming standby of `primary`, caught up with it.
    struct standby_of {
        postgres_server& primary;
    };
    explicit postgres_server(standby_of what) : postgres_server(what.primary.options_, &what.primary) {}

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// The folder of the Unix socket: libpq's `host`.
    [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
    [[nodiscard]] static std::string password() { return "sesame"; }
    /// For TCP, without the password.
    [[nodiscard]] std::string uri() const { return uri(port_); }
    /// The same through a proxy on another port.
    [[nodiscard]] static std::string uri(std::uint16_t port) {
        return "postgresql://levee@127.0.0.1:" + std::to_string(port) + "/postgres";
    }
    [[nodiscard]] std::string unix_uri() const {
        return "host=" + folder_ + " port=" + std::to_string(port_) + " user=levee dbname=postgres";
    }
    /// What the server logged.
    [[nodiscard]] std::string log() const { return text_of(folder_ + "/log"); }

    /// Returns when it accepts connections.
    void start() {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // when it is killed, its children are ours to wait for
        std::filesystem::remove(data() + "/postmaster.pid");
        std::vector<std::string> words = unprivileged({"--pdeathsig", "KILL"});
        // How often a standby looks for its primary bears on how long a promotion takes, not on what is kept.
        const std::vector<std::string> own{postgres_programs() + "/postgres",
                                           "-D",
                                           data(),
                                           "-p",
                                           std::to_string(port_),
                                           "-k",
                                           folder_,
                                           "-h",
                                           "127.0.0.1",
                                           "-c",
                                           "max_connections=" + std::to_string(options_.max_connections),
                                           "-c",
                                           "wal_retrieve_retry_interval=100ms"};
        words.insert(words.end(), own.begin(), own.end());
        for (const std::string& each : options_.settings) {
            words.emplace_back("-c");
            words.push_back(each);
        }
        pid_ = spawn(std::move(words), folder_ + "/log");
        bool is_dead = false;
        const auto is_ready = [&] {
            is_dead = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
            return is_dead || is_up();
        };
        if (!poll_until(is_ready, std::chrono::seconds(60)) || is_dead) {
            pid_ = is_dead ? -1 : pid_;
            kill();
            throw std::runtime_error("PostgreSQL does not start: " + log());
        }
    }

    /// As `kill -9` of all its processes; returns when they are gone.
    void kill() {
        if (pid_ <= 0) {
            return;
        }
        const std::vector<pid_t> children = signal_all(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        for (const pid_t child : children) {
            ::waitpid(child, nullptr, 0);  // ours now: see `start`
        }
        pid_ = -1;
    }

    /// A shutdown in order: sessions are ended with 57P01.
    void stop() { end_by(SIGINT, std::chrono::seconds(30)); }
    void restart() {
        stop();
        start();
    }

    /// As `kill -STOP` of all its processes: connections stay open and nothing answers.
    void pause() { static_cast<void>(signal_all(SIGSTOP)); }
    /// As `kill -STOP` of the process that accepts connections: those that stand are served, new ones wait.
    void pause_newcomers() const { ::kill(pid_, SIGSTOP); }
    void resume() { static_cast<void>(signal_all(SIGCONT)); }

    /// Makes a standby a primary; returns when it is one.
    void promote() { static_cast<void>(execute("SELECT pg_promote(true, 60)")); }

    /// Runs statements over the Unix socket, on a connection of its own; the first column of the last one's
    /// first row, or "". Throws with the server's words.
    std::string execute(const std::string& sql) const {
        PGconn* const connection = PQconnectdb(unix_uri().c_str());
        PGresult* const answer = PQexec(connection, sql.c_str());
        const bool is_right =
            PQresultStatus(answer) == PGRES_TUPLES_OK || PQresultStatus(answer) == PGRES_COMMAND_OK;
        const std::string failure = is_right ? "" : PQerrorMessage(connection);
        const std::string value =
            is_right && PQntuples(answer) > 0 && PQnfields(answer) > 0 ? PQgetvalue(answer, 0, 0) : "";
        PQclear(answer);
        PQfinish(connection);
        if (!is_right) {
            throw std::runtime_error(failure);
        }
        return value;
    }

private:
    postgres_server(options chosen, postgres_server* primary)
        : options_(std::move(chosen)), folder_(make_folder()), port_(free_port()) {
        try {
            if (primary == nullptr) {
                copy_folder(cluster(), data());
                write_access();
                start();
            } else {
                run(unprivileged(),
                    {"pg_basebackup", "-D", data(), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-h",
                     primary->folder(), "-p", std::to_string(primary->port()), "-U", "levee"});
                start();
            }
        } catch (...) {
            kill();
            std::filesystem::remove_all(folder_);
            throw;
        }
    }

    /// The user to run as; null: this one.
    [[nodiscard]] static const passwd* other_user() {
        if (::geteuid() != 0) {
            return nullptr;
        }
        const passwd* found = ::getpwnam("postgres");
        return found != nullptr ? found : ::getpwnam("nobody");
    }

    /// The words before a program that has it run as that user.
    [[nodiscard]] static std::vector<std::string> unprivileged(std::vector<std::string> further = {}) {
        std::vector<std::string> words{"setpriv"};
        if (const passwd* const user = other_user()) {
            words.push_back("--reuid=" + std::to_string(user->pw_uid));
            words.push_back("--regid=" + std::to_string(user->pw_gid));
            words.emplace_back("--clear-groups");
        }
        words.insert(words.end(), further.begin(), further.end());
        return words.size() == 1 ? std::vector<std::string>{"env"} : words;
    }

    /// Runs one of PostgreSQL's programs.
    void run(std::vector<std::string> before, std::vector<std::string> words) const {
        words.front() = postgres_programs() + "/" + words.front();
        before.insert(before.end(), words.begin(), words.end());
        run_program(before, folder_ + "/log");
    }

    static std::string make_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "levee_postgres_XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        if (const passwd* const user = other_user();
            user != nullptr && ::chown(name.c_str(), user->pw_uid, user->pw_gid) != 0) {
            throw std::runtime_error("cannot give " + name + " away");
        }
        return name;
    }

    void copy_folder(const std::string& from, const std::string& to) const {
        run_program({"cp", "-a", "--reflink=auto", from, to}, folder_ + "/log");
    }

    /// A new cluster to copy from: initdb takes a second or two. In a folder of CTest it is kept there for
    /// the other test cases, which are processes of their own.
    [[nodiscard]] std::string cluster() const {
        const std::string kept = std::filesystem::absolute("postgres_cluster").string();
        if (std::filesystem::exists(kept)) {
            return kept;
        }
        const std::string made = folder_ + "/cluster";
        std::ofstream(folder_ + "/password") << password() << '\n';
        run(unprivileged(), {"initdb", "-D", made, "-U", "levee", "-A", "trust", "--pwfile",
                             folder_ + "/password", "-E", "UTF8", "--no-locale", "--no-sync"});
        if (std::filesystem::exists("CTestTestfile.cmake")) {
            std::string other = kept + ".XXXXXX";
            if (::mkdtemp(other.data()) != nullptr) {
                copy_folder(made, other + "/new");
                std::error_code another_was_faster;
                std::filesystem::rename(other + "/new", kept, another_was_faster);
                std::filesystem::remove_all(other);
            }
        }
        return made;
    }

    void write_access() const {
        std::ofstream(data() + "/pg_hba.conf")
            << "local all all trust\nlocal replication all trust\nhost replication all 127.0.0.1/32 trust\n"
            << "host all all 127.0.0.1/32 "
            << (options_.access == postgres_access::trust ? "trust" : "scram-sha-256") << '\n';
    }

    [[nodiscard]] std::string data() const { return folder_ + "/data"; }

    /// As pg_ctl does: the eighth line of the file that the server keeps.
    [[nodiscard]] bool is_up() const {
        std::ifstream file(data() + "/postmaster.pid");
        std::string line;
        for (int i = 0; i < 8; ++i) {
            if (!std::getline(file, line)) {
                return false;
            }
        }
        return line.starts_with("ready") || line.starts_with("standby");
    }

    void end_by(int number, std::chrono::seconds limit) {
        ::kill(pid_, number);
        if (!poll_until([&] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; }, limit)) {
            kill();
        }
        pid_ = -1;
    }

    /// The children that got it.
    std::vector<pid_t> signal_all(int number) const {
        // The parent first: stopped or dead, it starts no more of them.
        std::vector<pid_t> all = children_of(pid_);
        ::kill(pid_, number);
        for (const pid_t child : children_of(pid_)) {
            if (std::find(all.begin(), all.end(), child) == all.end()) {
                all.push_back(child);
            }
        }
        for (const pid_t child : all) {
            ::kill(child, number);
        }
        return all;
    }

    options options_;
    std::string folder_;
    std::uint16_t port_;
    pid_t pid_ = -1;
};

}  // namespace levee::tests
