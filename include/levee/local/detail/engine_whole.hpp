/// Making a cache, and what is told of the whole. Included by engine.hpp.
#pragma once

#include <algorithm>

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
engine<K, V, Hash, Eq>::engine(options_type options, Hash hash, Eq equal)
    : options_(std::move(options)),
      desk_(std::make_shared<removal_desk<K, V>>(options_.on_removal, options_.executor)),
      hash_(std::move(hash)),
      equal_(std::move(equal)),
      clock_(options_.clock != nullptr ? options_.clock : &clock::coarse()),
      time_to_idle_(options_.time_to_idle == duration::zero() ? never : options_.time_to_idle.count()),
      shard_total_((check_options(checked()), shard_count(checked()))),
      last_shard_(shard_total_ - 1),
      cells_(make_cells(shard_total_)),
      arena_(shard_total_, bytes_of_a_table()),
      anything_ends_(options_.time_to_live != duration::zero() || time_to_idle_ != never),
      budget_(options_.max_entries, options_.max_weight) {
    splitmix64 seeds(~seed_);  // the device costs more than all else here: asked once
    shard_setup setup = setup_of_shards();
    setup.advisor = make_shared_advisor(seeds(), shard_total_);
    shards_.reserve(shard_total_);
    for (std::size_t i = 0; i < shard_total_; ++i) {
        setup.seed = seeds();
        setup.readers = &cells_[i];
        setup.slice = arena_.slice(i);
        shards_.push_back(std::make_unique<shard_type>(setup));
    }
}

template <class K, class V, class Hash, class Eq>
checked_options engine<K, V, Hash, Eq>::checked() const noexcept {
    return {.max_entries = options_.max_entries,
            .max_weight = options_.max_weight,
            .has_weigher = static_cast<bool>(options_.weigher),
            .time_to_live = options_.time_to_live,
            .time_to_idle = options_.time_to_idle,
            .ttl_jitter = options_.ttl_jitter,
            .compute_timeout = options_.compute_timeout,
            .shards = options_.shards};
}

template <class K, class V, class Hash, class Eq>
shard_setup engine<K, V, Hash, Eq>::setup_of_shards() const noexcept {
    using content = slot_index::content;
    using times = slot_layout::times;
    const bool lives =
        options_.time_to_live != duration::zero() && options_.time_to_live != (duration::max)();
    const times expiry = time_to_idle_ != never ? times::life_and_use : lives ? times::life : times::none;
    constexpr bool is_small = shard_type::is_small;
    return {.content = is_small ? content::values : content::pointer,
            .payload = slot_payload<K, V>(),
            .expiry = is_small ? expiry : times::none,
            .has_weights = static_cast<bool>(options_.weigher),
            .has_wide_weights = options_.max_weight == 0 || options_.max_weight > 0xffffffffU,
            .time_to_idle = time_to_idle_,
            .expected_entries = entries_in_a_shard(options_.max_entries, shard_total_),
            .expected_weight = options_.max_weight / shard_total_,
            .least_weight = shard_total_ == 1 ? 0 : options_.max_weight / shard_total_ / 4,
            .seed = 0,
            .readers = nullptr,
            .slice = {},
            .advisor = nullptr};
}

template <class K, class V, class Hash, class Eq>
std::size_t engine<K, V, Hash, Eq>::bytes_of_a_table() const noexcept {
    const shard_setup setup = setup_of_shards();
    return slot_index::settled_bytes(setup.content, setup.payload, setup.expiry, setup.expected_entries);
}

template <class K, class V, class Hash, class Eq>
cache_stats engine<K, V, Hash, Eq>::stats() const {
    cache_stats sum;
    for (const auto& where : shards_) {
        const std::lock_guard lock(where->mutex);
        sum += where->stats;
    }
    const auto add = [&sum](const looked_up& cell) {
        sum.hits += cell.hits.load(std::memory_order_relaxed);
        sum.misses += cell.misses.load(std::memory_order_relaxed);
    };
    add(looked_up_without_cell_);
    looked_up_.for_each(add);
    sum.listener_failures = desk_->failures.load(std::memory_order_relaxed);
    return sum;
}

template <class K, class V, class Hash, class Eq>
std::size_t engine<K, V, Hash, Eq>::memory_usage() const {
    std::size_t sum = sizeof(*this) + shards_.capacity() * (sizeof(shards_[0]) + sizeof(shard_type));
    for (const auto& where : shards_) {
        const std::lock_guard lock(where->mutex);
        sum += where->memory_locked();
        if constexpr (!shard_type::is_small) {
            sum += where->index.size() * sizeof(node<K, V>);
        }
    }
    return sum;
}

template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::is_consistent() const {
    room sum{};
    for (const auto& where : shards_) {
        const std::lock_guard lock(where->mutex);
        if (!where->is_consistent_locked()) {
            return false;
        }
        sum.entries += where->index.size();
        sum.weight += where->weight;
    }
    const room held = budget_.held();
    return sum.entries == held.entries && sum.weight == held.weight;
}

/// Of the shards together, each counting by what it holds.
template <class K, class V, class Hash, class Eq>
replacement_report engine<K, V, Hash, Eq>::replacement() const {
    replacement_report sum;
    double share = 0, half = 0, twice = 0;
    std::size_t held = 0, held_by_telling = 0;
    for (const auto& where : shards_) {
        const std::lock_guard lock(where->mutex);
        const replacement_report one = where->policy->report();
        const std::size_t size = where->index.size();
        const auto part = static_cast<double>(size);
        share += one.window_share * part;
        held += size;
        sum.admissions_refused += one.admissions_refused;
        if (one.ages_at_eviction) {
            sum.ages_at_eviction = one.ages_at_eviction;  // shards tell them together
        }
        if (one.miss_factor_at_half && one.miss_factor_at_twice) {
            half += *one.miss_factor_at_half * part;
            twice += *one.miss_factor_at_twice * part;
            held_by_telling += size;
        }
    }
    sum.window_share = held != 0 ? share / static_cast<double>(held) : 0;
    if (2 * held_by_telling > held) {
        sum.miss_factor_at_half = half / static_cast<double>(held_by_telling);
        sum.miss_factor_at_twice = twice / static_cast<double>(held_by_telling);
    }
    return sum;
}

template <class K, class V, class Hash, class Eq>
std::optional<double> engine<K, V, Hash, Eq>::estimated_hit_ratio_at(std::size_t entries) const {
    const std::optional<double> now = stats().hit_ratio();
    const std::size_t size = budget_.held().entries;
    if (!now || size == 0) {
        return std::nullopt;
    }
    const auto factor =
        replacement().miss_factor_at(static_cast<double>(entries) / static_cast<double>(size));
    return factor ? std::optional((std::max)(0.0, 1 - (1 - *now) * *factor)) : std::nullopt;
}

}  // namespace levee::local_detail
