/// The type-free part of a shard: who is in, how heavy, until when, and who goes next.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "levee/core/random.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/budget.hpp"
#include "levee/local/detail/entry_slot.hpp"
#include "levee/local/detail/entry_weights.hpp"
#include "levee/local/detail/grace_queue.hpp"
#include "levee/local/detail/policy.hpp"
#include "levee/local/detail/slot_index.hpp"
#include "levee/local/detail/timer_wheel.hpp"

namespace levee::local_detail {

/// What a shard is told when it is made.
struct shard_setup {
    slot_index::content content;
    std::size_t payload;
    slot_layout::times expiry;
    bool has_weights;
    bool has_wide_weights;      ///< Of 2^32 and more.
    std::int64_t time_to_idle;  ///< `never`: it has none.
    std::size_t expected_entries, expected_weight;
    std::size_t least_weight;  ///< With less, others that have more are to evict for it.
    std::uint64_t seed;
    table_cell* readers;                      ///< Where they begin; outlives the shard.
    std::span<std::byte> slice;               ///< Of the cache's arena; as of `slot_index`.
    std::shared_ptr<shared_advisor> advisor;  ///< Of the cache. Null: the shard has one of its own.
};

/// Thread safety: whoever calls a `_locked` function holds `mutex`, which guards everything here; readers
/// use `index.find` and `index.find_in_both` without it.
class shard_core : public policy_host {
protected:
    ~shard_core() = default;

public:
    explicit shard_core(const shard_setup& setup);

    slot_index index;
    alignas(64) std::mutex mutex;
    std::size_t weight = 0;  // of all entries
    cache_stats stats{};
    bool is_stalled = false;  // an insert gave up waiting for readers, and nothing has passed since
    xoshiro256 jitter;
    std::optional<entry_weights> weights;     // none: each entry weighs 1
    std::unique_ptr<eviction_policy> policy;  // may read `weights`

    /// Makes sure that an entry can be added or replaced, and that it can end if `life` says so. False: too
    /// much waits for a reader that does not end. Errors: std::bad_alloc; nothing is changed.
    [[nodiscard]] bool prepare_locked(std::int64_t life, std::int64_t now, bool adds);

    /// The entry was written to the slot.
    entry_id admit_locked(slot_number at, std::uint64_t hash, std::size_t its_weight, std::int64_t life,
                          std::int64_t now) noexcept;

    /// Its value was replaced by one that weighs and ends like this.
    void rewrite_locked(entry_id id, std::size_t its_weight, std::int64_t life, std::int64_t now) noexcept;

    /// Takes it out of everything; the caller gives what that frees to the budget or keeps it.
    room remove_locked(entry_id id, removal_cause cause) noexcept;

    /// A node that readers may still see, to be freed later.
    void retire_locked(node_base& gone) noexcept;

    /// Nodes that nobody can see, as a chain by `next_retired`. `force`: also a few. Those that somebody
    /// holds are left to the last who does.
    [[nodiscard]] node_base* collect_locked(bool force) noexcept;

    [[nodiscard]] std::size_t weight_locked(entry_id id) const noexcept {
        return weights ? (*weights)[id] : 1;
    }

    /// When its time to live ends; `never`.
    [[nodiscard]] std::int64_t life_locked(entry_id id) const noexcept { return times_locked(id).life; }

    /// When the entry ends, unless it is used; `never`.
    [[nodiscard]] std::int64_t end_locked(entry_id id) const noexcept;
    [[nodiscard]] bool is_expired_locked(entry_id id, std::int64_t now) const noexcept {
        return has_ended_by(now, end_locked(id));
    }

    /// Calls `remove(id)` for entries that have ended, at most `budget`; true: for all of them.
    template <class Remove>
    bool expire_locked(std::int64_t now, std::size_t budget, Remove&& remove) {
        return !wheel_ || wheel_->advance(now, budget, [&](entry_id id) {
            const std::int64_t end = end_locked(id);
            if (now >= end) {
                remove(id);
            }
            return end;
        });
    }

    void expect_locked(std::size_t entries, std::size_t its_weight);
    [[nodiscard]] std::size_t memory_locked() const noexcept;
    [[nodiscard]] node_base* retired_open() const noexcept { return retired_.open(); }
    [[nodiscard]] node_base* retired_sealed() const noexcept { return retired_.sealed(); }

    /// Whether it holds so little of the weight that others have more to give.
    [[nodiscard]] bool is_poor_locked() const noexcept { return weight < least_weight_; }

    /// Whether index, sums, policy's members and wheel agree; for tests.
    [[nodiscard]] bool is_consistent_locked() const noexcept;

    bool take_reference(entry_id id) noexcept override { return index.take_reference(id); }
    bool is_referenced(entry_id id) const noexcept override { return index.is_referenced(id); }
    std::uint32_t hash_of(entry_id id) const noexcept override { return index.hash_of(id); }
    std::size_t weight_of(entry_id id) const noexcept override { return weight_locked(id); }
    void prefetch(entry_id id) const noexcept override { index.prefetch(id); }

private:
    struct times {
        std::int64_t life, use;
    };
    [[nodiscard]] times times_locked(entry_id id) const noexcept;
    void adapt(std::size_t entries, std::size_t its_weight);
    void set_times(slot_number at, std::int64_t life, std::int64_t now) noexcept;

    const slot_index::content content_;
    const std::int64_t time_to_idle_;
    const std::size_t least_weight_;
    std::optional<timer_wheel> wheel_{};
    grace_queue<node_base*, nullptr> retired_;
    std::uint32_t retired_limit_;
    entry_id id_limit_ = 0;  // that policy, weights and wheel were told
    bool is_tiny_;           // the policy is one for a handful of entries
    const std::shared_ptr<shared_advisor> advisor_;
};

}  // namespace levee::local_detail
