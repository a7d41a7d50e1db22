/// What a connection decides, without a socket and without a clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/sequence.hpp"
#include "levee/core/clock.hpp"
#include "levee/redis/detail/request.hpp"

namespace levee::redis::detail {

/// Which requests are to be written next, which one a reply belongs to, and what becomes of all of them when
/// the connection breaks.
///
/// | phase       | requests that come         | leaves by                               |
/// |-------------|----------------------------|-----------------------------------------|
/// | connecting  | are queued                 | `connected`, `refused`, `close`         |
/// | ready       | are queued, then sent      | `lost`, `close`                         |
/// | backing_off | are queued, or refused     | `try_again` (to connecting), `close`    |
/// | closed      | are refused                |                                         |
///
/// Replies come in the order of the commands. A request that is abandoned (timed out, cancelled) before it
/// was sent leaves the queue; afterwards its place stays in the order, with nobody in it, and what comes for
/// it is dropped.
///
/// Functions that end requests put them on a list, marked done, for the caller to finish once it holds no
/// lock. Thread safety: unsafe.
class connection_state {
public:
    enum class phase : std::uint8_t { connecting, ready, backing_off, closed };

    struct rules {
        std::size_t max_pending = 65'536;
        std::size_t max_pending_bytes = 256U << 20U;
        std::uint32_t max_attempts = 3;
        bool waits_while_disconnected = true;
        duration silence_timeout = std::chrono::seconds(5);
    };

    struct counts {
        std::uint64_t sent = 0;          ///< Requests written, repetitions counted.
        std::uint64_t repeated = 0;      ///< Idempotent ones sent again.
        std::uint64_t dropped_late = 0;  ///< Replies that nobody waited for any more.
        std::uint64_t timed_out = 0;     ///< By deadline.
        std::uint64_t connected = 0;     ///< Times that a connection came about.
        std::uint64_t lost = 0;          ///< Times that one broke.
        std::uint64_t failed_attempts = 0;
    };

    explicit connection_state(const rules& chosen) : rules_(chosen) {}

    // Requests.

    /// Queues it; or marks it done, with the cause set, and answers false.
    [[nodiscard]] bool submit(request& one);

    /// Nobody waits for it any more. False: it is done already, and is being finished by somebody.
    [[nodiscard]] bool abandon(request& one, std::error_code code);

    /// Ends the requests that no thread waits for and whose deadline has passed.
    void expire(time_point now, finished_list& done);

    /// No request that `expire` looks after has an earlier deadline than this one.
    [[nodiscard]] time_point earliest_deadline() const noexcept { return earliest_; }

    // The stream.

    [[nodiscard]] bool has_output() const noexcept { return phase_ == phase::ready && queued_ > 0; }

    /// Moves queued requests to the sent ones, and their bytes to the end of `into`, until that holds
    /// `enough`.
    void take_output(std::string& into, std::size_t enough, time_point now, finished_list& done);

    /// The next reply of the stream. False: nothing was asked for.
    [[nodiscard]] bool take_reply(reply&& next, finished_list& done);

    /// Bytes came.
    void heard(time_point now) noexcept { last_progress_ = now; }

    /// True if an answer is owed and nothing came for too long.
    [[nodiscard]] bool is_silent(time_point now) const noexcept {
        return !sent_.empty() && rules_.silence_timeout > duration::zero() &&
               after(last_progress_, rules_.silence_timeout) <= now;
    }

    // The connection.

    void connected();
    /// What was sent: fails, or is queued again, before the others, if it is idempotent and has attempts
    /// left.
    void lost(const failure& why, finished_list& done);
    /// An attempt to connect failed. `is_final`: the server refused us, and what waits fails at once.
    void refused(const failure& why, bool is_final, finished_list& done);
    void try_again() noexcept;
    void close(const failure& why, finished_list& done);

    [[nodiscard]] phase where() const noexcept { return phase_; }
    /// How often a connection came about: the number of the present one.
    [[nodiscard]] std::uint64_t generation() const noexcept { return counts_.connected; }
    [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }
    /// Requests whose replies are to come, abandoned ones counted.
    [[nodiscard]] std::size_t unanswered() const noexcept { return sent_.size(); }
    [[nodiscard]] const counts& totals() const noexcept { return counts_; }
    [[nodiscard]] const failure& last_failure() const noexcept { return last_failure_; }

    /// The last sent request that a thread waits for, among the last few. Null: there is none.
    [[nodiscard]] request* last_blocking() noexcept;

private:
    struct entry {
        request* who = nullptr;  // null: abandoned
        std::uint32_t replies_left = 0;
    };

    void enqueue(request& one);
    void drop_from_queue(request& one) noexcept;
    [[nodiscard]] bool refuse(request& one, failure why);
    void fail_queued(const failure& why, finished_list& done);
    static void end(request& one, failure why, finished_list& done);

    rules rules_;
    phase phase_ = phase::connecting;
    levee::detail::sequence<request*> queue_{};  // null: abandoned
    levee::detail::sequence<entry> sent_{};
    std::size_t queued_ = 0;  // of queue_, abandoned ones not counted
    std::size_t queued_bytes_ = 0;
    time_point earliest_ = (time_point::max)();
    time_point last_progress_{};
    failure last_failure_{};
    counts counts_{};
};

}  // namespace levee::redis::detail
