/// What takes requests: a connection, seen by those who ask.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "levee/redis/detail/blocking_request.hpp"
#include "levee/redis/detail/request.hpp"

namespace levee::redis::detail {

class request_sink;

/// The way from a handler's cancellation slot to the sink that has its request. A handler may live on an
/// executor that outlives the client, and what it holds lives as long: so this, and not the sink, whose
/// sockets must be gone before their executor.
///
/// Thread safety: safe on a shared object.
class cancel_gate {
public:
    explicit cancel_gate(request_sink& to) noexcept : to_(&to) {}

    /// As `request_sink::cancel`; after `shut`, nothing.
    void cancel(request& one) noexcept;

    /// Once it has returned nobody is inside the sink through this.
    void shut() noexcept {
        const std::lock_guard lock(mutex_);
        to_ = nullptr;
    }

private:
    std::mutex mutex_;  // guards to_; the sink's is taken under it
    request_sink* to_;
};

/// Thread safety: safe on a shared object.
class request_sink {
public:
    virtual ~request_sink() = default;

    /// Returns once it is done; the calling thread does the reading and writing if nobody else is at it.
    virtual void execute(blocking_request& one) = 0;

    /// It is finished by some thread, perhaps before this returns.
    virtual void submit(request& one) = 0;

    /// Finishes it with errc::cancelled, unless it is done.
    virtual void cancel(request& one) noexcept = 0;

    [[nodiscard]] virtual const std::shared_ptr<cancel_gate>& gate() const noexcept = 0;

    /// The number of the present connection to the server; zero: there is none.
    [[nodiscard]] virtual std::uint64_t generation() const noexcept = 0;

protected:
    request_sink() = default;
    request_sink(const request_sink&) = default;
    request_sink& operator=(const request_sink&) = default;
};

inline void cancel_gate::cancel(request& one) noexcept {
    const std::lock_guard lock(mutex_);
    if (to_ != nullptr) {
        to_->cancel(one);
    }
}

}  // namespace levee::redis::detail
