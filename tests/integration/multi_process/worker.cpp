#include "worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <exception>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "levee/core/random.hpp"
#include "node.hpp"
#include "sources.hpp"

namespace levee::tests {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using numbers = node<std::uint64_t>;
using texts = node<std::string>;

/// Waits for what another process is to do; the test ends us if that does not come.
template <class Condition>
void wait_for(Condition condition) {
    while (!condition()) {
        std::this_thread::sleep_for(200us);
    }
}

std::uint64_t draw(splitmix64& random, std::uint64_t below) {
    return random() % below;
}

/// Reads, changes and writes what comes, and records it: a thread and a coroutine.
class random_worker {
public:
    explicit random_worker(const worker_orders& orders)
        : state_(orders.memory),
          log_(state_->histories[orders.slot]),
          source_(std::make_shared<rows>(*state_, &log_, 3ms)),
          here_(source_, orders.redis_port, orders.bus_port, {.ttl = 300ms}),
          seed_(orders.slot + 1) {
        source_->count_unleased_by([this] { return here_.values->stats().unleased_loads; });
    }

    int run() {
        auto coroutine = asio::co_spawn(here_.rt.get_executor(), act_as_coroutine(), asio::use_future);
        splitmix64 random(seed_);
        state_->ready.fetch_add(1);
        while (!state_->is_over.load()) {
            act_once(random);
            std::this_thread::sleep_for(std::chrono::microseconds(200 + draw(random, 800)));
        }
        coroutine.get();
        return 0;
    }

private:
    using acts = std::vector<recorder::act_in_progress>;

    /// What was loaded before is invalid from here on.
    recorder::act_in_progress begin_change(std::uint16_t key) {
        const std::uint64_t value = state_->rows[key].fetch_add(1) + 1;
        return log_.begin(act::change, key, value);
    }

    template <class Chosen>
    acts begin_marking(Chosen chosen) {
        acts all;
        for (std::uint16_t key = 0; key < all_keys + calm_keys; ++key) {
            if (chosen(key)) {
                all.push_back(begin_change(key));
                all.back().mark_by_mark();
            }
        }
        return all;
    }

    static progress of(reach how) {
        return how == reach::acknowledged ? progress::acknowledged : progress::queued;
    }
    static void end(acts& all, reach how) {
        for (auto& each : all) {
            each.end(of(how));
        }
    }
    static void end_read(recorder::act_in_progress& it, const std::optional<std::uint64_t>& value) {
        it.end(value ? progress::done : progress::failed, value.value_or(0));
    }
    static void end_look(recorder::act_in_progress& it, const lookup_result<std::uint64_t>& found) {
        if (found.state == entry_state::fresh) {
            it.become(found.level == cache_level::local ? act::read_local : act::read_remote);
            it.end(progress::done, *found.value);
        }
    }

    void act_once(splitmix64& random) {
        auto& values = *here_.values;
        const std::uint64_t what = draw(random, 1000);
        const bool is_calm = what < 850 && draw(random, 4) == 0;
        const auto key =
            static_cast<std::uint16_t>(is_calm ? all_keys + draw(random, calm_keys) : draw(random, all_keys));
        const std::string text = text_of(key);
        state_->requests.fetch_add(1);
        try {
            if (what < 400) {
                auto it = log_.begin(act::read_local, key);
                end_read(it, values.try_get(text));
            } else if (what < 600) {
                auto it = log_.begin(act::read, key);
                end_look(it, values.lookup(text));
            } else if (what < 850) {
                auto it = log_.begin(act::read, key);
                end_read(it, values.get(text));
            } else if (what < 930) {
                const std::uint16_t keys[] = {key, static_cast<std::uint16_t>((key + 1) % all_keys),
                                              static_cast<std::uint16_t>((key + 5) % all_keys)};
                acts all;
                std::vector<std::string> names;
                for (const std::uint16_t each : keys) {
                    all.push_back(log_.begin(act::read, each));
                    names.push_back(text_of(each));
                }
                const auto found = values.get_many(names);
                for (std::size_t i = 0; i < all.size(); ++i) {
                    end_read(all[i], found[i]);
                }
            } else {
                change_something(random, key, text, what);
            }
        } catch (const std::exception& e) {
            report(e);
        }
    }

