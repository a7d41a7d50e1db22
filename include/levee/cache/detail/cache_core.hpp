/// What a cache consists of; shared with the loads it has under way, so that it may go before they end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "levee/cache/cache_options.hpp"
#include "levee/cache/detail/flight_table.hpp"
#include "levee/cache/detail/load_flight.hpp"
#include "levee/local/local_cache.hpp"

namespace levee::cache_detail {

/// What L1 holds for a key: a value, or the knowledge that there is none.
template <class V>
struct entry {
    std::optional<V> value;
    time_point stored_at;
};

/// How long an entry lives: `ttl` (zero: for ever) less a random share of up to `jitter`, and no longer than
/// `most` (zero: no limit). `draw` is any number; each one is mixed into a share of its own.
[[nodiscard]] duration life_of(duration ttl, double jitter, duration most, std::uint64_t draw) noexcept;

/// Throws std::invalid_argument saying that `field` of the named cache's options is needed for `what`.
[[noreturn]] void missing_executor(const std::string& cache, const char* field, const char* what);

/// The user's options for L1, told to a local_cache of entries.
template <class K, class V>
local_cache_options<K, entry<V>> entry_cache_options(const local_cache_options<K, V>& user) {
    local_cache_options<K, entry<V>> options;
    options.max_entries = user.max_entries;
    options.max_weight = user.max_weight;
    options.time_to_live = user.time_to_live;
    options.time_to_idle = user.time_to_idle;
    options.clock = user.clock;
    options.shards = user.shards;
    if (user.weigher) {
        options.weigher = [weigh = user.weigher](const K& key, const entry<V>& e) -> std::size_t {
            return e.value ? weigh(key, *e.value) : 1;  // knowing that there is none weighs little
        };
    }
    if (user.on_removal) {
        options.on_removal = [tell = user.on_removal](const K& key, const entry<V>& e, removal_cause why) {
            if (e.value) {
                tell(key, *e.value, why);
            }
        };
    }
    return options;
}

/// Thread safety: safe on a shared object.
template <class K, class V, class Hash, class Eq>
class cache_core {
public:
    using flight_type = load_flight<K, V>;
    using flight_ptr = std::shared_ptr<flight_type>;
    using table_type = flight_table<K, flight_type, Hash, Eq>;

    explicit cache_core(cache_options<K, V> wanted)
        : options_(std::move(wanted)),
          clock_(options_.local.clock != nullptr ? *options_.local.clock : clock::coarse()),
          local_(entry_cache_options(options_.local)) {
        validate(options_.defaults);
        if (options_.name.empty()) {
            options_.name = "cache";
        }
        if (options_.scheduler && !options_.executor) {
            options_.executor = options_.scheduler->executor();
        }
        const auto& waits_on = options_.executor ? options_.executor : options_.blocking_executor;
        if (!options_.scheduler && waits_on) {
            options_.scheduler = async::steady_scheduler(waits_on);
        }
    }

    [[nodiscard]] const cache_options<K, V>& options() const noexcept { return options_; }
    [[nodiscard]] local_cache<K, entry<V>, Hash, Eq>& local() noexcept { return local_; }
    [[nodiscard]] table_type& flights() noexcept { return flights_; }
    [[nodiscard]] time_point now() const noexcept { return clock_.now(); }

    /// L1's counters, and those of the loads.
    [[nodiscard]] cache_stats stats() const {
        cache_stats all = local_.stats();
        all.loads += loads_.load(std::memory_order_relaxed);
        all.load_failures += load_failures_.load(std::memory_order_relaxed);
        all.joined += joined_.load(std::memory_order_relaxed);
        return all;
    }

    /// What L1 holds: false for nothing; true with an empty `value` for a key known not to exist.
    [[nodiscard]] bool find(const K& key, std::optional<V>& value) {
        return local_.visit(key, [&](const entry<V>& e) { value = e.value; });
    }

    // A write or an invalidation first changes L1, which voids the lease of a load under way: its fill is
    // refused whenever it comes. Then it detaches the key's flight, so that whoever asks from then on
    // starts a load of his own. In this order, because a flight's leader looks into L1 once more (`begin`):
    // one attached after the detaching sees the changed L1 (G1).

    void put(K key, V value, const entry_options& lives) {
        const duration life = draw_life(lives.ttl, lives);
        local_.put(key, entry<V>{std::move(value), now()}, life);
        flights_.detach(key);
    }

    bool invalidate(const K& key) {
        const bool was_held = local_.invalidate(key);
        flights_.detach(key);
        return was_held;
    }

    void clear() {
        local_.clear();
        flights_.detach_all();
    }

    void count_join() noexcept { joined_.fetch_add(1, std::memory_order_relaxed); }

    [[nodiscard]] time_point deadline(const entry_options& lives) const {
        const time_point start = options_.scheduler ? options_.scheduler->now() : clock::precise().now();
        return after(start, lives.load_timeout);
    }

    /// The first step of a load: takes the lease, then looks at L1 again, because the key's former flight
    /// may have stored its value between the leader's look-up and his finding no flight. True: that was so,
    /// and the flight has its answer.
    [[nodiscard]] bool begin(flight_type& flight) {
        flight.lease = local_.begin_fill(flight.key);
        auto known = local_.peek(flight.key);
        if (!known) {
            loads_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        local_.abandon(std::exchange(flight.lease, {}));
        flight.answer = known->value ? loaded<V>::found(std::move(*known->value)) : loaded<V>::missing();
        return true;
    }

    /// The last step of a load, with `answer` or `error` set: stores, detaches, lets the waiters go.
    void end(flight_type& flight) noexcept {
        if (flight.lease.id != 0) {
            store(flight);
        }
        flights_.detach(flight, true);
        flight.finish(flight.error == nullptr);
    }

    /// Lets everybody who waits go with errc::closed. What still loads finishes by itself.
    void close() {
        is_closed_.store(true, std::memory_order_release);  // pairs with store()
        for (const flight_ptr& flight : flights_.close()) {
            flight->close();
        }
    }

private:
    void store(flight_type& flight) noexcept {
        try {
            if (flight.error != nullptr) {
                load_failures_.fetch_add(1, std::memory_order_relaxed);
                local_.abandon(flight.lease);
                return;
            }
            const entry_options& lives = flight.options;
            const bool is_value = flight.answer.what == load_outcome::value;
            const duration ttl = is_value ? flight.answer.ttl.value_or(lives.ttl) : lives.negative_ttl;
            const bool is_kept = is_value ? ttl >= duration::zero() : ttl > duration::zero();
            if (is_kept && !is_closed_.load(std::memory_order_acquire)) {
                local_.fill(flight.lease, flight.key, entry<V>{flight.answer.value, now()},
                            draw_life(ttl, lives));
            } else {
                local_.abandon(flight.lease);
            }
        } catch (...) {
            // A value that cannot be copied or weighed is not cached; the waiters have it all the same.
            local_.abandon(flight.lease);
        }
    }

    [[nodiscard]] duration draw_life(duration ttl, const entry_options& lives) noexcept {
        return life_of(ttl, lives.ttl_jitter, options_.local.time_to_live,
                       draws_.fetch_add(1, std::memory_order_relaxed));
    }

    cache_options<K, V> options_;
    const levee::clock& clock_;
    local_cache<K, entry<V>, Hash, Eq> local_;
    table_type flights_;
    std::atomic<bool> is_closed_ = false;
    std::atomic<std::uint64_t> loads_ = 0, load_failures_ = 0, joined_ = 0, draws_ = 0;
};

}  // namespace levee::cache_detail
