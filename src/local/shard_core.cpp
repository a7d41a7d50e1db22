#include "levee/local/detail/shard_core.hpp"

#include <algorithm>
#include <utility>

namespace levee::local_detail {
namespace {

std::uint32_t node_limit(std::size_t expected) noexcept {
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(expected / 16, 1024, 1U << 20));
}

// A handful of entries says nothing about a workload: there, plain CLOCK is as good and easier to foretell.
constexpr std::size_t fewest_for_adapting = 16;

bool is_handful(std::size_t expected) noexcept {
    return expected != 0 && expected < fewest_for_adapting;
}

}  // namespace

shard_core::shard_core(const shard_setup& setup)
    : index(setup.content, setup.payload, setup.expiry, setup.expected_entries, setup.readers, setup.slice),
      jitter(setup.seed),
      weights(setup.has_weights ? std::optional<entry_weights>(setup.has_wide_weights) : std::nullopt),
      policy(is_handful(setup.expected_entries)
                 ? make_clock_policy()
                 : make_adaptive_policy(setup.seed, setup.advisor, weights ? &*weights : nullptr)),
      content_(setup.content),
      time_to_idle_(setup.time_to_idle),
      least_weight_(setup.least_weight),
      retired_(64),
      retired_limit_(node_limit(setup.expected_entries)),
      is_tiny_(is_handful(setup.expected_entries)),
      advisor_(setup.advisor) {
    policy->expect(setup.expected_entries, setup.expected_weight);
}

bool shard_core::prepare_locked(std::int64_t life, std::int64_t now, bool adds) {
    const bool ends = life != never || time_to_idle_ != never;
    if (ends && content_ == slot_index::content::values) {
        index.need_times(slot_layout::times::life);
    }
    if (retired_.size() >= retired_limit_ || (adds && !index.prepare())) {
        return false;
    }
    const bool is_first_to_end = ends && !wheel_;
    if (const entry_id limit = index.id_limit(); limit != id_limit_ || is_first_to_end) [[unlikely]] {
        policy->reserve(limit);
        if (weights) {
            weights->reserve(limit);
        }
        if (is_first_to_end) {
            timer_wheel first(now);
            first.reserve(limit);
            wheel_ = std::move(first);
        } else if (wheel_) {
            wheel_->reserve(limit);
        }
        id_limit_ = limit;
    }
    return true;
}

void shard_core::set_times(slot_number at, std::int64_t life, std::int64_t now) noexcept {
    const group_table& table = index.table();
    std::byte* const slot = table.slot(at);
    if (content_ == slot_index::content::pointer) {
        return;  // they are in the node
    }
    if (table.has_use()) {
        table.use(slot).store(now, std::memory_order_relaxed);
    }
    if (table.has_life()) {
        table.life(slot).store(life, std::memory_order_release);  // after the value; see engine::find
    }
}

entry_id shard_core::admit_locked(slot_number at, std::uint64_t hash, std::size_t its_weight,
                                  std::int64_t life, std::int64_t now) noexcept {
    set_times(at, life, now);
    const hash_parts parts(hash);
    const entry_id id = index.publish(at, parts);
    if (weights) {
        weights->set(id, its_weight);
    }
    weight += its_weight;
    if (its_weight != 0) {
        policy->insert(id, parts.low, its_weight);
    }
    if (wheel_) {
        if (const std::int64_t end = end_locked(id); end != never) {
            wheel_->schedule(id, end);
        }
    }
    return id;
}

void shard_core::rewrite_locked(entry_id id, std::size_t its_weight, std::int64_t life,
                                std::int64_t now) noexcept {
    const slot_number at = index.at(id);
    set_times(at, life, now);
    const std::size_t old_weight = weight_locked(id);
    if (its_weight != old_weight) {
        weight += its_weight - old_weight;
        if (old_weight == 0) {
            weights->set(id, its_weight);
            policy->insert(id, index.hash_of(id), its_weight);
        } else {  // the policy looks at what it weighed
            if (its_weight == 0) {
                policy->erase(id, index.hash_of(id), removal_cause::replaced);
            } else {
                policy->reweigh(id, its_weight);
            }
            weights->set(id, its_weight);
        }
    }
    index.set_reference(at);  // writing it again is a use
    if (wheel_) {
        wheel_->cancel(id);
        if (const std::int64_t end = end_locked(id); end != never) {
            wheel_->schedule(id, end);
        }
    }
}

