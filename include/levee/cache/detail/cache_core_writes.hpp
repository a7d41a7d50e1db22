// Writing, and what is heard from peers: the bodies of cache_core. Included by cache_core.hpp alone.
#pragma once

#include "levee/cache/detail/cache_core.hpp"

namespace levee::cache_detail {

// A write or an invalidation first changes L1, which voids the lease of a load under way: its fill is
// refused whenever it comes. Then it detaches the key's flight, so that whoever asks from then on starts a
// load of his own. In this order, because a flight's leader looks into L1 once more (`begin`): one attached
// after the detaching sees the changed L1 (G1).

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::drop_local(const K& key) {
    local_.invalidate(key);
    flights_.detach(key);
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::drop_all_local() {
    local_.clear();
    flights_.detach_all();
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::expire_local(const K& key) {
    bool is_held = false;
    auto expired = [&](std::optional<entry<V>> held) {
        is_held = held && held->value;
        if (!is_held) {
            return std::optional<entry<V>>();
        }
        held->meta.fresh_until.set((std::min)(held->meta.fresh_until.get(), now()));
        held->meta.calm_until.set((time_point::min)());
        held->meta.slides = false;
        held->meta.serial = next_draw() + 1;
        return held;
    };
    local_.compute(key, expired);
    if (!is_held) {
        local_.invalidate(key);  // for the leases of loads under way
    }
    flights_.detach(key);
}

// To drop a key is more than to expire it.
template <class K, class V, class Hash, class Eq>
planned_changes<K> cache_core<K, V, Hash, Eq>::plan(collected_changes<K> changes) const {
    planned_changes<K> plan;
    std::unordered_map<K, std::size_t, typename table_type::mixed_hash, Eq> places;
    for (auto& wanted : changes.keys) {
        const auto [it, is_new] = places.try_emplace(wanted.key, plan.keys.size());
        if (!is_new) {
            auto& known = plan.keys[it->second];
            known.keeps_reserve = known.keeps_reserve && wanted.keeps_reserve;
            continue;
        }
        plan.keys.push_back({std::move(wanted.key), wanted.keeps_reserve});
        if (remote_ != nullptr) {
            plan.keys.back().text = text_of(plan.keys.back().key);
            plan.keys.back().name = remote_->name_of(plan.keys.back().text);
        }
    }
    for (std::string& what : changes.marks) {
        if (std::find(plan.marks.begin(), plan.marks.end(), what) == plan.marks.end()) {
            plan.marks.push_back(std::move(what));
        }
    }
    return plan;
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::change_local(const planned_changes<K>& changes) {
    for (const auto& each : changes.keys) {
        each.keeps_reserve ? expire_local(each.key) : drop_local(each.key);
    }
}

// The guard of a put stands from before the remote write until L1 is written: what is heard about the key in
// between voids it. Without a remote level nothing comes in between.
template <class K, class V, class Hash, class Eq>
auto cache_core<K, V, Hash, Eq>::begin_put(const K& key, const V& value, const entry_options& lives,
                                           std::uint64_t version) -> pending_put {
    validate(lives);
    pending_put put;
    put.epoch = trust_->epoch();
    put.remote.stamp = trust_->marks().count();
    put.remote.version = version;
    put.remote.tags = lives.tags;
    const duration ttl = life_of(lives.ttl, lives.ttl_jitter, duration::zero(), next_draw());
    put.remote.fresh_left = ttl == duration::zero() ? (duration::max)() : ttl;
    const duration reserve = reserve_life(lives);
    put.remote.stale_left = put.remote.fresh_left > (duration::max)() - reserve
                                ? (duration::max)()
                                : put.remote.fresh_left + reserve;
    if (remote_ != nullptr) {
        put.text = text_of(key);
        put.name = remote_->name_of(put.text);
        if (remote_->has_store()) {
            if constexpr (encodable<V>) {
                codec<V>::encode(value, put.remote.payload);
            }
            put.is_oversized = put.remote.payload.size() > options_.remote_options.max_value_bytes;
            if (put.is_oversized || put.name.empty()) {
                count(counters_->remote_oversized);
            }
        }
        put.guard = local_.begin_fill(key);
    }
    return put;
}

template <class K, class V, class Hash, class Eq>
auto cache_core<K, V, Hash, Eq>::begin_erasure(const K& key) -> pending_put {
    pending_put put;
    if (remote_ != nullptr) {
        put.text = text_of(key);
        put.name = remote_->name_of(put.text);
    }
    return put;
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::end_put(const pending_put& put, K key, V value, const entry_options& lives,
                                         bool is_stored) {
    try {
        entry<V> made{std::move(value), new_meta({.fresh_left = put.remote.fresh_left,
                                                  .stale_left = put.remote.stale_left,
                                                  .stamp = put.remote.stamp,
                                                  .version = put.remote.version,
                                                  .tags = put.remote.tags},
                                                 lives, put.epoch)};
        const duration kept = kept_for(made.meta, now());
        if (!is_stored) {
            local_.invalidate(key);
        } else if (remote_ == nullptr || remote_->holes().put_guard) {
            local_.put(key, std::move(made), kept);
        } else if (!local_.fill(put.guard, key, std::move(made), kept)) {
            local_.invalidate(key);  // somebody else wrote: which of the two is the last, L2 knows
        }
    } catch (...) {
        local_.invalidate(key);
        flights_.detach(key);
        throw;
    }
    flights_.detach(key);
}

template <class K, class V, class Hash, class Eq>
bool cache_core<K, V, Hash, Eq>::put_if_newer_locally(const K& key, V value, std::uint64_t version,
                                                      const entry_options& lives) {
    const pending_put put = begin_put(key, value, lives, version);
    bool is_newer = false;
    auto newer = [&](std::optional<entry<V>> held) {
        const time_point at = now();
        is_newer = !held || held->meta.version < version || at >= held->meta.stale_until.get() ||
                   trust_->judge(held->meta, at, [&] { return text_of(key); }) == trust::standing::invalid;
        if (is_newer) {
            held.emplace(entry<V>{value, new_meta({.fresh_left = put.remote.fresh_left,
                                                   .stale_left = put.remote.stale_left,
                                                   .stamp = put.remote.stamp,
                                                   .version = version,
                                                   .tags = put.remote.tags},
                                                  lives, put.epoch)});
        }
        return held;
    };
    local_.compute(key, newer);
    flights_.detach(key);
    return is_newer;
}

// A number of this process' own counter. Which flights load what was marked is not known before they end.
template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::mark_locally(const std::string& what) {
    trust_->marks().mark(what);
    what.empty() ? drop_all_local() : flights_.detach_all();
}

template <class K, class V, class Hash, class Eq>
auto cache_core<K, V, Hash, Eq>::begin_look(const K& key) -> pending_look {
    const std::uint32_t epoch = trust_->epoch();
    // A flight's lease would be voided.
    const fill_lease lease = flights_.find(key) == nullptr ? local_.begin_fill(key) : fill_lease();
    return pending_look(local_, lease, epoch);
}

template <class K, class V, class Hash, class Eq>
lookup_result<V> cache_core<K, V, Hash, Eq>::end_look(const K& key, pending_look look,
                                                      const std::optional<remote_entry>& answer) {
    lookup_result<V> result;
    if (!answer || !remote_->is_valid(*answer, text_of(key))) {
        count(counters_->remote_misses);
        return result;
    }
    if (!answer->is_negative) {
        if constexpr (encodable<V>) {
            result.value = codec<V>::decode(answer->payload);
        }
        if (!result.value) {
            count(counters_->remote_foreign);
            count(counters_->remote_misses);
            return result;
        }
    }
    result.level = cache_level::remote;
    result.version = answer->version;
    if (answer->fresh_left <= duration::zero()) {
        count(counters_->remote_misses);
        result.state = result.value ? entry_state::stale : entry_state::miss;
        return result;
    }
    count(counters_->remote_hits);
    result.state = result.value ? entry_state::fresh : entry_state::negative;
    try {
        entry<V> made{result.value, new_meta({.fresh_left = answer->fresh_left,
                                              .stale_left = answer->stale_left,
                                              .stamp = answer->stamp,
                                              .version = answer->version,
                                              .tags = answer->tags},
                                             options_.defaults, look.epoch_)};
        const std::uint64_t serial = made.meta.serial;
        const duration kept = kept_for(made.meta, now());
        const bool is_stored = local_.fill(look.lease_, key, std::move(made), kept);
        look.dismiss();
        if (is_stored && !result.value) {
            keep_negative(key, serial);
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): not cached; the caller has it all the same
    }
    return result;
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::listen() {
    subscription_ =
        options_.backplane->subscribe([this](const backplane_message& heard) { hear(heard); },
                                      [this] {
                                          remote_->on_gap();
                                          flights_.detach_all();  // nobody joins what began before
                                      });
}

// A message of a peer: L1 is changed, and nothing is asked or told.
template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::hear(const backplane_message& heard) {
    if (remote_->is_own(heard)) {
        return;
    }
    if (heard.what == change::marked) {
        remote_->hear_mark(heard);
        heard.name.empty() ? drop_all_local() : flights_.detach_all();
        return;
    }
    if constexpr (key_encodable<K>) {
        const std::optional<K> key = key_codec<K>::decode(heard.name);
        if (!key) {
            return;  // the name of a key of another type: caches that share a name must be alike
        }
        if (heard.what == change::filled) {
            if (const auto flight = flights_.find(*key)) {
                flight->wake();
            }
        } else if (heard.what == change::expired) {
            expire_local(*key);
        } else {
            drop_local(*key);
        }
    }
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::close() {
    is_closed_.store(true, std::memory_order_release);  // pairs with store()
    subscription_.reset();
    if (remote_ != nullptr) {
        remote_->close();
    }
    for (const flight_ptr& flight : flights_.close()) {
        flight->close();
    }
}

}  // namespace levee::cache_detail
