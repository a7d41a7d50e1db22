/// Requests spread over replicas: by measured latency, around the one that fails, within a deadline.
#include <levee/balance/load_balancer.hpp>
#include <levee/core/error.hpp>
#include <levee/route/execute.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string ask(const levee::endpoint& replica) {  // stands for a call over the network
    if (replica.host == "10.0.0.3") {
        throw levee::error(levee::errc::unavailable, "connection refused");
    }
    const auto answered = std::chrono::steady_clock::now() + 200us;
    while (std::chrono::steady_clock::now() < answered) {
    }
    return "answer of " + replica.host;
}

}  // namespace

int main() {
    // README begins
    levee::endpoint_set replicas({{.host = "10.0.0.1", .port = 5432},
                                  {.host = "10.0.0.2", .port = 5432},
                                  {.host = "10.0.0.3", .port = 5432}});
    auto budget = std::make_shared<levee::retry_budget>();  // retries: at most 20 % of the requests
    levee::load_balancer balancer(replicas, levee::least_response_time{}, {.retry_budget = budget});

    const levee::route::execute_policy policy{
        .deadline = 500ms, .attempt_timeout = 200ms, .is_idempotent = true, .budget = budget};
    auto request = [&] {
        return levee::route::execute(
            balancer,
            [](levee::route::attempt& at) { return ask(at.endpoint()); },  // throws: the next one is tried
            policy);
    };
    // README ends

    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 250; ++i) {
                static_cast<void>(request());
            }
        });
    }
    threads.clear();
    for (const levee::endpoint_status& replica : balancer.status()) {
        std::cout << replica.id << ": " << replica.picks << " picks, " << replica.failures << " failures, "
                  << (replica.why_not == levee::ineligibility::none ? "in use" : to_string(replica.why_not))
                  << '\n';
    }
}
