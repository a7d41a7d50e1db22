#include "hit_ratio/policies/adaptive.hpp"

#include <levee/core/hash.hpp>

namespace levee::lab {

namespace {

constexpr std::uint64_t seed = 1;

std::uint32_t hash_of_key(std::uint32_t id) {
    return static_cast<std::uint32_t>(hash_mix(id + std::uint64_t{1}) >> 32);
}

}  // namespace

class adaptive::host final : public local_detail::policy_host {
public:
    struct entry {
        std::uint32_t key;
        std::uint32_t cost;
        bool referenced;
    };
    std::vector<entry> entries{};

    bool take_reference(local_detail::entry_id id) noexcept override {
        const bool was = entries[id].referenced;
        entries[id].referenced = false;
        return was;
    }
    [[nodiscard]] bool is_referenced(local_detail::entry_id id) const noexcept override {
        return entries[id].referenced;
    }
    [[nodiscard]] std::uint32_t hash_of(local_detail::entry_id id) const noexcept override {
        return hash_of_key(entries[id].key);
    }
    [[nodiscard]] std::size_t weight_of(local_detail::entry_id id) const noexcept override {
        return entries[id].cost;
    }
    void prefetch(local_detail::entry_id) const noexcept override {}
};

adaptive::adaptive(const policy_setup& setup)
    : held_(setup),
      policy_(local_detail::make_adaptive_policy(seed)),
      host_(std::make_unique<host>()),
      entry_of_(setup.distinct, local_detail::no_entry) {
    policy_->expect(setup.by_size ? 0 : setup.capacity, setup.by_size ? setup.capacity : 0);
}

adaptive::~adaptive() = default;

bool adaptive::access(std::uint32_t id, std::uint32_t size) {
    if (held_.holds(id)) {
        host_->entries[entry_of_[id]].referenced = true;
        return true;
    }
    const std::uint32_t cost = held_.cost_of(size);
    if (!held_.can_ever_hold(cost)) {
        return false;
    }
    const local_detail::newcomer comes{hash_of_key(id), cost};
    while (!held_.has_room_for(cost)) {
        const auto gone = policy_->victim(*host_, &comes, local_detail::no_entry);
        if (gone == local_detail::the_newcomer) {
            return false;
        }
        policy_->erase(gone, host_->hash_of(gone), removal_cause::size);
        held_.remove(host_->entries[gone].key);
        free_.push_back(gone);
    }
    if (free_.empty()) {
        const auto fresh = static_cast<local_detail::entry_id>(host_->entries.size());
        host_->entries.push_back({});
        policy_->reserve(fresh + 1);
        free_.push_back(fresh);
    }
    const auto entry = free_.back();
    free_.pop_back();
    host_->entries[entry] = {id, cost, false};
    entry_of_[id] = entry;
    held_.add(id, cost);
    policy_->insert(entry, comes.hash, cost);
    return false;
}

}  // namespace levee::lab
