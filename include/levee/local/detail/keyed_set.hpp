/// A set of shared objects that have a `key`, found by key or by identity, with hashes computed elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_set>

namespace levee::local_detail {

/// An element: the hash stands beside the pointer, so that foreign ones are passed over untouched.
template <class T>
struct keyed_slot {
    std::uint64_t hash;
    mutable std::shared_ptr<T> object;  // may be exchanged for one with an equal key
};

/// What is looked for, by key.
template <class Q, class Eq>
struct by_key {
    std::uint64_t hash;
    const Q& key;
    const Eq& equal;

    template <class T>
    [[nodiscard]] bool fits(const keyed_slot<T>& slot) const {
        return slot.hash == hash && equal(slot.object->key, key);
    }
};

/// What is looked for, by identity.
struct by_address {
    std::uint64_t hash;
    const void* object;

    template <class T>
    [[nodiscard]] bool fits(const keyed_slot<T>& slot) const noexcept {
        return slot.object.get() == object;
    }
};

struct slot_hash {
    using is_transparent = void;
    template <class SlotOrProbe>
    [[nodiscard]] std::size_t operator()(const SlotOrProbe& x) const noexcept {
        return static_cast<std::size_t>(x.hash);
    }
};

struct slot_equal {
    using is_transparent = void;
    template <class T>
    [[nodiscard]] bool operator()(const keyed_slot<T>& a, const keyed_slot<T>& b) const noexcept {
        return a.object == b.object;
    }
    template <class Probe, class T>
    [[nodiscard]] bool operator()(const Probe& probe, const keyed_slot<T>& slot) const {
        return probe.fits(slot);
    }
    template <class Probe, class T>
    [[nodiscard]] bool operator()(const keyed_slot<T>& slot, const Probe& probe) const {
        return probe.fits(slot);
    }
};

template <class T>
using keyed_set = std::unordered_set<keyed_slot<T>, slot_hash, slot_equal>;

}  // namespace levee::local_detail
