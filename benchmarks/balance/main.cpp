/// balance: what would each strategy do in these situations?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <levee/balance/make_strategy.hpp>
#include <levee/testing/load_balancer_picker.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "balance/reference_pickers.hpp"
#include "balance/scenarios.hpp"

namespace {

using namespace levee::testing;
namespace lab = levee::lab;

constexpr int failed = 1;
constexpr int wrong_usage = 2;

// The balancer that one gets without asking, and its strategy without what the balancer adds.
const std::string default_strategy = "least_response_time";
const std::string alone = " alone";

struct arguments {
    std::vector<std::string> scenarios, strategies;
    double seconds = 20.0;
    std::uint64_t seed = 1;
    std::uint64_t speed = 0;
    bool by_server = false;
};

std::unique_ptr<picker> make_picker(const std::string& name, const balance_simulation& world,
                                    std::size_t client) {
    if (auto reference = lab::make_reference_picker(name, world.options().seed * 1000 + client)) {
        return reference;
    }
    levee::load_balancer_options options;
    std::string strategy = name;
    if (name.ends_with(alone)) {
        strategy.resize(name.size() - alone.size());
        options.outlier.reset();
        options.panic_threshold = 0.0;
    }
    return std::make_unique<load_balancer_picker>(world, client, levee::make_strategy(strategy), options);
}

std::vector<std::string> all_strategies() {
    std::vector<std::string> names = {default_strategy, default_strategy + alone};
    for (const std::string_view name : levee::strategy_names()) {
        if (name != default_strategy) {
            names.emplace_back(name);
        }
    }
    for (const std::string_view name : lab::reference_picker_names()) {
        names.emplace_back(name);
    }
    return names;
}

void run_scenario(const lab::balance_scenario& scenario, const std::vector<std::string>& strategies,
                  bool by_server) {
    std::vector<balance_report> reports;
    reports.reserve(strategies.size());
    std::vector<balance_row> rows;
    for (const std::string& name : strategies) {
        balance_simulation world(scenario.options);
        reports.push_back(world.run([&](std::size_t client) { return make_picker(name, world, client); }));
        rows.push_back({name, &reports.back()});
    }
    std::cout << '\n' << scenario.title << '\n';
    print_table(std::cout, rows);

    double best = reports.front().milliseconds_at(99);
    for (const balance_report& report : reports) {
        best = std::min(best, report.milliseconds_at(99));
    }
    std::printf("%s: p99 is %.2f x the best", strategies.front().c_str(),
                reports.front().milliseconds_at(99) / best);
    if (scenario.faulty < scenario.options.servers.size()) {
        std::printf("; share of server %zu:", scenario.faulty);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::printf("%s %s %.2f %%", i == 0 ? "" : ",", rows[i].name.c_str(),
                        100.0 * reports[i].servers[scenario.faulty].share);
        }
    }
    std::printf("\n");
    std::fflush(stdout);
    if (by_server) {
        for (const balance_row& row : rows) {
            std::cout << row.name << '\n' << *row.report;
        }
    }
}

void run_speed(std::uint64_t requests) {
    balance_simulation_options options;
    const double load = 0.7 * 10.0 * options.servers[0].capacity();
    options.load = arrivals::poisson(load);
    options.length =
        levee::duration(static_cast<levee::duration::rep>(static_cast<double>(requests) / load * 1e9));
    balance_simulation world(options);
    const auto begun = std::chrono::steady_clock::now();
    const balance_report report =
        world.run([&](std::size_t client) { return make_picker(default_strategy, world, client); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf("\n%llu requests simulated by %s in %.1f s\n",
                static_cast<unsigned long long>(report.requests.sent), default_strategy.c_str(),
                took.count());
}

void run(const arguments& from) {
    const auto length = levee::duration(static_cast<levee::duration::rep>(from.seconds * 1e9));
    const auto scenarios = lab::balance_scenarios(length, from.seed);
    for (const std::string& name : from.scenarios) {
        if (std::none_of(scenarios.begin(), scenarios.end(), [&](const auto& s) { return s.name == name; })) {
            std::string known;
            for (const auto& each : scenarios) {
                known += ' ' + each.name;
            }
            throw std::invalid_argument("there is no scenario " + name + "; there are:" + known);
        }
    }
    const auto strategies = from.strategies.empty() ? all_strategies() : from.strategies;
    for (const lab::balance_scenario& each : scenarios) {
        if (from.scenarios.empty() ||
            std::find(from.scenarios.begin(), from.scenarios.end(), each.name) != from.scenarios.end()) {
            run_scenario(each, strategies, from.by_server);
        }
    }
    if (from.speed > 0) {
        run_speed(from.speed);
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        CLI::App app("Simulates load balancing strategies in virtual time and prints what they did.");
        arguments from;
        app.add_option("--scenario", from.scenarios, "Only these, as identical,failing")->delimiter(',');
        app.add_option("--strategy", from.strategies,
                       "Only these, as levee::make_strategy takes them; ' alone' behind a name: without "
                       "outlier detection and panic. May be given again. The first is compared to the best");
        app.add_option("--seconds", from.seconds, "Simulated seconds of each")
            ->capture_default_str()
            ->check(CLI::Range(0.1, 1e5));
        app.add_option("--seed", from.seed, "Seed of arrivals and work")->capture_default_str();
        app.add_option("--speed", from.speed, "Time a simulation of so many requests as well");
        app.add_flag("--by-server", from.by_server, "Print each server's figures, too");
        app.footer("Exit status: 0 done, 1 something failed, 2 wrong usage.");
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& problem) {
            return app.exit(problem) == 0 ? 0 : wrong_usage;
        }
        run(from);
        return 0;
    } catch (const std::invalid_argument& problem) {
        std::cerr << "balance: " << problem.what() << '\n';
        return wrong_usage;
    } catch (const std::exception& problem) {
        std::cerr << "balance: " << problem.what() << '\n';
        return failed;
    }
}
