/// What L1 holds for a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "levee/cache/detail/freshness.hpp"
#include "levee/cache/detail/relaxed.hpp"
#include "levee/local/local_cache_options.hpp"

namespace levee::cache_detail {

/// All of an entry but its value. The first line is what a hit looks at.
struct entry_meta {
    relaxed<time_point> calm_until{(time_point::min)()};  ///< Until then a hit that is trusted is fresh.
    relaxed<std::uint32_t> trusted_at{0};                 ///< `trust::version()` at which it was checked.
    std::uint32_t epoch = 0;                              ///< `trust::epoch()` when its load began.

    relaxed<time_point> fresh_until{(time_point::max)()};
    relaxed<time_point> stale_until{(time_point::max)()};
    relaxed<time_point> retry_at{(time_point::min)()};
    relaxed<time_point> told_until{(time_point::max)()};  ///< Of a sliding one: its end in the remote level.
    time_point stored_at{};
    duration life{};
    duration cost{};
    bool slides = false;

    std::uint64_t serial = 0;   ///< Of this cache, never twice: which entry it is.
    std::uint64_t stamp = 0;    ///< The marks that its filler had seen.
    std::uint64_t version = 0;  ///< The source's.
    std::shared_ptr<const std::vector<std::string>> tags{};

    [[nodiscard]] entry_times times() const noexcept {
        return {.fresh_until = fresh_until.get(),
                .stale_until = stale_until.get(),
                .retry_at = retry_at.get(),
                .life = life,
                .cost = cost};
    }
};

/// A value, or the knowledge that there is none.
template <class V>
struct entry {
    std::optional<V> value;
    entry_meta meta;
};

/// The user's options for L1, told to a local_cache of entries. Lives are the entries' own.
template <class K, class V>
local_cache_options<K, entry<V>> entry_cache_options(const local_cache_options<K, V>& user) {
    local_cache_options<K, entry<V>> options;
    options.max_entries = user.max_entries;
    options.max_weight = user.max_weight;
    options.time_to_live = user.time_to_live;
    options.time_to_idle = user.time_to_idle;
    options.executor = user.executor;
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

}  // namespace levee::cache_detail
