/// A `make` that runs, seen by those who wait for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>

#include "levee/core/clock.hpp"

namespace levee::local_detail {

/// One `make` for one key: a leader runs it and ends it once, with a value or with an error; others wait.
///
/// Thread safety: safe.
class flight {
public:
    /// The value, of the type of the cache whose flight this is. Blocks: at most `timeout` of real
    /// time. Errors: what `make` threw; errc::timeout.
    [[nodiscard]] std::shared_ptr<const void> wait(duration timeout);

    // They end it, unless it has ended.
    void succeed(std::shared_ptr<const void> made) noexcept;
    void fail(std::exception_ptr why) noexcept;

    std::uint32_t waiters = 0;  ///< Who joined; guarded by the shard's mutex.

private:
    [[nodiscard]] bool has_ended_locked() const noexcept { return made_ != nullptr || error_ != nullptr; }

    std::mutex mutex_;  // guards what follows
    std::condition_variable ended_;
    std::shared_ptr<const void> made_{};
    std::exception_ptr error_{};
};

}  // namespace levee::local_detail
