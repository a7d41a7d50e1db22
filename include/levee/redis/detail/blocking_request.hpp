/// A thread that waits for an answer.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "levee/redis/detail/request.hpp"

namespace levee::redis::detail {

class link;

/// Lives on the stack of the thread that waits. Besides being finished the thread can be appointed to read
/// for everybody: whoever reads leaves that to another one when its own answer has come.
class blocking_request final : public request {
public:
    template <class From>
    blocking_request(From&& from, time_point until) : request(std::forward<From>(from), until) {
        is_blocking = true;
    }
    ~blocking_request() = default;

    void finish() noexcept override;
    void appoint(std::shared_ptr<link> to) noexcept;

    /// Until finished, appointed or the deadline. True: one of the former two.
    bool wait_until(time_point until);

    [[nodiscard]] bool is_finished() const;
    /// What it is appointed to read from; null: it is not. Asked once.
    [[nodiscard]] std::shared_ptr<link> take_appointment();

private:
    mutable std::mutex mutex_;  // guards what follows; taken after a connection's, never before it
    std::condition_variable changed_;
    bool is_finished_ = false;
    std::shared_ptr<link> appointed_{};
};

}  // namespace levee::redis::detail
