/// The interface of the laboratory's replacement policies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace levee::lab {

/// What a policy is made for.
struct policy_setup {
    /// The bound: entries, or bytes when `by_size` is on. Zero is refused.
    std::uint64_t capacity = 0;
    /// Whether an entry counts as its size in bytes instead of 1; not every policy has that form (see
    /// `known_policies()`). A size of 0 counts as 1 byte.
    bool by_size = false;
    /// Ids are below this.
    std::size_t distinct = 0;
    /// All requests to come, for the policy that knows the future; must outlive the policy.
    std::span<const std::uint32_t> future{};
};

/// A replacement policy, replayed over key ids: it decides what would be held and stores nothing.
///
/// One request: a held key is a hit; any other is a miss and is admitted, which evicts others until it
/// fits. What is larger than the whole capacity is never admitted. A held entry keeps the size that it
/// was admitted with, as in libCacheSim.
///
/// To add one, imitate policies/fifo.{hpp,cpp} and name it in policies.cpp.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class policy {
public:
    policy() = default;
    policy(const policy&) = delete;
    policy& operator=(const policy&) = delete;
    virtual ~policy() = default;

    /// Asks for `id`, whose value has `size` bytes, and returns whether that was a hit.
    virtual bool access(std::uint32_t id, std::uint32_t size) = 0;

    /// What is held now, in the unit of the capacity; never above it.
    [[nodiscard]] virtual std::uint64_t used() const = 0;
};

}  // namespace levee::lab
