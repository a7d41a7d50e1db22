/// What thread_slots.cpp and epoch.cpp ask of each other, and what their tests may turn.
#pragma once

#include <cstdint>

#include "levee/core/thread_slots.hpp"

namespace levee::detail {

/// The announcement record of `slot`, which must be below the high-water mark. Never moves or ends.
[[nodiscard]] slot_record& record_of(std::uint32_t slot) noexcept;

/// As `thread_slots::try_current`: the calling thread's record, or null.
[[nodiscard]] slot_record* try_record() noexcept;

/// epoch.cpp's part when a process first gives out a slot, and in the child of a fork, when all other
/// threads' records have been cleared.
void epoch_prepare() noexcept;
void epoch_after_fork() noexcept;

/// For tests: slots from `limit` on are not given out. Takes effect for slots not yet taken.
void limit_slots(std::uint32_t limit) noexcept;

/// For tests: whether pins use full fences (`true`) or leave the fencing to membarrier(2) where there is
/// one. Answers whether the wish could be granted. No thread may be pinned or be using `epoch` meanwhile.
bool force_fenced_epochs(bool fenced) noexcept;

/// For tests: how often collectors have fenced so far.
[[nodiscard]] std::uint64_t collector_fences() noexcept;

}  // namespace levee::detail
