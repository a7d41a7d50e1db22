// Looking, loading and storing: the bodies of cache_core. Included by cache_core.hpp alone.
#pragma once

#include "levee/cache/detail/cache_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
cache_core<K, V, Hash, Eq>::cache_core(cache_options<K, V> wanted)
    : options_(std::move(wanted)),
      clock_(options_.local.clock != nullptr ? *options_.local.clock : clock::coarse()),
      trust_(std::make_shared<trust>(
          options_.holes != nullptr && options_.holes->link_time ? nullptr : options_.backplane,
          options_.remote_options.suspect_grace)),
      gate_(std::make_shared<load_gate>(options_.remote_options.max_concurrent_loads)),
      local_(entry_cache_options(options_.local)),
      negatives_((std::max)(
          std::size_t{1},
          (options_.local.max_entries != 0 ? options_.local.max_entries : options_.local.max_weight) / 10)),
      draws_(options_.seed) {
    validate(options_.defaults);
    validate(options_.remote_options);
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
    if (options_.remote != nullptr || options_.backplane != nullptr) {
        check_levels(options_.name, options_.remote != nullptr, options_.backplane != nullptr,
                     static_cast<bool>(options_.executor), key_encodable<K>, encodable<V>);
        remote_level_setup setup{.name = options_.name,
                                 .store = options_.remote,
                                 .peers = options_.backplane,
                                 .time = options_.scheduler,
                                 .options = options_.remote_options,
                                 .seed = options_.seed};
        if (options_.holes != nullptr) {
            setup.holes = *options_.holes;
        }
        remote_ = std::make_shared<remote_level>(std::move(setup), trust_, counters_);
    }
    if (options_.backplane != nullptr) {
        listen();
    }
}

template <class K, class V, class Hash, class Eq>
cache_statistics cache_core<K, V, Hash, Eq>::stats() const {
    cache_statistics all;
    static_cast<cache_stats&>(all) = local_.stats();
    counters_->add_to(all);
    if (remote_ != nullptr) {
        all.queued = remote_->queued();
        all.breaker = remote_->breaker();
    }
    return all;
}

template <class K, class V, class Hash, class Eq>
std::string cache_core<K, V, Hash, Eq>::text_of([[maybe_unused]] const K& key) const {
    if constexpr (key_encodable<K>) {
        return key_codec<K>::encode(key);
    } else {
        return {};
    }
}

// Off the fast path: something has happened since the entry was last looked at, or is due.
template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::look_closely(const K& key, const entry_options& lives, const entry<V>& e,
                                              time_point at, found<V>& out) {
    const auto standing = trust_->judge(e.meta, at, [&] { return text_of(key); });
    held_entry held{.times = e.meta.times(), .is_negative = !e.value};
    held.is_suspect = standing == trust::standing::suspect;
    if (held.is_suspect) {
        held.suspect_until = trust_->suspect_until();
        count(counters_->suspects);
    }
    double draw = 0.0;
    if (lives.ahead.beta > 0.0) {
        splitmix64 random(next_draw());
        draw = uniform_unit(random);
    }
    out.state = standing == trust::standing::invalid ? freshness::absent : judge(held, lives, at, draw);
    out.serial = e.meta.serial;
    if (out.state == freshness::absent) {
        count(counters_->unusable);
        return;
    }
    out.value = e.value;
    out.is_known = true;
    if (out.state == freshness::reserve) {
        count(counters_->unusable);
        out.reserve_until = held.has_grace(at) ? held.suspect_until : reserve_until(held.times, lives);
    } else if (out.state == freshness::stale) {
        count(counters_->stale_while_revalidate);
    } else if (out.state == freshness::back_off) {
        count(counters_->stale_in_backoff);
    } else if (e.meta.slides && e.value) {
        slide(key, e.meta, at);
    }
}

// Prolonged in L1 by each hit, in the remote level once a quarter of the life has passed.
template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::slide(const K& key, const entry_meta& meta, time_point at) {
    const time_point before = meta.fresh_until.get();
    const time_point until = after(at, meta.life);
    if (until <= before) {
        return;
    }
    const duration reserve = meta.stale_until.get() - before;
    meta.fresh_until.set(until);
    meta.stale_until.set(after(until, reserve));
    if (remote_ == nullptr || !remote_->has_store() || until - meta.told_until.get() < meta.life / 4) {
        return;
    }
    meta.told_until.set(until);
    try {
        boost::asio::co_spawn(
            options_.executor,
            [level = remote_, name = name_of(key), life = meta.life, reserve]()
                -> boost::asio::awaitable<void> { co_await level->async_touch(name, life, life + reserve); },
            boost::asio::detached);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it expires there a little sooner
    }
}

