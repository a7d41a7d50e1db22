/// What was taken away from readers and waits until none can be using it.
#pragma once

#include <cstdint>

#include "levee/core/epoch.hpp"

namespace levee::local_detail {

/// An intrusive list, without allocations: `Handle` names an element, `none` nothing, and the owner keeps
/// each element's link. Two batches: an open one that grows, and a sealed one that waits for its epoch. A
/// batch costs all readers of the process a cache miss, and the collector a fence on every core, so it
/// should be big.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class Handle, Handle none>
class grace_queue {
public:
    explicit grace_queue(std::uint32_t batch) noexcept : batch_(batch) {}

    /// Adds an element that new readers cannot find. `link` is its link.
    void add(Handle element, Handle& link) noexcept {
        link = open_;
        open_ = element;
        ++open_count_;
    }

    /// How many wait.
    [[nodiscard]] std::uint32_t size() const noexcept { return open_count_ + sealed_count_; }

    /// Whether enough came in since the last attempt to make one worth its price.
    [[nodiscard]] bool is_due() const noexcept {
        return sealed_count_ == 0 ? open_count_ >= batch_ : open_count_ >= next_attempt_;
    }

    /// Takes a batch whose epoch has passed, as a chain; `none` if there is none. May be asked twice in a
    /// row: the first call may have no more than sealed what was open.
    [[nodiscard]] Handle take_passed() noexcept {
        Handle passed = none;
        if (sealed_count_ != 0) {
            if (!epoch::has_passed(tag_)) {
                next_attempt_ = open_count_ + (batch_ + 3) / 4;
                return none;
            }
            passed = sealed_;
            sealed_ = none;
            sealed_count_ = 0;
        }
        if (open_count_ >= batch_ || passed == none) {
            seal();
        }
        return passed;
    }

    /// Forgets all of them, for an owner that frees their memory in another way.
    void clear() noexcept {
        open_ = sealed_ = none;
        open_count_ = sealed_count_ = 0;
    }

    /// The heads of both chains, for an owner that is destroyed: no reader is left.
    [[nodiscard]] Handle open() const noexcept { return open_; }
    [[nodiscard]] Handle sealed() const noexcept { return sealed_; }

    void set_batch(std::uint32_t batch) noexcept { batch_ = batch; }

private:
    void seal() noexcept {
        if (open_count_ == 0) {
            return;
        }
        sealed_ = open_;
        sealed_count_ = open_count_;
        open_ = none;
        open_count_ = 0;
        tag_ = epoch::retire_tag();
        next_attempt_ = (batch_ + 1) / 2;
    }

    Handle open_ = none;
    Handle sealed_ = none;
    std::uint32_t open_count_ = 0;
    std::uint32_t sealed_count_ = 0;
    std::uint32_t batch_;
    std::uint32_t next_attempt_ = 0;
    epoch::tag tag_ = 0;
};

}  // namespace levee::local_detail
