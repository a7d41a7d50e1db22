/// A thread that waits for an answer.
#pragma once

#include <condition_variable>
#include <mutex>

#include "levee/postgres/detail/request.hpp"

namespace levee::postgres::detail {

/// Lives on the stack of the thread that waits.
class blocking_request final : public request {
public:
    blocking_request() { is_blocking = true; }
    ~blocking_request() = default;

    void finish() noexcept override;

    /// Until finished (true) or the deadline.
    bool wait_until(time_point until);

private:
    std::mutex mutex_;  // guards what follows; taken alone
    std::condition_variable changed_;
    bool is_finished_ = false;
};

}  // namespace levee::postgres::detail
