/// A `make` that runs, seen by those who wait for it.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>

#include "levee/core/clock.hpp"
#include "levee/local/detail/entry.hpp"

namespace levee::local_detail {

/// One `make` for one key: a leader runs it and ends it once, with an entry or with an error; others wait.
///
/// Thread safety: safe.
class flight {
public:
    /// The entry (an `entry<K, V>` of the cache whose flight this is). Blocks: at most `timeout` of real
    /// time. Errors: what `make` threw; errc::timeout.
    [[nodiscard]] std::shared_ptr<entry_base> wait(duration timeout);

    void succeed(std::shared_ptr<entry_base> made) noexcept;
    void fail(std::exception_ptr why) noexcept;

private:
    std::mutex mutex_;  // guards what follows
    std::condition_variable ended_;
    std::shared_ptr<entry_base> made_{};
    std::exception_ptr error_{};
};

}  // namespace levee::local_detail
