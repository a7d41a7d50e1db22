/// What takes requests: a session with a server, seen by those who ask.
#pragma once

#include <cstdint>
#include <memory>

#include "levee/core/clock.hpp"
#include "levee/core/detail/cancel_gate.hpp"
#include "levee/postgres/connection_options.hpp"
#include "levee/postgres/detail/blocking_request.hpp"
#include "levee/postgres/detail/request.hpp"
#include "levee/postgres/reset_policy.hpp"

namespace levee::postgres::detail {

/// What becomes of a session that comes back to its pool.
enum class return_verdict : std::uint8_t {
    clean,    ///< It may go to the next user; what cleans it, if anything, is on its way.
    examine,  ///< Something is still under way: it must be waited for.
    discard,
};

struct session_facts {
    int process = 0;  ///< Of the server's session: pg_stat_activity.pid.
    bool is_usable = false;
    bool is_condemned = false;  ///< The server said that it goes away, or takes no writes.
    bool is_standby = false;
    bool is_in_transaction = false;
    std::size_t prepared = 0;
    std::size_t pending = 0;  ///< Statements queued, or sent and not answered.
    std::uint64_t sent = 0, repeated = 0, dropped_late = 0, cancels = 0;
};

class session_access;
using cancel_gate = levee::detail::cancel_gate<session_access>;

/// Thread safety: safe on a shared object.
class session_access {
public:
    virtual ~session_access() = default;

    /// Returns once it is done; the calling thread does the reading if nobody else is at it.
    virtual void execute(blocking_request& one) = 0;

    /// It is finished by some thread, perhaps before this returns.
    virtual void submit(request& one) = 0;

    /// Finishes it with errc::cancelled, unless it is done; and has the server cancel it.
    virtual void cancel(request& one) noexcept = 0;

    [[nodiscard]] virtual const std::shared_ptr<cancel_gate>& gate() const noexcept = 0;

    /// Ends all requests with errc::closed, and the session.
    virtual void close() noexcept = 0;

    [[nodiscard]] virtual session_facts facts() const = 0;

    /// False: it is closed, or the server's role is not the one that was asked for. One system call, if it
    /// was not used for some milliseconds.
    [[nodiscard]] virtual bool looks_alive() noexcept = 0;

    /// Its user gives it back. Does not block; what cleans it is sent, and not waited for.
    [[nodiscard]] virtual return_verdict come_back(reset_policy policy) noexcept = 0;

    /// Submits what takes all traces away, as a request whose answer can be waited for.
    virtual void begin_reset(request& one) = 0;

    /// It will not come back clean.
    virtual void condemn() noexcept = 0;

    [[nodiscard]] virtual time_point now() const noexcept = 0;
    [[nodiscard]] virtual const connection_options& options() const noexcept = 0;

protected:
    session_access() = default;
    session_access(const session_access&) = default;
    session_access& operator=(const session_access&) = default;
};

}  // namespace levee::postgres::detail
