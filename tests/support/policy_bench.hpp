/// A cache of numbers around an `eviction_policy`: no locks, no values, everything is counted.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "levee/core/hash.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::test {

/// Asks a policy as a shard does.
class policy_bench final : public local_detail::policy_host {
public:
    using entry_id = local_detail::entry_id;
    static constexpr entry_id none = local_detail::no_entry;

    struct entry {
        std::uint64_t key = 0;
        std::size_t weight = 0;  // zero: unused
        bool referenced = false;
    };

    policy_bench(local_detail::eviction_policy& policy, std::size_t max_entries, std::size_t max_weight = 0)
        : policy_(policy), max_entries_(max_entries), max_weight_(max_weight) {
        policy_.expect(max_entries, max_weight);
    }

    static std::uint32_t hash(std::uint64_t key) {
        return static_cast<std::uint32_t>(hash_mix(key + 1) >> 32);
    }

    /// A look-up, and a store if it missed. Whether it was a hit.
    bool access(std::uint64_t key, std::size_t weight = 1) {
        if (const auto found = by_key.find(key); found != by_key.end()) {
            entries[found->second].referenced = true;
            return true;
        }
        const local_detail::newcomer comes{hash(key), weight};
        while (by_key.size() >= max_entries_ || (max_weight_ != 0 && held_weight + weight > max_weight_)) {
            if (!evict(&comes)) {
                return false;
            }
        }
        if (free_.empty()) {
            entries.push_back({});
            policy_.reserve(static_cast<entry_id>(entries.size()));
            free_.push_back(static_cast<entry_id>(entries.size() - 1));
        }
        const entry_id id = free_.back();
        free_.pop_back();
        entries[id] = {key, weight, false};
        by_key[key] = id;
        held_weight += weight;
        policy_.insert(id, comes.hash, weight);
        return false;
    }

    /// One victim goes; false: there is none.
    bool evict(const local_detail::newcomer* comes = nullptr, entry_id keep = none) {
        asked = looked_at = 0;
        const entry_id gone = policy_.victim(*this, comes, keep);
        most_asked = asked > most_asked ? asked : most_asked;
        most_looked_at = looked_at > most_looked_at ? looked_at : most_looked_at;
        if (gone == none || gone == local_detail::the_newcomer) {
            return false;
        }
        remove(gone, removal_cause::size);
        return true;
    }

    void remove(entry_id id, removal_cause why) {
        policy_.erase(id, hash(entries[id].key), why);
        held_weight -= entries[id].weight;
        by_key.erase(entries[id].key);
        entries[id] = {};
        free_.push_back(id);
        ++removed;
    }

    [[nodiscard]] bool take_reference(entry_id id) noexcept override {
        ++asked;
        const bool was = entries[id].referenced || always_referenced;
        entries[id].referenced = false;
        return was;
    }
    [[nodiscard]] bool is_referenced(entry_id id) const noexcept override { return entries[id].referenced; }
    [[nodiscard]] std::uint32_t hash_of(entry_id id) const noexcept override {
        ++looked_at;
        return hash(entries[id].key);
    }
    [[nodiscard]] std::size_t weight_of(entry_id id) const noexcept override { return entries[id].weight; }
    void prefetch(entry_id) const noexcept override {}

    std::vector<entry> entries{};
    std::unordered_map<std::uint64_t, entry_id> by_key{};
    std::size_t held_weight = 0;
    std::size_t removed = 0;
    std::size_t asked = 0, most_asked = 0;  // reference bits, in one call of `victim`
    mutable std::size_t looked_at = 0;
    std::size_t most_looked_at = 0;  // hashes asked for in one call of `victim`
    bool always_referenced = false;

private:
    local_detail::eviction_policy& policy_;
    std::size_t max_entries_, max_weight_;
    std::vector<entry_id> free_{};
};

}  // namespace levee::test