template <class K, class V, class Hash, class Eq>
lookup_result<V> cache_core<K, V, Hash, Eq>::lookup(const K& key) {
    lookup_result<V> result;
    const time_point at = now();
    local_.visit_at(key, at, [&](const entry<V>& e) {
        const auto standing = trust_->judge(e.meta, at, [&] { return text_of(key); });
        if (standing == trust::standing::invalid || at >= e.meta.stale_until.get()) {
            return;
        }
        const bool is_fresh = at < e.meta.fresh_until.get();
        if (!e.value && (!is_fresh || standing == trust::standing::suspect)) {
            return;
        }
        result.state = !e.value                               ? entry_state::negative
                       : standing == trust::standing::suspect ? entry_state::suspect
                       : is_fresh                             ? entry_state::fresh
                                                              : entry_state::stale;
        result.value = e.value;
        result.level = cache_level::local;
        result.age = at - e.meta.stored_at;
        result.version = e.meta.version;
    });
    if (result.state == entry_state::miss) {
        count(counters_->unusable);
    }
    return result;
}

template <class K, class V, class Hash, class Eq>
flight_setup cache_core<K, V, Hash, Eq>::set_up(const K& key, const entry_options& lives,
                                                std::uint64_t replacing, bool is_nested) {
    flight_setup setup;
    setup.options = lives;
    setup.time = options_.scheduler;
    setup.counters = counters_;
    setup.trusted = trust_;
    setup.remote = remote_;
    setup.gate = gate_;
    if (remote_ != nullptr) {
        setup.key_text = text_of(key);
        setup.remote_name = remote_->name_of(setup.key_text);
        if (setup.remote_name.empty()) {
            count(counters_->remote_oversized);
        }
    }
    const time_point start = options_.scheduler ? options_.scheduler->now() : clock::precise().now();
    setup.deadline = after(start, lives.load_timeout);
    if (lives.soft_timeout > duration::zero()) {
        setup.soft_deadline = after(start, lives.soft_timeout);
    }
    setup.refreshes = replacing;
    setup.seed = next_draw();
    setup.is_nested = is_nested;
    return setup;
}

