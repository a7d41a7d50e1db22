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

/// Who is told of removals, and where; outlives the cache while an executor has something to tell.
template <class K, class V>
struct removal_desk {
    std::function<void(const K&, const V&, removal_cause)> told{};
    std::function<void(std::function<void()>)> executor{};  // null: on the thread that removed
    std::atomic<std::uint64_t> failures{0};                 // a sum, ordered with nothing
};

/// Removed entries of which nobody was told yet. What is destroyed untold is let go of.
template <class K, class V>
class removal_notices {
public:
    removal_notices() = default;
    removal_notices(removal_notices&& other) noexcept
        : pairs_(std::exchange(other.pairs_, {})),
          first_(std::exchange(other.first_, nullptr)),
          last_(std::exchange(other.last_, nullptr)) {}
    removal_notices& operator=(removal_notices&&) = delete;
    ~removal_notices() {
        while (first_ != nullptr) {
            drop_hold<K, V>(std::exchange(first_, first_->next_removed));
        }
    }

    [[nodiscard]] bool is_empty() const noexcept {
        if constexpr (lies_in_slot<K, V>) {
            return pairs_.empty();
        } else {
            return first_ == nullptr;
        }
    }

    /// Makes the next `add` of a pair free of errors. Errors: std::bad_alloc.
    void reserve() {
        if constexpr (lies_in_slot<K, V>) {
            if (pairs_.size() == pairs_.capacity()) {
                pairs_.reserve(2 * pairs_.size() + 8);
            }
        }
    }

    void add(const K& key, const V& value, removal_cause cause)
        requires lies_in_slot<K, V>
    {
        pairs_.push_back({key, value, cause});
    }

    /// The node is held until it was told of.
    void add(node_base& gone, removal_cause cause) noexcept
        requires(!lies_in_slot<K, V>)
    {
        gone.holds.fetch_add(1, std::memory_order_relaxed);
        gone.cause = cause;
        gone.next_removed = nullptr;
        (last_ != nullptr ? last_->next_removed : first_) = &gone;
        last_ = &gone;
    }

    void tell(removal_desk<K, V>& desk) noexcept {
        if constexpr (lies_in_slot<K, V>) {
            for (const removed_pair& gone : pairs_) {
                tell(desk, gone.key, gone.value, gone.cause);
            }
        }
        while (first_ != nullptr) {
            node_base* const gone = std::exchange(first_, first_->next_removed);
            const auto& pair = static_cast<const node<K, V>&>(*gone);
            tell(desk, pair.key, pair.value, gone->cause);
            drop_hold<K, V>(gone);
        }
    }

private:
    struct removed_pair {
        K key;
        V value;
        removal_cause cause;
    };
    struct nothing {};

    static void tell(removal_desk<K, V>& desk, const K& key, const V& value, removal_cause cause) noexcept {
        try {
            desk.told(key, value, cause);
        } catch (...) {
            desk.failures.fetch_add(1, std::memory_order_relaxed);
        }
    }

    [[no_unique_address]] std::conditional_t<lies_in_slot<K, V>, std::vector<removed_pair>, nothing> pairs_{};
    node_base* first_ = nullptr;
    node_base* last_ = nullptr;
};

/// Notices on their way to an executor. Told once, by whoever comes first: it, or who could not reach it.
template <class K, class V>
class removal_letter {
public:
    removal_letter(removal_notices<K, V>&& what, std::shared_ptr<removal_desk<K, V>> desk) noexcept
        : what_(std::move(what)), desk_(std::move(desk)) {}

    void open() noexcept {
        if (!is_open_.exchange(true, std::memory_order_acq_rel)) {
            what_.tell(*desk_);
        }
    }

private:
    removal_notices<K, V> what_;
    const std::shared_ptr<removal_desk<K, V>> desk_;
    std::atomic<bool> is_open_{false};
};

/// Collects removed entries under a lock; its destructor tells the listener of them, or hands that to the
/// executor, and frees what no reader can see any more, and what is no longer under way.
///
/// Declare it before the lock and the reservation, so that it ends after both: then the listener and the
/// destructors of K and V run off every lock and may use the cache.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class K, class V>
class removals {
public:
    explicit removals(const std::shared_ptr<removal_desk<K, V>>& desk) noexcept : desk_(desk) {}
    ~removals() {
        if (!notices_.is_empty()) {
            desk_->executor ? hand_over() : notices_.tell(*desk_);
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
    [[nodiscard]] bool tells() const noexcept { return static_cast<bool>(desk_->told); }

    /// Makes the next `add` of a pair free of errors. Errors: std::bad_alloc.
    void reserve() {
        if (tells()) {
            notices_.reserve();
        }
    }

    void add(const K& key, const V& value, removal_cause cause)
        requires lies_in_slot<K, V>
    {
        if (tells()) {
            notices_.add(key, value, cause);
        }
    }
    void add(node_base& gone, removal_cause cause) noexcept
        requires(!lies_in_slot<K, V>)
    {
        if (tells()) {
            notices_.add(gone, cause);
        }
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
    void hand_over() noexcept {
        std::shared_ptr<removal_letter<K, V>> letter;
        try {
            letter = std::make_shared<removal_letter<K, V>>(std::move(notices_), desk_);
            desk_->executor([letter] { letter->open(); });
        } catch (...) {  // no memory, or the executor takes nothing: here, then
            letter != nullptr ? letter->open() : notices_.tell(*desk_);
        }
    }

    const std::shared_ptr<removal_desk<K, V>>& desk_;
    removal_notices<K, V> notices_{};
    node_base* dead_ = nullptr;
    group_table* tables_ = nullptr;
    std::shared_ptr<pending<K>> forgotten_{};
};

}  // namespace levee::local_detail