    void change_something(splitmix64& random, std::uint16_t key, const std::string& text,
                          std::uint64_t what) {
        auto& values = *here_.values;
        auto& all_of_it = values.underlying();
        if (what < 955) {
            auto it = begin_change(key);
            it.end(of(values.invalidate(text)));
        } else if (what < 970 && key < first_tagged) {
            const std::uint64_t next = state_->rows[key].load() + 1;
            auto it = log_.begin(act::change, key, next);
            try {
                it.end(of(values.put(text, next)));
            } catch (const error& e) {
                it.end(progress::failed);
                if (e.code() != errc::invalid_data) {  // else another was first
                    throw;
                }
            }
        } else if (what < 975) {
            const std::uint64_t parity = draw(random, 2);
            auto all =
                begin_marking([&](auto k) { return k >= first_tagged && k < all_keys && k % 2 == parity; });
            end(all, all_of_it.invalidate_tag("t" + std::to_string(parity)));
        } else if (what < 980) {
            auto all = begin_marking([&](auto k) { return group_of(k) == group_of(key); });
            end(all, all_of_it.invalidate_prefix("g" + std::to_string(group_of(key))));
        } else if (what < 982) {
            auto all = begin_marking([](auto) { return true; });
            end(all, values.underlying().clear());
        } else if (what < 990) {
            auto it = begin_change(key);
            it.end(of(all_of_it.expire(text)));
        } else {
            const auto other = static_cast<std::uint16_t>((key + 1) % all_keys);
            auto changes = all_of_it.defer();
            acts all;
            all.push_back(begin_change(key));
            all.push_back(begin_change(other));
            changes.invalidate(text);
            changes.expire(text_of(other));
            end(all, changes.commit());
        }
    }

    asio::awaitable<void> act_as_coroutine() {
        const auto time = async::steady_scheduler(here_.rt.get_executor());
        splitmix64 random(seed_ * 1000);
        auto& values = *here_.values;
        while (!state_->is_over.load()) {
            const auto key = static_cast<std::uint16_t>(draw(random, all_keys));
            const std::string text = text_of(key);
            const std::uint64_t what = draw(random, 1000);
            state_->requests.fetch_add(1);
            try {
                if (what < 400) {
                    auto it = log_.begin(act::read, key);
                    const auto value = co_await values.async_get(text, asio::use_awaitable);
                    end_read(it, value);
                } else if (what < 600) {
                    auto it = log_.begin(act::read, key);
                    const auto found = co_await values.underlying().async_lookup(text, asio::use_awaitable);
                    end_look(it, found);
                } else if (what < 950) {
                    const auto other = static_cast<std::uint16_t>((key + 7) % all_keys);
                    auto first = log_.begin(act::read, key);
                    auto second = log_.begin(act::read, other);
                    std::vector<std::string> names{text, text_of(other)};
                    const auto found = co_await values.async_get_many(std::move(names), asio::use_awaitable);
                    end_read(first, found[0]);
                    end_read(second, found[1]);
                } else if (what < 985) {
                    auto it = begin_change(key);
                    const reach how =
                        co_await values.underlying().async_invalidate(text, asio::use_awaitable);
                    it.end(of(how));
                } else {
                    auto changes = values.underlying().defer();
                    acts all;
                    all.push_back(begin_change(key));
                    changes.invalidate(text);
                    const reach how = co_await changes.async_commit(asio::use_awaitable);
                    end(all, how);
                }
            } catch (const std::exception& e) {
                report(e);
            }
            const time_point until = time->now() + 500us;
            co_await time->sleep_until(until);
        }
    }

    void report(const std::exception& e) {
        if (state_->failures.fetch_add(1) < 5) {
            std::fprintf(stderr, "worker %u: %s\n", static_cast<unsigned>(seed_ - 1), e.what());
        }
    }