room shard_core::remove_locked(entry_id id, removal_cause cause) noexcept {
    const room freed{1, weight_locked(id)};
    if (cause == removal_cause::size) {
        ++stats.evictions;
        stats.evicted_weight += freed.weight;
    } else if (cause == removal_cause::expired) {
        ++stats.expirations;
    }
    weight -= freed.weight;
    if (freed.weight != 0) {
        policy->erase(id, index.hash_of(id), cause);
    }
    if (wheel_) {
        wheel_->cancel(id);
    }
    index.remove(id);
    return freed;
}

void shard_core::retire_locked(node_base& gone) noexcept {
    retired_.add(&gone, gone.next_retired);
}

node_base* shard_core::collect_locked(bool force) noexcept {
    if (retired_.size() == 0 || !(force || retired_.is_due() || retired_.size() >= retired_limit_)) {
        return nullptr;
    }
    node_base* free = nullptr;
    for (int attempt = 0; attempt < 2; ++attempt) {  // the first one may only have sealed
        for (node_base* next = retired_.take_passed(); next != nullptr;) {
            node_base* const gone = next;
            next = gone->next_retired;
            if (gone->let_go()) {
                gone->next_retired = free;
                free = gone;
            }
        }
        if (!force && retired_.size() < retired_limit_) {
            break;
        }
    }
    return free;
}

auto shard_core::times_locked(entry_id id) const noexcept -> times {
    const auto [table, at] = index.find_id(id);
    std::byte* const slot = table->slot(at);
    if (content_ == slot_index::content::pointer) {
        node_base& node = *node_in(slot).load(std::memory_order_relaxed);
        return {node.life, std::atomic_ref(node.use).load(std::memory_order_relaxed)};
    }
    return {table->has_life() ? table->life(slot).load(std::memory_order_relaxed) : never,
            table->has_use() ? table->use(slot).load(std::memory_order_relaxed) : 0};
}

std::int64_t shard_core::end_locked(entry_id id) const noexcept {
    const auto [life, use] = times_locked(id);
    return end_of_entry(life, use, time_to_idle_);
}

void shard_core::expect_locked(std::size_t entries, std::size_t its_weight) {
    index.expect(entries);
    retired_limit_ = node_limit(entries);
    if (is_tiny_ && !is_handful(entries)) {
        adapt(entries, its_weight);
    } else {
        policy->expect(entries, its_weight);
    }
    index.shrink();
}

// The handful has become many: what is there comes into the other policy as if it were new.
void shard_core::adapt(std::size_t entries, std::size_t its_weight) {
    auto adaptive = make_adaptive_policy(jitter(), advisor_, weights ? &*weights : nullptr);
    adaptive->expect(entries, its_weight);
    adaptive->reserve(index.id_limit());
    for (entry_id id = 0; id < index.id_end(); ++id) {
        if (index.is_used(id) && weight_locked(id) != 0) {
            adaptive->insert(id, index.hash_of(id), weight_locked(id));
        }
    }
    policy = std::move(adaptive);
    is_tiny_ = false;
}

std::size_t shard_core::memory_locked() const noexcept {
    return index.memory() + policy->memory() + (weights ? weights->memory() : 0) +
           (wheel_ ? wheel_->memory() : 0);
}

bool shard_core::is_consistent_locked() const noexcept {
    std::size_t sum = 0;
    for (entry_id id = 0; id < index.id_end(); ++id) {
        if (!index.is_used(id)) {
            if (wheel_ && wheel_->contains(id)) {
                return false;
            }
            continue;
        }
        sum += weight_locked(id);
        if (wheel_ && wheel_->contains(id) != (end_locked(id) != never)) {
            return false;
        }
    }
    return sum == weight && index.is_consistent();
}

}  // namespace levee::local_detail