template <class K, class V, class Hash, class Eq>
bool cache_core<K, V, Hash, Eq>::begin(flight_type& flight) {
    if (!flight.is_detached()) {  // else it may not store, and its lease could void a newer flight's
        flight.lease = local_.begin_fill(flight.key);
    }
    auto known = local_.peek(flight.key);
    if (!known) {
        return false;
    }
    const time_point at = now();
    const entry_meta& meta = known->meta;
    const auto standing = trust_->judge(meta, at, [&] { return flight.setup().key_text; });
    if (standing == trust::standing::invalid) {
        return false;
    }
    held_entry held{.times = meta.times(), .is_negative = !known->value};
    held.is_suspect = standing == trust::standing::suspect;
    held.suspect_until = held.is_suspect ? trust_->suspect_until() : time_point{};
    entry_options lives = flight.options();
    lives.ahead = {};
    const freshness state = judge(held, lives, at, 0.0);
    if (state == freshness::fresh && meta.serial != flight.setup().refreshes) {
        local_.abandon(std::exchange(flight.lease, {}));
        flight.answer = known->value ? loaded<V>::found(std::move(*known->value)) : loaded<V>::missing();
        return true;
    }
    if (known->value && state != freshness::absent) {
        flight.offer_reserve({.if_error_until = at < held.times.fresh_until && !held.is_suspect
                                                    ? held.times.fresh_until
                                                    : reserve_until(held.times, lives),
                              .stale_until = (std::max)(held.times.fresh_until, held.times.stale_until),
                              .is_suspect = held.has_grace(at),
                              .suspect_until = held.suspect_until});
        flight.reserve_value = std::move(known->value);
        flight.reserve_version = meta.version;
    }
    return false;
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::end(flight_type& flight) noexcept {
    if (flight.error != nullptr) {
        count(counters_->load_failures);
        if (flight.fall_back(now())) {
            note_failure(flight);
            flight.error = nullptr;
        } else if (flight.reserve()) {
            note_failure(flight);
        }
    }
    if (flight.lease.id != 0) {
        store(flight);
    }
    flights_.detach(flight, true);
    flight.finish(flight.error == nullptr);
}

// The value that stands in does so for a while without another load.
template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::note_failure(const flight_type& flight) noexcept {
    try {
        if (!flight.is_detached() && flight.options().error_backoff > duration::zero()) {
            local_.peek(flight.key, [&](const entry<V>& known) {
                known.meta.retry_at.set(after(now(), flight.options().error_backoff));
                known.meta.calm_until.set((time_point::min)());
            });
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): Hash or Eq threw; the next caller tries sooner
    }
}

template <class K, class V, class Hash, class Eq>
entry_meta cache_core<K, V, Hash, Eq>::new_meta(const result_times& times, const entry_options& lives,
                                                std::uint32_t epoch) {
    const time_point at = now();
    duration limit = lives.local_ttl;
    if (limit == duration::zero() && options_.remote != nullptr && options_.backplane == nullptr) {
        limit = std::chrono::seconds(5);  // nobody tells of changes
    }
    const duration most = options_.local.time_to_live;
    if (most > duration::zero() && (limit == duration::zero() || most < limit)) {
        limit = most;
    }
    duration fresh_left = times.fresh_left;
    if (limit > duration::zero()) {
        fresh_left = (std::min)(fresh_left, limit);
    }
    entry_meta meta;
    meta.fresh_until.set(after(at, fresh_left));
    meta.stale_until.set((std::min)(after(at, (std::max)(times.stale_left, fresh_left)),
                                    after(meta.fresh_until.get(), reserve_life(lives))));
    meta.told_until.set(meta.fresh_until.get());
    meta.stored_at = at;
    meta.life = fresh_left == (duration::max)() ? duration::zero() : fresh_left;
    meta.cost = times.cost;
    meta.slides = lives.sliding && meta.life > duration::zero();
    meta.calm_until.set(meta.slides ? (time_point::min)() : calm_until(meta.times(), lives));
    meta.epoch = epoch;
    meta.serial = next_draw() + 1;
    meta.stamp = times.stamp;
    meta.version = times.version;
    if (!times.tags.empty()) {
        meta.tags = std::make_shared<const std::vector<std::string>>(times.tags);
    }
    return meta;
}

// How long L1 holds it; a sliding life is looked after here.
template <class K, class V, class Hash, class Eq>
duration cache_core<K, V, Hash, Eq>::kept_for(const entry_meta& meta, time_point at) noexcept {
    const time_point until = (std::max)(meta.stale_until.get(), meta.fresh_until.get());
    return meta.slides || until == (time_point::max)() ? (duration::max)()
                                                       : (std::max)(until - at, duration(1));
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::store(flight_type& flight) noexcept {
    try {
        const bool keeps_reserve = flight.is_reserve() && flight.is_remote_reserve();
        if (flight.error != nullptr || !flight.may_be_kept() || is_closed_.load(std::memory_order_acquire) ||
            (flight.is_reserve() && !keeps_reserve)) {
            local_.abandon(flight.lease);
            return;
        }
        result_times times = flight.times();
        if (keeps_reserve) {
            times.fresh_left = duration::zero();
        }
        entry<V> made{flight.answer.what == load_outcome::value ? flight.answer.value : std::optional<V>(),
                      new_meta(times, flight.options(), flight.epoch())};
        if (keeps_reserve) {
            made.meta.retry_at.set(after(now(), flight.options().error_backoff));
        }
        const std::uint64_t serial = made.meta.serial;
        const bool is_negative = !made.value;
        const duration kept = kept_for(made.meta, now());
        const bool has_no_fence = remote_ != nullptr && remote_->holes().local_fence;
        bool is_stored = true;
        if (has_no_fence) {
            local_.put(flight.key, std::move(made), kept);
        } else {
            is_stored = local_.fill(flight.lease, flight.key, std::move(made), kept);
        }
        if (is_negative && is_stored) {
            keep_negative(flight.key, serial);
        }
    } catch (...) {
        // A value that cannot be copied or weighed is not cached; the waiters have it all the same.
        local_.abandon(flight.lease);
    }
}

template <class K, class V, class Hash, class Eq>
void cache_core<K, V, Hash, Eq>::keep_negative(const K& key, std::uint64_t serial) {
    if (const auto oldest = negatives_.add(key, serial)) {
        // Gone it may be, and expired; not replaced.
        bool is_another = false;
        local_.peek(oldest->key, [&](const entry<V>& e) { is_another = e.meta.serial != oldest->serial; });
        if (!is_another) {
            local_.invalidate(oldest->key);
        }
    }
}

}  // namespace levee::cache_detail
