/// The entries by how soon they would be evicted, and snapshots of them. Included by engine.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "levee/local/detail/engine.hpp"
#include "levee/local/detail/snapshot.hpp"

namespace levee::local_detail {

/// An entry that cannot go away: a copy of small ones, a hold on a node.
template <class K, class V, class Hash, class Eq>
class engine<K, V, Hash, Eq>::kept_entry {
public:
    kept_entry(const shard_type& where, entry_id id) : life(where.end_locked(id)) {
        if constexpr (shard_type::is_small) {
            const auto [table, slot] = where.index.find_id(id);
            std::byte* const cell = table->slot(slot);
            held_.emplace(shard_type::small_type::in(cell).key,
                          shard_type::small_type::value_in(cell).load(std::memory_order_relaxed));
        } else {
            held_ = where.node_locked(id);
            held_->holds.fetch_add(1, std::memory_order_relaxed);
        }
    }
    kept_entry(kept_entry&& other) noexcept : life(other.life), held_(std::exchange(other.held_, {})) {}
    kept_entry& operator=(kept_entry&&) = delete;
    ~kept_entry() {
        if constexpr (!shard_type::is_small) {
            if (held_ != nullptr) {
                held_->holds.fetch_sub(1, std::memory_order_release);  // pairs with `collect_locked`
            }
        }
    }

    [[nodiscard]] const K& key() const noexcept {
        if constexpr (shard_type::is_small) {
            return held_->first;
        } else {
            return static_cast<const node<K, V>*>(held_)->key;
        }
    }
    [[nodiscard]] const V& value() const noexcept {
        if constexpr (shard_type::is_small) {
            return held_->second;
        } else {
            return static_cast<const node<K, V>*>(held_)->value;
        }
    }

    const std::int64_t life;

private:
    std::conditional_t<shard_type::is_small, std::optional<std::pair<K, V>>, node_base*> held_{};
};

/// Up to `count` of a shard's live entries in order. Pinned ones are the hottest.
template <class K, class V, class Hash, class Eq>
auto engine<K, V, Hash, Eq>::ordered_in(shard_type& where, bool hottest_first, std::size_t count) const
    -> std::vector<kept_entry> {
    std::vector<kept_entry> kept;
    std::vector<entry_id> ids;
    const std::int64_t at = now_if_anything_ends();
    const std::lock_guard lock(where.mutex);
    const std::size_t wanted = (std::min)(count, where.index.size());
    ids.resize(wanted);
    std::size_t found = 0;
    const auto add_pinned = [&] {
        for (entry_id id = 0; options_.weigher && id < where.index.id_end() && found < wanted; ++id) {
            if (where.index.is_used(id) && where.weight_locked(id) == 0) {
                ids[found++] = id;
            }
        }
    };
    if (hottest_first) {
        add_pinned();
    }
    found += where.policy->order(where, hottest_first, ids.data() + found, wanted - found);
    if (!hottest_first) {
        add_pinned();
    }
    kept.reserve(found);
    for (std::size_t i = 0; i < found; ++i) {
        if (!where.is_expired_locked(ids[i], at)) {
            kept.emplace_back(where, ids[i]);
        }
    }
    return kept;
}

/// Calls `visit(kept_entry)` in order for `count` entries of all shards, which take turns.
template <class K, class V, class Hash, class Eq>
template <class Visit>
void engine<K, V, Hash, Eq>::visit_ordered(bool hottest_first, std::size_t count, Visit&& visit) const {
    std::vector<std::vector<kept_entry>> kept;
    std::size_t longest = 0;
    for (const auto& where : shards_) {
        kept.push_back(ordered_in(*where, hottest_first, count));
        longest = (std::max)(longest, kept.back().size());
    }
    // Shards end together: the coldest, or hottest, of a shard with few stands for a longer stretch.
    for (std::size_t turn = 0; turn < longest && count != 0; ++turn) {
        for (const auto& of_shard : kept) {
            if (turn < of_shard.size() && count != 0) {
                visit(of_shard[turn]);
                --count;
            }
        }
    }
}

template <class K, class V, class Hash, class Eq>
std::vector<std::pair<K, V>> engine<K, V, Hash, Eq>::ordered(bool hottest_first, std::size_t count) const {
    std::vector<std::pair<K, V>> copies;
    visit_ordered(hottest_first, count,
                  [&](const kept_entry& one) { copies.emplace_back(one.key(), one.value()); });
    return copies;
}

template <class K, class V, class Hash, class Eq>
template <class Encode>
void engine<K, V, Hash, Eq>::snapshot(std::ostream& out, Encode& encode) const {
    snapshot_writer writer(out);
    std::string bytes;
    const std::int64_t at = now();
    visit_ordered(false, (std::numeric_limits<std::size_t>::max)(), [&](const kept_entry& one) {
        bytes.clear();
        encode(one.key(), one.value(), bytes);
        writer.add(one.life == never ? -1 : (std::max<std::int64_t>)(one.life - at, 1), bytes);
    });
    writer.finish();
}

template <class K, class V, class Hash, class Eq>
template <class Decode>
std::size_t engine<K, V, Hash, Eq>::restore(std::istream& in, Decode& decode) {
    std::size_t count = 0;
    for (const snapshot_record& record : read_snapshot(in)) {
        std::optional<std::pair<K, V>> pair = decode(std::string_view(record.bytes));
        if (!pair) {
            continue;
        }
        put(std::move(pair->first), std::move(pair->second),
            record.life_left < 0 ? duration::zero() : duration(record.life_left));
        ++count;
    }
    return count;
}

}  // namespace levee::local_detail
