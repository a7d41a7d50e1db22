#include "balance/scenarios.hpp"

#include <utility>

namespace levee::lab {

using namespace testing;
using namespace std::chrono_literals;

namespace {

using servers = std::vector<simulated_server>;

// With lasting slowness counted, other faults not.
double capacity(const servers& all) {
    double sum = 0.0;
    for (const simulated_server& each : all) {
        double own = each.capacity();
        for (const server_fault& fault : each.faults) {
            own /= fault.what == server_fault::kind::slow ? fault.factor : 1.0;
        }
        sum += own;
    }
    return sum;
}

servers slowed(std::size_t count, std::size_t slow, double factor) {
    servers all(count);
    for (std::size_t i = 0; i < slow; ++i) {
        all[i].faults = {server_fault::slow(factor)};
    }
    return all;
}

}  // namespace

std::vector<balance_scenario> balance_scenarios(duration length, std::uint64_t seed) {
    std::vector<balance_scenario> all;
    const auto add = [&](std::string name, std::string title, servers with,
                         double load) -> balance_scenario& {
        balance_scenario made{.name = std::move(name), .title = std::move(title), .options = {}};
        made.options.load = arrivals::poisson(load * capacity(with));
        made.options.servers = std::move(with);
        made.options.length = length;
        made.options.seed = seed;
        return all.emplace_back(std::move(made));
    };

    add("identical", "10 identical, 70 %", servers(10), 0.7);
    add("one_slow", "1 of 10 is 10 x slow, 60 %", slowed(10, 1, 10.0), 0.6).faulty = 0;
    add("two_slow", "2 of 4 are 6 x slow, 50 %", slowed(4, 2, 6.0), 0.5);
    add("half_slow", "5 of 10 are 2 x slow, 75 %", slowed(10, 5, 2.0), 0.75);

    auto& failing = add("failing", "1 of 10 fails in 0.1 ms, 54 % (60 % of the others)", servers(10), 0.54);
    failing.options.servers[0].faults = {server_fault::fail(100us)};
    failing.faulty = 0;

    // Service of 10 ms, or the requests would be too many.
    auto& many = add("many", "100 clients x 100 servers of 10 ms, 70 %",
                     servers(100, {.service = service_time::exponential(10ms)}), 0.7);
    many.options.clients = 100;

    auto& flapping =
        add("flapping", "1 of 10 fails in 0.1 ms for half of each fifth of the time, 50 %", servers(10), 0.5);
    flapping.options.servers[0].faults = {
        server_fault::fail(100us, length / 10, length / 10).every(length / 5)};
    flapping.faulty = 0;

    // The first one is alone for a tenth of the time: with full queues it would be crushed.
    for (const bool is_over : {false, true}) {
        auto& outage =
            add(is_over ? "after_outage" : "outage",
                is_over ? "the same, from when all have been back for 5 % of the time"
                        : "all 10 down for 10 %, one back 10 % before the others, 50 %; timeout 1 s",
                servers(10, {.max_queue = 200}), 0.5);
        for (std::size_t i = 0; i < 10; ++i) {
            outage.options.servers[i].faults = {
                server_fault::fail(100us, length / 5, i == 0 ? length / 10 : length / 5)};
        }
        outage.options.timeout = 1s;
        outage.options.warm_up = is_over ? length * 45 / 100 : duration::zero();
        outage.faulty = 0;
    }

    auto& joining = add("joining", "the 10th joins in the middle, cold: 5 x slow, warm after a tenth; 63 %",
                        servers(10), 0.63);
    joining.options.servers[9].joins = length / 2;
    joining.options.servers[9].faults = {server_fault::cold_start(5.0, length / 2, length / 10)};
    joining.faulty = 9;
    return all;
}

}  // namespace levee::lab
