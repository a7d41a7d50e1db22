/// Four echo servers on this machine, some of them ill for a while, behind a load balancer: a live table
/// shows where the requests go. Try --strategy round_robin, power_of_two, least_response_time, …
#include <levee/async/runtime.hpp>
#include <levee/async/scheduler.hpp>
#include <levee/balance/load_balancer.hpp>
#include <levee/balance/make_strategy.hpp>
#include <levee/monitor/percentile_monitor.hpp>
#include <levee/route/execute.hpp>
#include <levee/route/health_checker.hpp>

#include <CLI/CLI.hpp>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <future>
#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace route = levee::route;
using asio::ip::tcp;
using namespace std::chrono_literals;
using levee::duration;
using levee::time_point;

namespace {

constexpr std::size_t message_size = 16;

/// What a server does, by the time since the start: how long it takes, and whether it is well.
struct backend {
    std::string id;
    duration latency;
    duration ill_from{}, ill_until{};
    enum { slow, fails, hangs } illness = slow;

    [[nodiscard]] bool is_ill(duration now) const { return now >= ill_from && now < ill_until; }
};

asio::awaitable<void> answer(tcp::socket peer, const backend& self, time_point start,
                             std::shared_ptr<levee::async::scheduler> time) {
    std::string message(message_size, '\0');
    co_await asio::async_read(peer, asio::buffer(message), asio::use_awaitable);
    const bool is_ill = self.is_ill(time->now() - start);
    if (is_ill && self.illness == backend::fails) {
        co_return;  // closes the connection at once: the fastest answer of all
    }
    if (is_ill && self.illness == backend::hangs) {
        co_await time->sleep_until(start + self.ill_until);
    }
    co_await time->sleep_until(time->now() + self.latency * (is_ill ? 10 : 1));
    co_await asio::async_write(peer, asio::buffer(message), asio::use_awaitable);
}

asio::awaitable<void> serve(tcp::acceptor acceptor, const backend& self, time_point start,
                            std::shared_ptr<levee::async::scheduler> time) {
    for (;;) {
        tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
        asio::co_spawn(acceptor.get_executor(), answer(std::move(peer), self, start, time), asio::detached);
    }
}

/// One request: what route::async_execute runs, on one endpoint or on several after each other.
asio::awaitable<std::string> echo(route::attempt& at, std::string message) {
    tcp::socket socket(co_await asio::this_coro::executor);
    const tcp::endpoint there(asio::ip::make_address(at.endpoint().host), at.endpoint().port);
    co_await socket.async_connect(there, asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(message), asio::use_awaitable);
    co_await asio::async_read(socket, asio::buffer(message), asio::use_awaitable);
    co_return message;
}

struct totals {
    std::atomic<std::uint64_t> requests{0}, attempts{0}, failures{0};
};

asio::awaitable<void> send_requests(levee::load_balancer& balancer, const route::execute_policy& policy,
                                    time_point end, totals& sums) {
    const auto one = [&sums](route::attempt& at) {
        ++sums.attempts;
        return echo(at, std::string(message_size, 'x'));
    };
    const auto time = policy.scheduler;
    while (time->now() < end) {
        ++sums.requests;
        try {
            co_await route::async_execute(balancer, one, policy, asio::use_awaitable);
        } catch (const levee::error& problem) {
            if (sums.failures++ == 0) {
                std::printf("the first request that failed: %s\n", problem.what());
            }
        }
        co_await time->sleep_until(time->now() + 2ms);
    }
}

double milliseconds(const std::optional<duration>& value) {
    return value ? std::chrono::duration<double, std::milli>(*value).count() : 0.0;
}

/// Shares and percentiles since the last print.
void print(const levee::load_balancer& balancer, const levee::percentile_monitor& monitor,
           std::vector<std::uint64_t>& picks_before, double seconds) {
    const auto endpoints = balancer.status();
    picks_before.resize(endpoints.size());
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        all += endpoints[i].picks - picks_before[i];
    }
    std::printf("\n%4.1f s   share %%    picks  failed  in flight   p50 ms   p99 ms  state\n", seconds);
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const levee::endpoint_status& each = endpoints[i];
        const std::uint64_t picks = each.picks - picks_before[i];
        picks_before[i] = each.picks;
        const auto latency = monitor.stats("echo:" + each.id);
        std::printf(
            "%-8s %8.1f %8llu %7llu %10llu %8.1f %8.1f  %s\n", each.id.c_str(),
            all == 0 ? 0.0 : 100.0 * static_cast<double>(picks) / static_cast<double>(all),
            static_cast<unsigned long long>(picks), static_cast<unsigned long long>(each.failures),
            static_cast<unsigned long long>(each.in_flight), milliseconds(latency.p50),
            milliseconds(latency.p99),
            each.why_not == levee::ineligibility::none ? "ok" : std::string(to_string(each.why_not)).c_str());
    }
    std::fflush(stdout);
}

