/// What takes requests: a connection, seen by those who ask.
#pragma once

#include <cstdint>
#include <memory>

#include "levee/core/detail/cancel_gate.hpp"
#include "levee/redis/detail/blocking_request.hpp"
#include "levee/redis/detail/request.hpp"

namespace levee::redis::detail {

class request_sink;
using cancel_gate = levee::detail::cancel_gate<request_sink>;

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

}  // namespace levee::redis::detail
