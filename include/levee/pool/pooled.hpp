/// A connection on loan from a pool.
#pragma once

#include <cstdint>
#include <utility>

#include "levee/pool/detail/pool_core.hpp"

namespace levee {

template <class C>
class connection_pool;

/// Holds a connection until it is destroyed, and then gives it back. Empty after `discard`, `give_back`, a
/// move, or by default; an empty one must not be dereferenced.
///
/// It may outlive its pool: the connection stays usable, and is closed when it comes back. It may be given
/// back by another thread than the one that acquired it.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
template <class C>
class [[nodiscard]] pooled {
public:
    pooled() noexcept = default;
    pooled(pooled&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)), slot_(other.slot_), connection_(other.connection_) {}
    pooled& operator=(pooled&& other) noexcept {
        if (this != &other) {
            give_back();
            core_ = std::exchange(other.core_, nullptr);
            slot_ = other.slot_;
            connection_ = other.connection_;
        }
        return *this;
    }
    ~pooled() { give_back(); }

    [[nodiscard]] C& operator*() const noexcept { return *connection_; }
    [[nodiscard]] C* operator->() const noexcept { return connection_; }
    [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }

    /// Gives it back now: to whoever waits longest, else it is idle. Nothing happens if this is empty.
    void give_back() noexcept {
        if (auto* const core = std::exchange(core_, nullptr)) {
            core->release(slot_);
        }
    }

    /// Closes it: for connections that are known or feared to be broken. Nothing happens if this is empty.
    void discard() noexcept {
        if (auto* const core = std::exchange(core_, nullptr)) {
            core->discard(slot_);
        }
    }

    /// For the pool.
    pooled(pool_detail::pool_core& core, std::uint32_t slot) noexcept
        : core_(&core), slot_(slot), connection_(static_cast<C*>(core.connection(slot))) {}

private:
    pool_detail::pool_core* core_ = nullptr;  // alive while this holds a connection
    std::uint32_t slot_ = 0;
    C* connection_ = nullptr;
};

}  // namespace levee
