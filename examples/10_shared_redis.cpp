/// Caches over one Redis, as several processes would have them: a load by one serves all, a change shows
/// everywhere, and a Redis that is gone costs loads, not requests.
///
///     10_shared_redis                      starts a server of its own, on a free port, if one is installed
///     10_shared_redis --redis db1:6379     uses that one, as may others of these programs at the same time
#include <levee/async/runtime.hpp>
#include <levee/cache/cache.hpp>
#include <levee/redis/backplane.hpp>
#include <levee/redis/store.hpp>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace asio = boost::asio;
namespace redis = levee::redis;
using namespace std::chrono_literals;

namespace {

/// A redis-server of this program's own.
class own_server {
public:
    explicit own_server(std::uint16_t port) : port_(std::to_string(port)) { start(); }
    ~own_server() { stop(); }
    own_server(const own_server&) = delete;
    own_server& operator=(const own_server&) = delete;

    void start() {
        // Debian's redis-tools has the server's program under another name; what counts is how it is called.
        const char* const program = ::access("/usr/bin/redis-server", X_OK) == 0 ? "/usr/bin/redis-server"
                                                                                 : "/usr/bin/redis-check-rdb";
        std::vector<std::string> words{"redis-server", "--port",    port_,          "--bind", "127.0.0.1",
                                       "--save",       "",          "--appendonly", "no",     "--loglevel",
                                       "warning",      "--logfile", "/dev/null",    "--dir",  "/tmp"};
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        if (::posix_spawn(&process_, program, nullptr, nullptr, argv.data(), environ) != 0) {
            throw std::runtime_error("no redis-server is installed: apt-get install redis-tools");
        }
    }
    void stop() noexcept {
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            ::waitpid(process_, nullptr, 0);
            process_ = -1;
        }
    }

private:
    std::string port_;
    pid_t process_ = -1;
};

std::uint16_t free_port() {
    asio::io_context context;
    return asio::ip::tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

/// The system of record.
class database {
public:
    std::optional<std::string> find(const std::string& id) {
        std::this_thread::sleep_for(20ms);
        std::printf("                the database is asked for %s\n", id.c_str());
        return id == "42" ? std::optional<std::string>(name_) : std::nullopt;
    }
    void rename(std::string name) { name_ = std::move(name); }

private:
    std::string name_ = "lamp";
};

}  // namespace

int main(int argc, char** argv) {
    std::string address;
    CLI::App arguments("Caches over one Redis");
    arguments.add_option("--redis", address, "host:port; without it, a server of its own");
    CLI11_PARSE(arguments, argc, argv);
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::optional<own_server> server;
    if (const auto colon = address.rfind(':'); colon != std::string::npos) {
        host = address.substr(0, colon);
        port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
    } else {
        port = free_port();
        server.emplace(port);
    }

    levee::runtime runtime(2);
    database db;

    // README begins
    const auto node = [&] {
        const auto connection = std::make_shared<redis::client>(
            redis::client_options{.host = host, .port = port, .executor = runtime.get_executor()});
        return std::make_unique<levee::cache<std::string, std::string>>(
            levee::cache_options<std::string, std::string>{
                .name = "products",  // the namespace: the same in each process
                .local = {.max_entries = 10'000},
                .remote = std::make_shared<redis::store>(connection),
                .backplane = std::make_shared<redis::backplane>(connection),
                .executor = runtime.get_executor(),
                .blocking_executor = runtime.blocking_executor(),
                .defaults = {.ttl = 10min, .stale_if_error = 1h}});
    };
    // README ends

    const auto one = node();
    const auto two = node();
    const auto get = [&](const char* who, auto& of) {
        const auto began = std::chrono::steady_clock::now();
        const auto name = of.get_or_load("42", [&](const std::string& id) { return db.find(id); });
        const auto took =
            std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
        std::printf("  %s: %-8s %7lld us\n", who, name ? name->c_str() : "nothing",
                    static_cast<long long>(took.count()));
    };

    std::puts("One load serves both; the second time neither asks anybody:");
    one->invalidate("42");  // what an earlier run has left in Redis
    get("one", *one);
    get("two", *two);
    get("one", *one);
    get("two", *two);

    std::puts("A change, told by one:");
    db.rename("lantern");
    one->invalidate("42");
    while (two->try_get("42")) {  // some hundred microseconds
        std::this_thread::yield();
    }
    get("two", *two);
    get("one", *one);

    if (server) {
        std::puts("Redis is killed; another change:");
        server->stop();
        db.rename("torch");
        const auto reached = one->invalidate("42");
        std::printf("  one: %s\n", reached == levee::reach::queued ? "queued" : "acknowledged");
        get("one", *one);
        get("two", *two);  // what it has may be out of date: for ping interval and timeout it trusts it
        std::puts("Redis is started again; what they may have missed they ask about:");
        const auto gaps = two->stats().gaps;
        server->start();
        for (int i = 0; i < 300 && (one->stats().queued != 0 || two->stats().gaps == gaps); ++i) {
            std::this_thread::sleep_for(100ms);
        }
        get("two", *two);
        get("one", *one);
    }
    const auto of_two = two->stats();
    std::printf("two: %llu loads, %llu from Redis, %llu gaps in its messages\n",
                static_cast<unsigned long long>(of_two.loads),
                static_cast<unsigned long long>(of_two.remote_hits),
                static_cast<unsigned long long>(of_two.gaps));
}
