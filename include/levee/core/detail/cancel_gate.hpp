/// The way from a completion handler back to what has its request.
#pragma once

#include <mutex>

namespace levee::detail {

/// What a handler's cancellation slot holds in place of a connection or session (`Sink`). A handler may live
/// on an executor that outlives the client, and what it holds lives as long; but sockets must be gone before
/// their executor.
///
/// Thread safety: safe on a shared object. The sink's `cancel` runs under the gate's mutex.
template <class Sink>
class cancel_gate {
public:
    explicit cancel_gate(Sink& to) noexcept : to_(&to) {}
    cancel_gate(const cancel_gate&) = delete;
    cancel_gate& operator=(const cancel_gate&) = delete;

    /// Once it is shut this does nothing.
    template <class Request>
    void cancel(Request& one) noexcept {
        const std::lock_guard lock(mutex_);
        if (to_ != nullptr) {
            to_->cancel(one);
        }
    }

    /// Once it has returned nobody is inside the sink through this.
    void shut() noexcept {
        const std::lock_guard lock(mutex_);
        to_ = nullptr;
    }

private:
    std::mutex mutex_;  // guards to_; the sink's is taken under it
    Sink* to_;
};

}  // namespace levee::detail
