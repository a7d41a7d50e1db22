#include "coherence_world.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "levee/cache/write_through.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"
#include "levee/testing/chaos_backplane.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/simulation.hpp"
#include "recording_store.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using cache_detail::defences_off;

constexpr std::size_t node_count = schedule::nodes;
constexpr std::size_t key_count = schedule::keys;
constexpr duration link_bound = 5s;       // ping interval and timeout
constexpr duration longest_load = 400ms;  // asking the store, waiting for others, and reading the source
constexpr std::uint64_t never = ~std::uint64_t{0};

using moment = std::uint64_t;  // the order of what happened

// Where a value came from. Values are numbers of these.
struct origin {
    bool is_put = false;  // a bare put: no order against other processes
    std::size_t node = 0, key = 0;
    moment began = 0;
    moment landed = never;  // a put's, in the store
};

// Something that makes older values of a key invalid.
struct ending {
    std::size_t node = 0, key = 0;
    bool is_in_store = true;  // it drops keys in the store, as marks do not
    bool is_put = false;
    std::uint64_t value = 0;     // a write-through's
    std::uint64_t mark = never;  // a tag's
    moment began = 0, returned = never, erased = never;
    bool is_acknowledged = false, has_ended = false;
    time_point returned_at{};
    std::array<moment, node_count> heard{never, never, never};
};

struct world_of_nodes {
    struct node {
        std::shared_ptr<testing::chaos_store> store;
        std::shared_ptr<testing::chaos_backplane> bus;
        std::unique_ptr<write_through<int, std::uint64_t>> values;
        backplane_subscription probe;
        std::array<int, key_count> loading{};
    };

    world_of_nodes(const schedule& steps, const defences_off& off, bool skip)
        : seed(steps.seed), world(steps.seed), random(steps.seed * 31 + 7), holes(off), skips_store(skip) {
        origins.push_back({});
        shared = std::make_shared<memory_store>(memory_store_options{.clock = &world.clock()});
        bus = std::make_shared<memory_backplane>();
        for (std::size_t n = 0; n < node_count; ++n) {
            add_node(n, steps);
        }
    }

    // Loads that a node has under way may outlive it, and use what is below.
    ~world_of_nodes() {
        for (node& one : nodes) {
            one.probe.reset();
            one.values.reset();
        }
    }
    world_of_nodes(const world_of_nodes&) = delete;
    world_of_nodes& operator=(const world_of_nodes&) = delete;

    void add_node(std::size_t n, const schedule& steps) {
        node& made = nodes[n];
        auto recorded = std::make_shared<recording_store>(
            shared,
            recording_store::events{.stored = [this](const std::string& key, const remote_entry& entry,
                                                     bool is_fill) { on_stored(key, entry, is_fill); },
                                    .erased = [this, n](const std::string& key) { on_erased(n, key); },
                                    .marked = [this, n](std::uint64_t count) { on_marked(n, count); }});
        made.store = std::make_shared<testing::chaos_store>(
            recorded, world.scheduler(),
            testing::chaos_store_options{.seed = steps.seed * 8 + n,
                                         .call_delay = 2ms,
                                         .answer_delay = 2ms,
                                         .refuse = steps.has_faults ? 0.02 : 0.0,
                                         .lose_answer = steps.has_faults ? 0.02 : 0.0,
                                         .late = steps.has_faults ? 0.02 : 0.0,
                                         .late_delay = 100ms});
        made.bus = std::make_shared<testing::chaos_backplane>(
            std::make_shared<recording_backplane>(bus, [this] { return tick(); }), world.scheduler(),
            testing::chaos_backplane_options{.seed = steps.seed * 8 + 4 + n,
                                             .delivery_delay = 3ms,
                                             .publish_delay = 1ms,
                                             .refuse = steps.has_faults ? 0.02 : 0.0,
                                             .lose_receipt = steps.has_faults ? 0.02 : 0.0,
                                             .duplicate = steps.has_faults ? 0.1 : 0.0,
                                             .break_link = steps.has_faults ? 0.01 : 0.0,
                                             .reconnect_delay = 200ms,
                                             .ping_interval = 3s,
                                             .ping_timeout = 2s});
        auto load = [this, n](const int& key) { return read_source(n, static_cast<std::size_t>(key)); };
        auto store = [this](const write_op<int, std::uint64_t>& write) { return write_source(write); };
        cache_options<int, std::uint64_t> options{
            .name = "c",
            .local = {.max_entries = 16, .clock = &world.clock(), .shards = 1},
            .remote = made.store,
            .backplane = made.bus,
            .remote_options = {.timeout = 30ms,
                               .breaker = {.failures_to_open = 3, .open_for = 200ms},
                               .lease = 60ms,
                               .lease_wait = 150ms,
                               .suspect_grace = 10s},
            .executor = world.executor(),
            .defaults = {.ttl = 20s, .ttl_jitter = 0.2, .load_timeout = 1s, .tags = {"all"}},
            .scheduler = world.scheduler(),
            .seed = steps.seed * 8 + n + 1,  // hence its sender's number: see `on_heard`
            .holes = &holes};
        made.values = std::make_unique<write_through<int, std::uint64_t>>(
            source_from<int, std::uint64_t>(load, store), std::move(options));
        // After the cache's own subscription: what is heard here, it has heard.
        made.probe = made.bus->subscribe([this, n](const backplane_message& heard) { on_heard(n, heard); },
                                         [this, n] { ended_at[n].fill(world.now()); });
    }

