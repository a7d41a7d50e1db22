/// What a cache consists of; shared with the loads it has under way, so that it may go before they end.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/cache/cache_options.hpp"
#include "levee/cache/detail/flight_table.hpp"
#include "levee/cache/detail/load_flight.hpp"
#include "levee/cache/detail/local_entry.hpp"
#include "levee/cache/detail/negative_share.hpp"
#include "levee/cache/lookup.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"
#include "levee/store/key_codec.hpp"

namespace levee::cache_detail {

/// Throws std::invalid_argument saying that `field` of the named cache's options is needed for `what`.
[[noreturn]] void missing_executor(const std::string& cache, const char* field, const char* what);

/// Checks what a remote level or a backplane needs. `has_codecs`: of key and, for a store, of value.
void check_levels(const std::string& cache, bool has_store, bool has_peers, bool has_executor,
                  bool has_key_codec, bool has_codec);

/// What a look into L1 has found.
template <class V>
struct found {
    freshness state = freshness::absent;
    std::optional<V> value{};  ///< Also of a reserve, which must not be answered without a load.
    bool is_known = false;     ///< Something is known: the value, or that there is none.
    std::uint64_t serial = 0;
    time_point reserve_until{};

    /// Answers without a load.
    [[nodiscard]] bool is_hit() const noexcept {
        return is_known && state != freshness::reserve && state != freshness::absent;
    }
};

/// Invalidations that were collected, in their order.
template <class K>
struct collected_changes {
    struct change_of_key {
        K key;
        bool keeps_reserve = false;  ///< Expired only.
    };
    std::vector<change_of_key> keys{};
    std::vector<std::string> marks{};  ///< As `mark_of_tag` and `mark_of_prefix` give them.
};

/// The same, each key and mark once.
template <class K>
struct planned_changes {
    struct change_of_key {
        K key;
        bool keeps_reserve = false;
        std::string text{}, name{};
        [[nodiscard]] change what() const noexcept {
            return keeps_reserve ? change::expired : change::invalidated;
        }
    };
    std::vector<change_of_key> keys{};
    std::vector<std::string> marks{};

    /// The store's names of the keys that are dropped.
    [[nodiscard]] std::vector<std::string> erased_names() const {
        std::vector<std::string> names;
        for (const auto& each : keys) {
            if (!each.keeps_reserve && !each.name.empty()) {
                names.push_back(each.name);
            }
        }
        return names;
    }
};

/// Thread safety: safe on a shared object.
template <class K, class V, class Hash, class Eq>
class cache_core {
public:
    using key_type = K;
    using mapped_type = V;
    using equal_type = Eq;
    using flight_type = load_flight<K, V>;
    using flight_ptr = std::shared_ptr<flight_type>;
    using table_type = flight_table<K, flight_type, Hash, Eq>;
    using local_type = local_cache<K, entry<V>, Hash, Eq>;

    explicit cache_core(cache_options<K, V> wanted);

    [[nodiscard]] const cache_options<K, V>& options() const noexcept { return options_; }
    [[nodiscard]] local_type& local() noexcept { return local_; }
    [[nodiscard]] table_type& flights() noexcept { return flights_; }
    [[nodiscard]] time_point now() const noexcept { return clock_.now(); }
    [[nodiscard]] cache_counters& counters() const noexcept { return *counters_; }
    [[nodiscard]] const std::shared_ptr<cache_counters>& counters_ptr() const noexcept { return counters_; }
    [[nodiscard]] const std::shared_ptr<load_gate>& gate() const noexcept { return gate_; }
    [[nodiscard]] const std::shared_ptr<remote_level>& remote() const noexcept { return remote_; }
    [[nodiscard]] cache_statistics stats() const;

    /// What L1 holds, judged by `lives`. Counts as a look-up. Cost of a fresh hit: the look-up, four loads
    /// more, and the copy of V.
    void look(const K& key, const entry_options& lives, found<V>& out) {
        const time_point at = now();
        local_.visit_at(key, at, [&](const entry<V>& e) {
            if (at < e.meta.calm_until.get() && trust_->is_trusted(e.meta, at)) [[likely]] {
                out.value = e.value;
                out.is_known = true;
                out.state = freshness::fresh;
            } else {
                look_closely(key, lives, e, at, out);
            }
        });
    }

    /// True: L1 answers, and nothing is to be loaded; an empty `value` is a key known not to exist.
    [[nodiscard]] bool find(const K& key, std::optional<V>& value) {
        const time_point at = now();
        bool is_hit = false;
        local_.visit_at(key, at, [&](const entry<V>& e) {
            if (at < e.meta.calm_until.get() && trust_->is_trusted(e.meta, at)) [[likely]] {
                value = e.value;
                is_hit = true;
            } else {
                is_hit = find_closely(key, e, at, value);
            }
        });
        return is_hit;
    }

    [[nodiscard]] lookup_result<V> lookup(const K& key);

    // Loads: see load.hpp.