void run(const std::string& strategy, double seconds, unsigned clients) {
    const auto length = duration(static_cast<duration::rep>(seconds * 1e9));
    const std::vector<backend> backends = {
        {.id = "steady", .latency = 2ms},
        {.id = "slow",
         .latency = 2ms,
         .ill_from = length / 6,
         .ill_until = length / 2,
         .illness = backend::slow},
        {.id = "failing",
         .latency = 2ms,
         .ill_from = length / 3,
         .ill_until = length * 2 / 3,
         .illness = backend::fails},
        {.id = "hanging",
         .latency = 3ms,
         .ill_from = length * 3 / 5,
         .ill_until = length * 4 / 5,
         .illness = backend::hangs},
    };
    totals sums;
    levee::percentile_monitor monitor;
    levee::runtime runtime(2);
    const auto time = levee::async::steady_scheduler(runtime.get_executor());
    const time_point start = time->now();

    std::vector<levee::endpoint> places;
    for (const backend& each : backends) {
        tcp::acceptor acceptor(runtime.get_executor(), {asio::ip::address_v4::loopback(), 0});
        places.push_back({.id = each.id, .host = "127.0.0.1", .port = acceptor.local_endpoint().port()});
        asio::co_spawn(runtime.get_executor(), serve(std::move(acceptor), each, start, time), asio::detached);
    }

    const levee::endpoint_set endpoints(places);
    const auto budget = std::make_shared<levee::retry_budget>();
    levee::load_balancer balancer(endpoints, levee::make_strategy(strategy),
                                  {.outlier = levee::outlier_options{.base_ejection = 1s},
                                   .monitor = &monitor,
                                   .name = "echo",
                                   .retry_budget = budget,
                                   .clock = &levee::clock::precise()});
    const route::health_checker checker(endpoints, route::tcp_probe(), {.interval = 500ms}, time);
    const route::execute_policy policy{
        .deadline = 1s, .attempt_timeout = 100ms, .is_idempotent = true, .budget = budget, .scheduler = time};

    std::vector<std::future<void>> running;
    for (unsigned i = 0; i < clients; ++i) {
        running.push_back(asio::co_spawn(
            runtime.get_executor(), send_requests(balancer, policy, start + length, sums), asio::use_future));
    }
    std::vector<std::uint64_t> picks_before;
    const duration step = std::max<duration>(length / 6, 100ms);
    for (std::future<void>& each : running) {
        while (each.wait_for(step) == std::future_status::timeout) {
            print(balancer, monitor, picks_before,
                  std::chrono::duration<double>(time->now() - start).count());
        }
        each.get();
    }
    std::printf("\n%s: %llu requests, %llu attempts, %llu requests failed\n", strategy.c_str(),
                static_cast<unsigned long long>(sums.requests),
                static_cast<unsigned long long>(sums.attempts),
                static_cast<unsigned long long>(sums.failures));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Balances requests over four local echo servers, three of which fall ill one after another.");
    std::string strategy = "least_response_time";
    double seconds = 6.0;
    unsigned clients = 8;
    app.add_option("--strategy", strategy, "As levee::make_strategy takes it, e.g. power_of_two:choices=3")
        ->capture_default_str();
    app.add_option("--seconds", seconds, "How long")->capture_default_str()->check(CLI::Range(0.5, 600.0));
    app.add_option("--clients", clients, "Requests at the same time")
        ->capture_default_str()
        ->check(CLI::Range(1, 200));
    CLI11_PARSE(app, argc, argv);
    try {
        run(strategy, seconds, clients);
        return 0;
    } catch (const std::exception& problem) {
        std::cerr << "balanced_echo: " << problem.what() << '\n';
        return 1;
    }
}