    [[nodiscard]] moment tick() noexcept { return ++moments; }

    void complain(const std::string& what) {
        if (wrong.empty()) {
            wrong = what + " (at " + std::to_string(world.now().time_since_epoch() / 1us) + " us)";
        }
    }

    // The source: each read and write is an origin of its own, so that values are never mistaken.
    asio::awaitable<std::uint64_t> read_source(std::size_t n, std::size_t key) {
        const std::uint64_t number = origins.size();
        origins.push_back({.node = n, .key = key, .began = tick()});
        ++tally.loads;
        check_single_load(n, key, +1);
        co_await world.scheduler()->sleep_until(world.now() + up_to(8ms));
        const bool is_slow = uniform_below(random, 20) == 0;
        co_await world.scheduler()->sleep_until(world.now() + up_to(is_slow ? 150ms : 4ms));
        check_single_load(n, key, -1);
        if (uniform_below(random, 15) == 0) {
            throw std::runtime_error("the source fails");
        }
        co_return number;
    }

    asio::awaitable<write_result> write_source(write_op<int, std::uint64_t> write) {
        co_await world.scheduler()->sleep_until(world.now() + up_to(6ms));
        // This is the order of writes; what was read or written before is older.
        const moment at = tick();
        if (write.value) {
            origins[*write.value].began = at;
            for (ending& one : endings) {
                if (one.value == *write.value) {
                    one.began = at;
                    one.heard.fill(never);
                }
            }
        }
        co_await world.scheduler()->sleep_until(world.now() + up_to(2ms));
        write_result done;
        if (uniform_below(random, 12) == 0) {
            done.error = std::make_exception_ptr(
                error(uniform_below(random, 2) == 0 ? errc::timeout : errc::read_only));
        }
        co_return done;
    }

    // G4 within a process: two at a time only if something ended the first in between. The flight of an
    // invalidated key goes on for those who asked before.
    void check_single_load(std::size_t n, std::size_t key, int change) {
        nodes[n].loading[key] += change;
        const bool is_ending = std::any_of(endings.begin(), endings.end(), [&](const ending& one) {
            return one.node == n && one.key == key && !one.has_ended;
        });
        const bool has_ended_lately = world.now() < after(ended_at[n][key], longest_load);
        if (change > 0 && nodes[n].loading[key] > 1 && !has_ended_lately && !is_ending) {
            complain("G4: two loads of key " + std::to_string(key) + " at node " + std::to_string(n));
        }
    }

    [[nodiscard]] duration up_to(duration most) {
        return duration(
            static_cast<duration::rep>(uniform_below(random, static_cast<std::uint64_t>(most.count()) + 1)));
    }

    static std::size_t key_in(const std::string& name) { return static_cast<std::size_t>(name.back() - '0'); }

    void on_stored(const std::string& name, const remote_entry& entry, bool is_fill) {
        const auto value = codec<std::uint64_t>::decode(entry.payload);
        if (!value || *value >= origins.size()) {
            return;
        }
        origin& from = origins[*value];
        if (from.landed == never) {
            from.landed = tick();
        }
        if (!is_fill && from.is_put) {
            return;
        }
        ++tally.fills;
        const std::size_t key = key_in(name);
        for (const ending& one : endings) {
            if (one.key == key && one.is_in_store && one.is_acknowledged && from.began < one.began) {
                complain("G2: the store took value " + std::to_string(*value) + " of key " +
                         std::to_string(key) + ", older than an acknowledged ending");
            }
        }
    }

    void on_erased(std::size_t n, const std::string& name) {
        const moment at = tick();
        for (ending& one : endings) {
            if (one.node == n && one.key == key_in(name) && one.returned == never) {
                one.erased = at;
                one.heard.fill(never);  // what was heard before was about another's
            }
        }
    }

    void on_marked(std::size_t n, std::uint64_t count) {
        for (ending& one : endings) {
            if (one.node == n && !one.is_in_store && one.returned == never) {
                one.mark = count;
            }
        }
    }