    /// What a flight for this key is told. `replacing`: what was found and is to be loaded anew.
    [[nodiscard]] flight_setup set_up(const K& key, const entry_options& lives, std::uint64_t replacing,
                                      bool is_nested);

    /// The first step of a load: takes the lease, then looks at L1 again, because the key's former flight
    /// may have stored its value between the leader's look-up and his finding no flight. True: that was so,
    /// and the flight has its answer.
    [[nodiscard]] bool begin(flight_type& flight);

    /// The last step of a load, with `answer` or `error` set: stores, detaches, lets the waiters go.
    void end(flight_type& flight) noexcept;

    // What the remote level answered to a look without a loader.
    [[nodiscard]] std::string text_of(const K& key) const;
    [[nodiscard]] std::string name_of(const K& key) const {
        return remote_ != nullptr ? remote_->name_of(text_of(key)) : std::string();
    }
    /// One that is dropped, as by a cancelled call, stores nothing. Must not outlive the core.
    class pending_look {
    public:
        pending_look(pending_look&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), lease_(other.lease_), epoch_(other.epoch_) {}
        pending_look& operator=(pending_look&&) = delete;
        ~pending_look() {
            if (of_ != nullptr) {
                of_->abandon(lease_);
            }
        }

    private:
        friend cache_core;
        pending_look(local_type& of, fill_lease lease, std::uint32_t epoch) noexcept
            : of_(&of), lease_(lease), epoch_(epoch) {}
        void dismiss() noexcept { of_ = nullptr; }

        local_type* of_;
        fill_lease lease_;
        std::uint32_t epoch_;
    };
    [[nodiscard]] pending_look begin_look(const K& key);
    /// Stores what was found there in L1 and gives its value; `known` says whether anything is known.
    [[nodiscard]] lookup_result<V> end_look(const K& key, pending_look look,
                                            const std::optional<remote_entry>& answer);

    // Writes, in the steps that the blocking and the awaitable forms share.
    struct pending_put {
        std::string text{}, name{};
        remote_entry remote{};
        fill_lease guard{};
        std::uint32_t epoch = 0;
        bool is_oversized = false;  ///< The store is to drop the key instead.
    };
    [[nodiscard]] pending_put begin_put(const K& key, const V& value, const entry_options& lives,
                                        std::uint64_t version);
    [[nodiscard]] pending_put begin_erasure(const K& key);
    void abandon_put(const pending_put& put) noexcept { local_.abandon(put.guard); }
    void end_put(const pending_put& put, K key, V value, const entry_options& lives, bool is_stored);
    [[nodiscard]] bool put_if_newer_locally(const K& key, V value, std::uint64_t version,
                                            const entry_options& lives);
    void mark_locally(const std::string& what);
    void drop_local(const K& key);
    void expire_local(const K& key);
    void drop_all_local();
    [[nodiscard]] planned_changes<K> plan(collected_changes<K> changes) const;
    void change_local(const planned_changes<K>& changes);

    void count_join() noexcept { count(counters_->joined); }

    /// Lets everybody who waits go with errc::closed. What still loads finishes by itself.
    void close();

private:
    bool find_closely(const K& key, const entry<V>& e, time_point at, std::optional<V>& value) {
        found<V> it;
        look_closely(key, options_.defaults, e, at, it);
        if (it.state != freshness::fresh && it.state != freshness::ahead) {
            return false;
        }
        value = std::move(it.value);
        return true;
    }
    [[gnu::noinline]] void look_closely(const K& key, const entry_options& lives, const entry<V>& e,
                                        time_point at, found<V>& out);
    void slide(const K& key, const entry_meta& meta, time_point at);
    void store(flight_type& flight) noexcept;
    void note_failure(const flight_type& flight) noexcept;
    [[nodiscard]] entry_meta new_meta(const result_times& times, const entry_options& lives,
                                      std::uint32_t epoch);
    [[nodiscard]] static duration kept_for(const entry_meta& meta, time_point at) noexcept;
    void keep_negative(const K& key, std::uint64_t serial);
    void listen();
    void hear(const backplane_message& message);
    [[nodiscard]] std::uint64_t next_draw() noexcept {
        return draws_.fetch_add(1, std::memory_order_relaxed);
    }

    cache_options<K, V> options_;
    const levee::clock& clock_;
    const std::shared_ptr<cache_counters> counters_ = std::make_shared<cache_counters>();
    const std::shared_ptr<trust> trust_;
    std::shared_ptr<remote_level> remote_;  // null: neither a store nor peers
    const std::shared_ptr<load_gate> gate_;
    local_type local_;
    table_type flights_;
    negative_share<K> negatives_;
    std::atomic<bool> is_closed_ = false;
    std::atomic<std::uint64_t> draws_;
    backplane_subscription subscription_;  // the last: its handler uses all above
};

}  // namespace levee::cache_detail

#include "levee/cache/detail/cache_core_loads.hpp"
#include "levee/cache/detail/cache_core_writes.hpp"
