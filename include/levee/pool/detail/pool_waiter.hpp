/// Those who wait for a pool, as the pool sees them; and the one that blocks its thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>

#include "levee/core/clock.hpp"

namespace levee::pool_detail {

/// What a waiter is let go with: a slot; or, waiting for the end, whether that came; or an error.
struct wait_outcome {
    std::optional<std::uint32_t> slot{};
    bool is_drained = false;
    std::exception_ptr error{};
};

class pool_waiter {
public:
    pool_waiter(const pool_waiter&) = delete;
    pool_waiter& operator=(const pool_waiter&) = delete;

    /// Called exactly once after it was queued, on any thread, off every lock. The waiter may destroy
    /// itself in it.
    virtual void finish(wait_outcome outcome) noexcept = 0;

protected:
    pool_waiter() = default;
    ~pool_waiter() = default;

private:
    friend class pool_core;
    // Under the pool's mutex. A cancellation may come before the waiter is queued.
    std::uint64_t id_ = 0;
    bool is_cancelled_ = false;
};

/// A thread that waits.
class blocking_waiter final : public pool_waiter {
public:
    void finish(wait_outcome outcome) noexcept override;

    /// Blocks: until let go, or until `deadline`; then false.
    [[nodiscard]] bool wait_until(time_point deadline);

    /// Blocks: until let go.
    [[nodiscard]] wait_outcome take();

private:
    std::mutex mutex_;  // guards both below
    std::condition_variable finished_;
    std::optional<wait_outcome> outcome_;
};

}  // namespace levee::pool_detail