    shared_memory state_;
    recorder log_;
    std::shared_ptr<rows> source_;
    numbers here_;
    std::uint64_t seed_;
};

/// Asks for one key from 8 threads and 248 coroutines at once, in each odd round.
int stampede(const worker_orders& orders) {
    shared_memory state(orders.memory);
    texts here(std::make_shared<slow_table>(*state, orders.folder), orders.redis_port, orders.bus_port, {});
    static_cast<void>(here.bus->wait_subscribed(10s));
    state->ready.fetch_add(1);
    const auto ask_once = [&](const std::optional<std::string>& value) {
        state->requests.fetch_add(1);
        state->failures.fetch_add(value == "slow" ? 0 : 1);
    };
    for (std::uint32_t round = 1;; ++round) {
        wait_for([&] { return state->round.load() >= round || state->is_over.load(); });
        if (state->is_over.load()) {
            return 0;
        }
        const std::string key = "k" + std::to_string((round + 1) / 2);
        if (round % 2 == 1) {
            static_cast<void>(here.values->lookup(key));  // L1 has it, and it expires there
        } else {
            const auto as_coroutine = [&]() -> asio::awaitable<void> {
                std::optional<std::string> value;
                try {
                    value = co_await here.values->async_get(key, asio::use_awaitable);
                } catch (const std::exception& e) {
                    std::fprintf(stderr, "stampede: %s\n", e.what());
                }
                ask_once(value);
            };
            const auto as_thread = [&] {
                std::optional<std::string> value;
                try {
                    value = here.values->get(key);
                } catch (const std::exception& e) {
                    std::fprintf(stderr, "stampede: %s\n", e.what());
                }
                ask_once(value);
            };
            std::vector<std::jthread> threads;
            std::vector<std::future<void>> coroutines;
            for (int i = 0; i < 8; ++i) {
                threads.emplace_back(as_thread);
            }
            for (int i = 0; i < 248; ++i) {
                coroutines.push_back(asio::co_spawn(here.rt.get_executor(), as_coroutine, asio::use_future));
            }
            for (auto& each : coroutines) {
                each.get();
            }
        }
        state->done.fetch_add(1);
    }
}

/// Reads 50 keys from two threads until it is over; every failure counts.
int serve(const worker_orders& orders) {
    shared_memory state(orders.memory);
    numbers here(std::make_shared<rows>(*state, nullptr, 3ms), orders.redis_port, orders.bus_port,
                 {.ttl = 500ms});
    state->ready.fetch_add(1);
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            splitmix64 random(orders.slot * 10 + t + 1);
            while (!state->is_over.load()) {
                const auto key = static_cast<std::uint16_t>(draw(random, 50));
                try {
                    if (!here.values->get("g:" + std::to_string(key))) {
                        state->failures.fetch_add(1);
                    }
                } catch (const std::exception& e) {
                    if (state->failures.fetch_add(1) < 5) {
                        std::fprintf(stderr, "worker: %s\n", e.what());
                    }
                }
                state->requests.fetch_add(1);  // answered
                std::this_thread::sleep_for(500us);
            }
        });
    }
    return 0;
}

/// Keeps key 0 in its L1 and says when it is not fresh any more: once each round, and as a history.
int watch(const worker_orders& orders) {
    shared_memory state(orders.memory);
    recorder log(state->histories[orders.slot]);
    numbers here(std::make_shared<rows>(*state, nullptr, 0ms), orders.redis_port, orders.bus_port,
                 {.ttl = 1h});
    static_cast<void>(here.bus->wait_subscribed(10s));
    const std::string key = text_of(0);
    state->ready.fetch_add(1);
    std::uint32_t seen_round = 0;
    std::optional<std::uint64_t> awaited;  // it was told that we have this value
    while (!state->is_over.load()) {
        auto it = log.begin(act::read_local, 0);
        const auto value = here.values->try_get(key);
        it.end(value ? progress::done : progress::failed, value.value_or(0));
        if (awaited && value != awaited) {
            state->seen_at.store(recorder::now().time_since_epoch().count());
            awaited.reset();
            state->done.store(seen_round);
        }
        if (!awaited && state->round.load() > seen_round) {
            awaited = here.values->get(key);
            if (here.values->try_get(key) == awaited) {
                seen_round = state->round.load();
                state->ready.store(seen_round + 1);
            } else {
                awaited.reset();
            }
        }
        std::this_thread::sleep_for(20us);
    }
    return 0;
}

}  // namespace

int work(const worker_orders& orders) {
    if (orders.part == "random") {
        return random_worker(orders).run();
    }
    if (orders.part == "stampede") {
        return stampede(orders);
    }
    if (orders.part == "serve") {
        return serve(orders);
    }
    return orders.part == "watch" ? watch(orders) : 3;
}

}  // namespace levee::tests