    static bool heard_after(const ending& one, const backplane_message& heard) {
        return !one.is_in_store || heard.count > one.began;
    }

    // A message covers what its sender had done in the store before he sent it.
    void on_heard(std::size_t n, const backplane_message& heard) {
        const moment at = tick();
        for (std::size_t key = 0; key < key_count; ++key) {
            if (heard.what == change::marked || heard.name == std::to_string(key)) {
                ended_at[n][key] = world.now();
            }
        }
        for (ending& one : endings) {
            const bool is_senders = heard.sender == (hash_mix(seed * 8 + one.node + 1) | 1U);
            const bool is_covered = one.is_in_store ? heard.what == change::invalidated &&
                                                          heard.name == std::to_string(one.key) &&
                                                          one.erased < heard.count
                                                    : heard.what == change::marked && one.mark <= heard.count;
            if (is_senders && is_covered && heard_after(one, heard) && one.heard[n] == never) {
                one.heard[n] = at;
            }
        }
    }

    // G1 and G3 for a fresh answer to a call that began at `asked`.
    void check(std::size_t n, std::size_t key, std::uint64_t value, moment asked, time_point asked_at) {
        ++tally.fresh;
        const origin& from = origins[value];
        for (const ending& one : endings) {
            if (one.key != key || from.began >= one.began || one.returned >= asked) {
                continue;
            }
            if (from.is_put) {
                // Ordered by the store alone, where it is known that the put came first.
                if (one.is_put || from.landed == never || one.erased == never || from.landed >= one.erased ||
                    !one.is_in_store) {
                    continue;
                }
            }
            const std::string what = "value " + std::to_string(value) + " of key " + std::to_string(key) +
                                     " fresh at node " + std::to_string(n) + " after ending " +
                                     std::to_string(&one - endings.data());
            // What is queued has not reached the store, which may hand out what it has.
            const bool has_effect =
                one.is_acknowledged || !one.is_in_store || (one.erased != never && one.erased > one.began);
            if (one.node == n) {
                complain("G1: " + what);
            } else if (has_effect && one.heard[n] < asked) {
                complain("G3: " + what + ", which it had heard");
            } else if (one.is_acknowledged && asked_at > one.returned_at + link_bound) {
                complain("G3: " + what + ", beyond the bound");
            }
        }
    }

    std::size_t begin_ending(std::size_t n, std::size_t key, bool is_in_store, bool is_put) {
        endings.push_back(
            {.node = n, .key = key, .is_in_store = is_in_store, .is_put = is_put, .began = tick()});
        ended_at[n][key] = world.now();
        return endings.size() - 1;
    }

    void end_ending(std::size_t which, std::exception_ptr failure, reach reached) {
        ending& one = endings[which];
        ended_at[one.node][one.key] = world.now();
        one.has_ended = true;
        if (failure != nullptr) {
            one.began = 0;  // nothing is promised
            return;
        }
        one.returned = tick();
        one.returned_at = world.now();
        one.is_acknowledged = reached == reach::acknowledged;
        ++(one.is_acknowledged ? tally.acknowledged : tally.queued);
    }

    [[nodiscard]] auto ends(std::size_t which) {
        return asio::bind_executor(world.executor(),
                                   [this, which](std::exception_ptr failure, reach reached) {
                                       end_ending(which, std::move(failure), reached);
                                   });
    }

    void load(std::size_t n, std::size_t key) {
        const moment asked = tick();
        const time_point asked_at = world.now();
        const auto before = nodes[n].values->stats().suspects_served;
        nodes[n].values->async_get(
            static_cast<int>(key),
            asio::bind_executor(world.executor(),
                                [this, n, key, asked, asked_at, before](std::exception_ptr failure,
                                                                        std::optional<std::uint64_t> value) {
                                    ++tally.answers;
                                    // A suspect value is answered as such, which the counter says.
                                    if (failure == nullptr && value && nodes[n].values != nullptr &&
                                        nodes[n].values->stats().suspects_served == before) {
                                        check(n, key, *value, asked, asked_at);
                                    }
                                }));
    }

    void look(std::size_t n, std::size_t key) {
        const moment asked = tick();
        if (const auto value = nodes[n].values->try_get(static_cast<int>(key))) {
            check(n, key, *value, asked, world.now());
        }
    }

    std::uint64_t new_value(std::size_t n, std::size_t key, bool is_put) {
        origins.push_back({.is_put = is_put, .node = n, .key = key, .began = tick()});
        return origins.size() - 1;
    }

