/// The seam between a shard and whatever chooses what it evicts: no key, no value, only numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "levee/local/removal_cause.hpp"
#include "levee/local/replacement_report.hpp"

namespace levee::local_detail {

/// Names an entry of one shard, from the moment it is stored until it is removed, also while its value is
/// replaced or the index grows. Small and dense: below the `limit` last told to `eviction_policy::reserve`,
/// which is little more than the most entries the shard ever had. The id given back last is given out first,
/// so the one that replaces a victim usually gets its id: a sweep in order of ids is CLOCK.
using entry_id = std::uint32_t;

inline constexpr entry_id no_entry = (std::numeric_limits<entry_id>::max)();
inline constexpr entry_id the_newcomer = no_entry - 1;  ///< An answer of `victim`: store nothing.

/// What is about to be stored under a key that has no entry.
struct newcomer {
    std::uint32_t hash;  ///< 32 well-mixed bits of the key's hash; the same each time the key comes.
    std::size_t weight;  ///< Zero: it will be pinned.
};

/// What a shard tells its policy about entries. Valid for ids that are in the policy. Costs a cache miss or
/// two each, unless prefetched some ten nanoseconds before.
class policy_host {
public:
    /// Whether the entry was used (found, or written again) since this was last asked, or since it came in;
    /// forgets it. Readers say so without a lock: a use under way may be seen by the next call only.
    [[nodiscard]] virtual bool take_reference(entry_id id) noexcept = 0;

    /// The same without forgetting.
    [[nodiscard]] virtual bool is_referenced(entry_id id) const noexcept = 0;

    [[nodiscard]] virtual std::uint32_t hash_of(entry_id id) const noexcept = 0;
    [[nodiscard]] virtual std::size_t weight_of(entry_id id) const noexcept = 0;

    /// Begins to fetch what the calls above need. `no_entry` and unused ids do nothing.
    virtual void prefetch(entry_id id) const noexcept = 0;

protected:
    policy_host() = default;
    policy_host(const policy_host&) = default;
    policy_host& operator=(const policy_host&) = default;
    ~policy_host() = default;
};

/// Decides which entry of one shard goes next. One object a shard.
///
/// *What is told.* `insert` and `erase` come in pairs: an entry is in the policy while it can be evicted.
/// Pinned entries (weight zero) never are. A key written again keeps its id and counts as used; `reweigh`
/// follows if its weight changed. Hits are not told: ask `policy_host::take_reference` when sweeping. Nor
/// are misses: who missed and stores comes as a newcomer.
///
/// *Bounds.* They belong to the whole cache and are kept by the shards: a policy is asked for victims until
/// there is room. When it is asked, what it holds is as much as the shard may have.
///
/// Thread safety: every call is made under the shard's lock. No call may wait or run user code: a lock that
/// shards share is tried, or held for no more than a few loads. Each call should cost a bounded or amortised
/// constant, besides what is said below.
class eviction_policy {
public:
    virtual ~eviction_policy() = default;

    /// Ids below `limit` may be used from now on. Never shrinks; called before an id first is in use.
    /// Errors: std::bad_alloc; nothing is changed.
    virtual void reserve(entry_id limit) = 0;

    /// About what the shard will hold when the cache is full: its share of the bounds, zero where there is
    /// none. A hint, for sizing sketches and windows; called before the first insert, and again when the
    /// bound is changed. Errors: std::bad_alloc; the hint is lost.
    virtual void expect(std::size_t entries, std::size_t weight) = 0;

    /// The newcomer was stored; `weight` is above zero.
    virtual void insert(entry_id id, std::uint32_t hash, std::size_t weight) noexcept = 0;

    /// The entry is removed, or pinned (`replaced`). `size`: it was this policy's victim. From `victim`'s
    /// answer until then it is in the policy as before.
    virtual void erase(entry_id id, removal_cause why) noexcept = 0;

    /// As `erase`, for a policy that remembers keys that left: `hash` is the entry's.
    virtual void erase(entry_id id, std::uint32_t /*hash*/, removal_cause why) noexcept { erase(id, why); }

    /// Its weight is another; above zero.
    virtual void reweigh(entry_id id, std::size_t weight) noexcept = 0;

    /// Which entry to evict. `comes` is what room is made for, null if it is for a key that has an entry, for
    /// another shard, or for a smaller bound. Asked again and again until there is room. Answers
    ///  - an entry in the policy: it is erased before the next call;
    ///  - `the_newcomer` (only if `comes` is not null): nothing is evicted, the value is not stored;
    ///  - `no_entry`: nothing is left but `keep`, which must not be answered (it may be `no_entry`).
    [[nodiscard]] virtual entry_id victim(policy_host& host, const newcomer* comes,
                                          entry_id keep) noexcept = 0;

    /// The entries from the next victim to the last one as far as can be told, without changing anything: the
    /// first `count` of them (fewer if there are not as many) are written to `ids`; returns how many.
    /// `hottest_first`: the other way round. Cost: may look at all entries.
    [[nodiscard]] virtual std::size_t order(const policy_host& host, bool hottest_first, entry_id* ids,
                                            std::size_t count) const noexcept = 0;

    /// What it is doing; nothing by default.
    [[nodiscard]] virtual replacement_report report() const noexcept { return {}; }

    /// Bytes it has allocated, without itself.
    [[nodiscard]] virtual std::size_t memory() const noexcept = 0;

protected:
    eviction_policy() = default;
    eviction_policy(const eviction_policy&) = default;
    eviction_policy& operator=(const eviction_policy&) = default;
};

/// CLOCK (Corbató 1968): a hand goes round the ids and evicts the first whose entry was not used since it
/// last came by. One bit an entry.
[[nodiscard]] std::unique_ptr<eviction_policy> make_clock_policy();

/// What the policies of a cache's shards know together of its workload; safe to share.
class shared_advisor;

class entry_weights;

/// For so many shards.
[[nodiscard]] std::shared_ptr<shared_advisor> make_shared_advisor(std::uint64_t seed, std::size_t shards);

/// A window, TinyLFU admission and a CLOCK main part, divided as suits the workload. `seed`: what an enemy
/// who chooses keys must not know. `advisor`: of the cache; null: the policy has one of its own. `weights`:
/// of the shard, that an entry has from before it is inserted until after it is erased, and that is set anew
/// after `reweigh`; null: the policy keeps those that it is told.
[[nodiscard]] std::unique_ptr<eviction_policy> make_adaptive_policy(
    std::uint64_t seed, std::shared_ptr<shared_advisor> advisor = nullptr,
    const entry_weights* weights = nullptr);

}  // namespace levee::local_detail
