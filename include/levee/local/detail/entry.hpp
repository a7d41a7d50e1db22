/// One cached pair, and what the type-free parts know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/local/removal_cause.hpp"

namespace levee::local_detail {

/// What eviction and expiry know of an entry: neither its key nor its value. Guarded by its shard's mutex.
struct entry_base {
    entry_base* previous = nullptr;  ///< In the ring; null when the entry is in none (pinned, or removed).
    entry_base* next = nullptr;
    time_point life_ends = (time_point::max)();  ///< By time to live; max: never.
    time_point ends = (time_point::max)();       ///< By time to live or to idle, whichever is first.
    std::size_t weight = 1;                      ///< Zero: pinned.
    bool referenced = false;                     ///< Used since the hand last passed.

    [[nodiscard]] bool is_expired(time_point now) const noexcept {
        return now >= ends && ends != (time_point::max)();
    }
};

/// A key and its value, immutable and shared: a reader's pointer keeps them alive past their removal.
template <class K, class V>
struct entry : entry_base {
    template <class Key, class Value>
    entry(std::uint64_t its_hash, Key&& k, Value&& v)
        : hash(its_hash), key(std::forward<Key>(k)), value(std::forward<Value>(v)) {}

    const std::uint64_t hash;
    const K key;
    const V value;

    // Once removed, it belongs to one `removals` chain, which alone uses these.
    std::shared_ptr<entry> next_removed{};
    removal_cause cause{};
};

}  // namespace levee::local_detail
