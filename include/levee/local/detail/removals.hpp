/// What an operation removed, kept until its locks are released.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "levee/local/detail/entry_slot.hpp"

namespace levee::local_detail {

/// What is under way for a key; see shard.hpp.
template <class K>
struct pending;

/// Collects removed entries under a lock; its destructor tells the listener of them and frees what no reader
/// can see any more, and what is no longer under way.
///
/// Declare it before the lock and the reservation, so that it ends after both: then the listener and the
/// destructors of K and V run off every lock and may use the cache.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class K, class V>
class removals {
public:
    using listener = std::function<void(const K&, const V&, removal_cause)>;

    removals(const listener& told, std::atomic<std::uint64_t>& failures) noexcept
        : told_(told), failures_(failures) {}
    ~removals() {
        report_pairs();
        while (first_ != nullptr) {
            node_base* const gone = std::exchange(first_, first_->next_removed);
            const auto& pair = static_cast<const node<K, V>&>(*gone);
            report(pair.key, pair.value, gone->cause);
            drop_hold<K, V>(gone);
        }
        while (dead_ != nullptr) {
            delete static_cast<node<K, V>*>(std::exchange(dead_, dead_->next_retired));
        }
        while (tables_ != nullptr) {
            const group_table::pointer passed(std::exchange(tables_, tables_->next_retired));
        }
        while (forgotten_ != nullptr) {  // one by one: a chain that ends by itself ends recursively
            forgotten_ = std::exchange(forgotten_->next_forgotten, nullptr);
        }
    }
    removals(const removals&) = delete;
    removals& operator=(const removals&) = delete;

    /// Somebody is told of removals.
    [[nodiscard]] bool tells() const noexcept { return static_cast<bool>(told_); }

    /// Makes the next `add` of a pair free of errors. Errors: std::bad_alloc.
    void reserve() {
        if constexpr (lies_in_slot<K, V>) {
            if (tells() && pairs_.size() == pairs_.capacity()) {
                pairs_.reserve(2 * pairs_.size() + 8);
            }
        }
    }

    void add(const K& key, const V& value, removal_cause cause)
        requires lies_in_slot<K, V>
    {
        if (tells()) {
            pairs_.push_back({key, value, cause});
        }
    }

    /// The node is held until it was told of.
    void add(node_base& gone, removal_cause cause) noexcept
        requires(!lies_in_slot<K, V>)
    {
        if (!tells()) {
            return;
        }
        gone.holds.fetch_add(1, std::memory_order_relaxed);
        gone.cause = cause;
        gone.next_removed = nullptr;
        (last_ != nullptr ? last_->next_removed : first_) = &gone;
        last_ = &gone;
    }

    /// Takes a chain over, by `next_retired`, of nodes that nobody can see.
    void bury(node_base* chain) noexcept {
        while (chain != nullptr) {
            node_base* const next = chain->next_retired;
            chain->next_retired = dead_;
            dead_ = chain;
            chain = next;
        }
    }

    /// Likewise of tables.
    void bury(group_table* chain) noexcept {
        while (chain != nullptr) {
            chain = std::exchange(chain->next_retired, std::exchange(tables_, chain));
        }
    }

    /// Nothing is under way for a key any more.
    void forget(std::shared_ptr<pending<K>> done) noexcept {
        done->next_forgotten = std::exchange(forgotten_, nullptr);
        forgotten_ = std::move(done);
    }

private:
    struct removed_pair {
        K key;
        V value;
        removal_cause cause;
    };
    struct nothing {};

    void report_pairs() noexcept {
        if constexpr (lies_in_slot<K, V>) {
            for (const removed_pair& gone : pairs_) {
                report(gone.key, gone.value, gone.cause);
            }
        }
    }

    void report(const K& key, const V& value, removal_cause cause) noexcept {
        if (!told_) {
            return;
        }
        try {
            told_(key, value, cause);
        } catch (...) {
            failures_.fetch_add(1, std::memory_order_relaxed);  // a sum, ordered with nothing
        }
    }

    const listener& told_;
    std::atomic<std::uint64_t>& failures_;
    [[no_unique_address]] std::conditional_t<lies_in_slot<K, V>, std::vector<removed_pair>, nothing> pairs_{};
    node_base* first_ = nullptr;
    node_base* last_ = nullptr;
    node_base* dead_ = nullptr;
    group_table* tables_ = nullptr;
    std::shared_ptr<pending<K>> forgotten_{};
};

}  // namespace levee::local_detail
