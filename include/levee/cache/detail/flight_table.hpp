/// The loads under way, by key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/core/hash.hpp"

namespace levee::cache_detail {

/// At most one flight per key is attached: found by those who ask for the key. A detached one serves its
/// own waiters only, and is remembered so that closing reaches it.
///
/// Thread safety: safe on a shared object. User code under a lock: Hash and Eq only.
template <class K, class Flight, class Hash, class Eq>
class flight_table {
public:
    struct mixed_hash {
        Hash hash{};
        std::size_t operator()(const K& key) const {
            return static_cast<std::size_t>(finalised_hash(hash, key));
        }
    };

    struct found {
        std::shared_ptr<Flight> flight;
        bool leads;  ///< Made by this call: the caller has to run it.
    };

    /// The attached flight for `key`, or the one that `make()` makes, attached. `make` must not use the
    /// table; it runs off the lock and may have been in vain. Throws errc::closed after `close`.
    template <class Make>
    [[nodiscard]] found find_or_lead(const K& key, Make&& make) {
        shard& home = shard_of(key);
        {
            const std::lock_guard lock(home.mutex);
            if (auto flight = home.find_locked(key)) {
                return {std::move(flight), false};
            }
        }
        std::shared_ptr<Flight> made = make();
        const std::lock_guard lock(home.mutex);
        if (auto flight = home.find_locked(key)) {
            return {std::move(flight), false};
        }
        home.attached.emplace(key, made);
        return {std::move(made), true};
    }

    /// The attached flight for `key`; null: none.
    [[nodiscard]] std::shared_ptr<Flight> find(const K& key) {
        shard& home = shard_of(key);
        const std::lock_guard lock(home.mutex);
        const auto it = home.attached.find(key);
        return it == home.attached.end() ? nullptr : it->second;
    }

    /// Detaches `flight` if it is attached: the next caller starts anew. True if it was.
    bool detach(const Flight& flight, bool has_ended) {
        shard& home = shard_of(flight.key);
        std::shared_ptr<Flight> dropped;  // destroyed off the lock
        const std::lock_guard lock(home.mutex);
        const auto it = home.attached.find(flight.key);
        if (it == home.attached.end() || it->second.get() != &flight) {
            return false;
        }
        if (!has_ended) {
            home.remember_locked(it->second);
        }
        dropped = std::move(it->second);
        home.attached.erase(it);
        return true;
    }

    /// Detaches whatever loads `key`, and tells it.
    void detach(const K& key) {
        shard& home = shard_of(key);
        std::shared_ptr<Flight> detached;
        {
            const std::lock_guard lock(home.mutex);
            const auto it = home.attached.find(key);
            if (it == home.attached.end()) {
                return;
            }
            home.remember_locked(it->second);
            detached = std::move(it->second);
            detached->mark_detached();
            home.attached.erase(it);
        }
        detached->wake();
    }

    void detach_all() {
        for (shard& home : shards_) {
            std::vector<std::shared_ptr<Flight>> detached;
            {
                const std::lock_guard lock(home.mutex);
                detached.reserve(home.attached.size());
                for (auto& [key, flight] : home.attached) {
                    home.remember_locked(flight);
                    flight->mark_detached();
                    detached.push_back(std::move(flight));
                }
                home.attached.clear();
            }
            for (const auto& flight : detached) {
                flight->wake();
            }
        }
    }

    /// Refuses new flights and hands back all that have not ended.
    [[nodiscard]] std::vector<std::shared_ptr<Flight>> close() {
        std::vector<std::shared_ptr<Flight>> open;
        for (shard& home : shards_) {
            const std::lock_guard lock(home.mutex);
            home.is_closed = true;
            for (auto& [key, flight] : home.attached) {
                open.push_back(std::move(flight));
            }
            home.attached.clear();
            for (const auto& weak : home.detached) {
                if (auto flight = weak.lock()) {
                    open.push_back(std::move(flight));
                }
            }
            home.detached.clear();
        }
        return open;
    }

private:
    struct alignas(64) shard {
        std::mutex mutex;  // guards all below
        std::unordered_map<K, std::shared_ptr<Flight>, mixed_hash, Eq> attached;
        std::vector<std::weak_ptr<Flight>> detached;
        std::size_t prune_at = 16;
        bool is_closed = false;

        std::shared_ptr<Flight> find_locked(const K& key) {
            if (is_closed) {
                throw error(errc::closed);
            }
            const auto it = attached.find(key);
            return it == attached.end() ? nullptr : it->second;
        }

        void remember_locked(const std::shared_ptr<Flight>& flight) {
            if (detached.size() >= prune_at) {
                std::erase_if(detached, [](const auto& weak) { return weak.expired(); });
                prune_at = 2 * detached.size() + 16;
            }
            detached.push_back(flight);
        }
    };

    // The top bits: the low ones choose the bucket inside.
    shard& shard_of(const K& key) { return shards_[mixed_hash{}(key) >> (64 - 4)]; }

    std::array<shard, 16> shards_;
};

}  // namespace levee::cache_detail
