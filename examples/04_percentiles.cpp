/// Percentiles of a program's operations: now, over the last minute and since the start; and their exports.
#include <levee/core/random.hpp>
#include <levee/monitor/percentile_monitor.hpp>
#include <levee/monitor/scoped_timer.hpp>

#include <cmath>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct user {
    int id;
};

struct database {  // stands for a real one: one call in 50 is slow, one in 200 fails
    std::optional<user> find(int id) const {
        double sum = 0;
        for (int i = 0; i < (id % 50 == 0 ? 20'000 : 200); ++i) {
            sum += std::sqrt(i);
        }
        if (id % 200 == 7 || sum < 0) {
            throw std::runtime_error("connection reset");
        }
        return user{id};
    }
};

}  // namespace

int main() {
    const database db;
    // README begins
    levee::percentile_monitor monitor;
    auto get_user = monitor.operation("db:get_user");  // once: looks the name up

    auto find_user = [&](int id) {
        return get_user.measure([&] { return db.find(id); });  // often: about 25 ns, and no line is shared
    };
    // README ends

    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            levee::xoshiro256 random(t);
            for (int i = 0; i < 20'000; ++i) {
                levee::scoped_timer timer(monitor.operation("request"));  // a whole scope, by name
                try {
                    find_user(static_cast<int>(uniform_below(random, 1000)));
                } catch (const std::runtime_error&) {
                    timer.fail();
                }
            }
        });
    }
    threads.clear();

    monitor.table(std::cout);

    // README begins
    auto stats = monitor.stats("db:get_user");
    if (stats.last_minute.p99) {
        std::cout << "p99 of the last minute: " << stats.last_minute.p99->count() << " ns, "
                  << *stats.last_minute.error_rate() * 100 << " % failed\n";
    }
    monitor.prometheus(std::cout);  // or json(std::cout), or table(std::cout)
    // README ends
}
