/// One process' cache over the shared Redis, as the tests use it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "levee/async/runtime.hpp"
#include "levee/cache/write_through.hpp"
#include "levee/redis/backplane.hpp"
#include "levee/redis/store.hpp"

namespace levee::tests {

inline constexpr duration ping_interval = std::chrono::milliseconds(300);
inline constexpr duration ping_timeout = std::chrono::milliseconds(200);
/// G3's bound, and what the coarse clock may be behind.
inline constexpr duration link_bound = ping_interval + ping_timeout + std::chrono::milliseconds(10);
inline constexpr duration marks_interval = std::chrono::milliseconds(200);
inline constexpr duration lease_time = std::chrono::seconds(2);

/// Everything a process needs; the pub/sub link goes to a port of its own, so that it can be cut alone.
template <class V>
class node {
public:
    using cache_type = write_through<std::string, V>;

    node(std::shared_ptr<source<std::string, V>> from, unsigned redis_port, unsigned bus_port,
         const entry_options& lives)
        : store(std::make_shared<redis::store>(connect(redis_port))),
          bus(std::make_shared<redis::backplane>(
              connect(bus_port), redis::backplane_options{.ping_interval = tests::ping_interval,
                                                          .ping_timeout = tests::ping_timeout})) {
        cache_options<std::string, V> options;
        options.name = "m";
        options.local.max_entries = 1000;
        options.remote = store;
        options.backplane = bus;
        options.remote_options.lease = lease_time;
        options.remote_options.marks_interval = tests::marks_interval;
        options.remote_options.breaker.open_for = std::chrono::milliseconds(300);
        options.executor = rt.get_executor();
        options.blocking_executor = rt.blocking_executor();
        options.defaults = lives;
        values = std::make_unique<cache_type>(std::move(from), std::move(options));
    }

    runtime rt{2, 8};
    std::shared_ptr<redis::store> store;
    std::shared_ptr<redis::backplane> bus;
    std::unique_ptr<cache_type> values;

private:
    std::shared_ptr<redis::client> connect(unsigned port) {
        redis::client_options options;
        options.port = static_cast<std::uint16_t>(port);
        options.executor = rt.get_executor();
        options.reconnect.initial = std::chrono::milliseconds(10);
        options.reconnect.max = std::chrono::milliseconds(200);
        return std::make_shared<redis::client>(options);
    }
};

}  // namespace levee::tests
