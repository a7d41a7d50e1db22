/// The entries by how soon they would be evicted, and snapshots of them. Included by engine.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "levee/local/detail/engine.hpp"
#include "levee/local/detail/snapshot.hpp"

namespace levee::local_detail {

/// Up to `count` of a shard's entries in order. Pinned ones are the hottest.
template <class K, class V, class Hash, class Eq>
auto engine<K, V, Hash, Eq>::ordered_in(shard_type& where, bool hottest_first, std::size_t count) const
    -> std::vector<ranked_entry> {
    std::vector<entry_id> ids;
    std::vector<ranked_entry> ranked;
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
    ranked.reserve(found);
    for (std::size_t i = 0; i < found; ++i) {
        ranked.push_back({ids[i], where.index.hash_of(ids[i])});
    }
    return ranked;
}

/// Calls `visit(kept_entry)` in order for `count` entries of all shards, which take turns: for those of the
/// order at first that are still there, and live. Few are kept at a time, so that those which are replaced
/// meanwhile can be freed.
template <class K, class V, class Hash, class Eq>
template <class Visit>
void engine<K, V, Hash, Eq>::visit_ordered(bool hottest_first, std::size_t count, Visit&& visit) const {
    std::vector<std::vector<ranked_entry>> ranked;
    std::vector<std::vector<kept_entry>> kept(shard_total_);
    std::size_t longest = 0;
    for (std::size_t i = 0; i < shard_total_; ++i) {
        ranked.push_back(ordered_in(*shards_[i], hottest_first, count));
        longest = (std::max)(longest, ranked[i].size());
        kept[i].reserve((std::min)(kept_at_a_time, ranked[i].size()));
    }
    // Shards end together: the coldest, or hottest, of a shard with few stands for a longer stretch.
    for (std::size_t first = 0; first < longest && count != 0; first += kept_at_a_time) {
        const std::int64_t at = now_if_anything_ends();
        for (std::size_t i = 0; i < shard_total_; ++i) {
            kept[i].clear();
            const shard_type& where = *shards_[i];
            const std::lock_guard lock(shards_[i]->mutex);
            const std::size_t end = (std::min)(first + kept_at_a_time, ranked[i].size());
            for (std::size_t n = first; n < end; ++n) {
                const auto [id, hash] = ranked[i][n];
                if (where.index.is_used(id) && where.index.hash_of(id) == hash &&
                    !where.is_expired_locked(id, at)) {
                    kept[i].emplace_back(where, id);
                }
            }
        }
        for (std::size_t turn = 0; turn < kept_at_a_time && count != 0; ++turn) {
            for (std::size_t i = 0; i < shard_total_ && count != 0; ++i) {
                if (turn < kept[i].size()) {
                    visit(kept[i][turn]);
                    --count;
                }
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