    void perform(const step_of_schedule& step) {
        const std::size_t n = step.node;
        const std::size_t key = step.key;
        const int k = static_cast<int>(key);
        auto& values = *nodes[n].values;
        switch (step.what) {
            case act::load:
                load(n, key);
                break;
            case act::look:
                look(n, key);
                break;
            case act::invalidate:
                values.underlying().async_invalidate(k, ends(begin_ending(n, key, true, false)));
                break;
            case act::put: {
                const std::size_t which = begin_ending(n, key, true, true);
                const std::uint64_t value = new_value(n, key, true);
                values.underlying().async_put(k, value, ends(which));
                break;
            }
            case act::write_through: {
                const std::size_t which = begin_ending(n, key, true, false);
                const std::uint64_t value = new_value(n, key, false);
                endings[which].value = value;
                values.async_put(k, value, ends(which));
                break;
            }
            case act::tag:
                tag(n);
                break;
            case act::foreign_write:
                foreign_write(key);
                break;
            case act::cut: {
                const auto how =
                    step.draw % 2 == 0 ? testing::chaos_link::refuses : testing::chaos_link::is_silent;
                if (step.draw / 2 % 3 != 0) {
                    nodes[n].bus->set_link(how);
                }
                if (step.draw / 2 % 3 != 1) {
                    nodes[n].store->set_link(how);
                }
                break;
            }
            case act::heal:
                nodes[n].bus->set_link(testing::chaos_link::works);
                nodes[n].store->set_link(testing::chaos_link::works);
                nodes[n].bus->set_stalled(false);
                break;
            case act::stall:
                nodes[n].bus->set_stalled(true);
                break;
            case act::lose_data:
                shared->lose_data();
                break;
        }
    }

    // One mark ends all keys.
    void tag(std::size_t n) {
        std::vector<std::size_t> which;
        for (std::size_t each = 0; each < key_count; ++each) {
            which.push_back(begin_ending(n, each, false, false));
        }
        nodes[n].values->underlying().async_invalidate_tag(
            "all",
            asio::bind_executor(world.executor(), [this, which](std::exception_ptr failure, reach reached) {
                for (const std::size_t one : which) {
                    end_ending(one, failure, reached);
                }
            }));
    }

    // The database tells every node, and each drops the key in the store before it drops its own.
    void foreign_write(std::size_t key) {
        for (std::size_t n = 0; n < node_count; ++n) {
            if (skips_store) {
                const std::size_t which = begin_ending(n, key, true, false);
                bus->publish({.what = change::invalidated,
                              .name_space = "c",
                              .name = std::to_string(key),
                              .sender = 4});
                end_ending(which, nullptr, reach::acknowledged);
            } else {
                nodes[n].values->underlying().async_invalidate(static_cast<int>(key),
                                                               ends(begin_ending(n, key, true, false)));
            }
        }
    }

    asio::awaitable<void> act_out(const std::vector<step_of_schedule>& steps) {
        for (const step_of_schedule& step : steps) {
            co_await world.scheduler()->sleep_until(world.now() + step.after);
            perform(step);
            for (std::size_t n = 0; n < node_count; ++n) {
                for (std::size_t key = 0; key < key_count; ++key) {
                    look(n, key);
                }
            }
        }
    }

    const std::uint64_t seed;
    testing::simulation world;
    xoshiro256 random;
    const defences_off holes;
    const bool skips_store;
    moment moments = 0;
    violation wrong{};
    coherence_tally tally{};
    std::vector<origin> origins{};
    std::vector<ending> endings{};
    std::array<std::array<time_point, key_count>, node_count> ended_at{};
    std::shared_ptr<memory_store> shared;
    std::shared_ptr<memory_backplane> bus;
    std::array<node, node_count> nodes{};
};

}  // namespace

violation run(const schedule& steps, const defences_off& holes, bool skips_store, coherence_tally* tally) {
    world_of_nodes all(steps, holes, skips_store);
    asio::co_spawn(all.world.executor(), all.act_out(steps.steps), asio::detached);
    all.world.run_for(std::chrono::seconds(1));
    for (int i = 0; i < 200 && all.world.sleeping() > 0 && all.wrong.empty(); ++i) {
        all.world.run_for(std::chrono::milliseconds(500));
    }
    if (tally != nullptr) {
        for (auto& node : all.nodes) {
            const auto stats = node.values->stats();
            all.tally.refused += stats.fills_refused;
            all.tally.suspects += stats.suspects;
            all.tally.gaps += stats.gaps;
        }
        tally->answers += all.tally.answers;
        tally->fresh += all.tally.fresh;
        tally->loads += all.tally.loads;
        tally->acknowledged += all.tally.acknowledged;
        tally->queued += all.tally.queued;
        tally->fills += all.tally.fills;
        tally->refused += all.tally.refused;
        tally->suspects += all.tally.suspects;
        tally->gaps += all.tally.gaps;
    }
    return all.wrong;
}

}  // namespace levee
