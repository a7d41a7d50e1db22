/// Redis from threads and coroutines: values, pipelines, transactions, scripts, messages; and what happens
/// when the server is stopped and started again.
///
///     08_redis                          starts a server of its own, on a free port, if one is installed
///     08_redis --host db1 --port 6379   uses that one; leaves its keys behind there for a minute
#include <levee/async/runtime.hpp>
#include <levee/redis/client.hpp>
#include <levee/redis/subscriber.hpp>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <iostream>
#include <latch>
#include <optional>
#include <string>
#include <vector>

extern char** environ;

namespace asio = boost::asio;
namespace redis = levee::redis;
using namespace std::chrono_literals;

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

void blocking(redis::client& db) {
    // README begins
    db.set("user:42", "Ada", {.time_to_live = 1min});
    const std::optional<std::string> name = db.get("user:42");

    redis::pipeline visit;  // one write, one answer each
    visit.add("INCR", "visits").add("LPUSH", "log", "42").add("EXPIRE", "log", 60);
    const std::vector<redis::reply> replies = db.execute(visit);

    auto transfer = db.begin();  // MULTI and EXEC, on a connection of its own
    transfer.watch("balance");
    const auto balance = transfer.execute("GET", "balance").optional_text();
    transfer.add("SET", "balance", (balance ? std::stoi(*balance) : 100) - 10, "EX", 60);
    const bool is_done = transfer.commit().has_value();  // empty: somebody else changed the balance
    // README ends
    std::cout << *name << ", visit " << replies[0].integer() << ", " << (is_done ? "paid" : "not paid")
              << '\n';

    const redis::script limit(
        "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end "
        "return n");
    const std::vector<std::string> key{"limit:42"};
    const std::vector<std::string> seconds{"60"};
    db.run(limit, key, seconds);  // unknown to the server: the source goes along once
    std::cout << "the script counted to " << db.run(limit, key, seconds).integer() << '\n';

    std::size_t found = 0;
    auto users = db.scan({.match = "user:*"});
    while (const auto batch = users.next()) {
        found += batch->size();
    }
    std::cout << found << " user\n";
}

asio::awaitable<void> in_a_coroutine(redis::client& db) {
    const std::vector<std::string> keys{"user:42", "user:43"};
    const auto names = co_await db.async_get_many(keys, asio::use_awaitable);
    std::cout << names[0].value_or("nobody") << " and " << names[1].value_or("nobody") << '\n';
    try {
        co_await db.async_execute(redis::command("LPUSH", "user:42", "x"), asio::use_awaitable);
    } catch (const redis::error& e) {
        std::cout << e.what() << '\n';
    }
}

void listening(redis::client& db) {
    std::latch heard(2);
    const redis::subscriber news(db, {.channels = {"news"}, .on_message = [&](const redis::published& one) {
                                          std::cout << "news: " << one.payload << '\n';
                                          heard.count_down();
                                      }});
    if (news.wait_subscribed(5s)) {
        db.publish("news", "it works");
        db.publish("news", "still");
        heard.wait();
    }
}

void stopping(redis::client& db, own_server& server) {
    server.stop();
    try {
        db.execute(redis::command("INCR", "visits").timeout(50ms));
    } catch (const redis::error& e) {
        std::cout << "stopped: " << e.what()
                  << (e.may_have_been_executed() ? ", perhaps executed" : ", not executed") << '\n';
    }
    auto waiting = db.async_get("user:42", asio::use_future);  // waits for a connection, until its deadline
    server.start();
    std::cout << "started: " << waiting.get().value_or("the new server knows nobody") << '\n';
}

int main(int argc, char** argv) {
    CLI::App app("Redis from threads and coroutines");
    std::string host;
    std::uint16_t port = 6379;
    app.add_option("--host", host, "a server to use, instead of one of this program's own");
    app.add_option("--port", port, "its port");
    CLI11_PARSE(app, argc, argv);
    try {
        std::optional<own_server> server;
        if (host.empty()) {
            host = "127.0.0.1";
            port = free_port();
            server.emplace(port);
        }
        levee::runtime runtime;
        redis::client db(
            {.host = host, .port = port, .executor = runtime.get_executor(), .command_timeout = 5s});
        blocking(db);
        asio::co_spawn(runtime.get_executor(), in_a_coroutine(db), asio::use_future).get();
        listening(db);
        if (server) {
            stopping(db, *server);
        }
        const redis::client_stats stats = db.stats();
        std::cout << stats.sent << " commands over " << stats.connects << " connections\n";
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}
