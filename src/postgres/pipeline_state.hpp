/// What a connection decides about its statements, without a socket and without a clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>

#include "core/sequence.hpp"
#include "levee/core/clock.hpp"
#include "levee/postgres/detail/request.hpp"

namespace levee::postgres::detail {

/// Where the server's session stands between two statements.
enum class transaction_status : std::uint8_t {
    unknown,  ///< Statements are under way.
    idle,     ///< Outside of a transaction.
    open,
    failed,  ///< Open, and takes nothing but its end.
};

/// What came for a statement's sync group.
enum class answer_kind : std::uint8_t {
    value,    ///< One command of the group was executed.
    refused,  ///< One failed.
    skipped,  ///< One was not executed, because an earlier one of its group failed.
    synced,   ///< The group is over.
};

struct answer {
    answer_kind kind{};
    bool is_stale_statement =
        false;                 ///< Refused: the prepared statement is not there, or not valid any more.
    bool is_canceled = false;  ///< Refused: SQLSTATE 57014.
    transaction_status status = transaction_status::unknown;  ///< Of synced.
};

/// Which statements are to be sent next, which one an answer belongs to, when the server is to be asked to
/// cancel, and what becomes of all of them when the connection breaks.
///
/// Each statement is a sync group of its own: one implicit transaction, so that its failure undoes nobody
/// else's work. Answers come in the order of the statements. One that is abandoned (timed out, cancelled)
/// before it was sent leaves the queue; afterwards its place stays in the order, with nobody in it, and what
/// comes for it is dropped. Once an abandoned one is the first in the order, the server is executing it, or
/// is about to: that is when it is worth cancelling. A request to cancel names a session and not a statement,
/// so it may hit another one; meanwhile nothing further is sent. Where the callers are strangers to each
/// other
/// (`rules::is_shared`) a statement that was hit in the place of another is sent again: its sync group was
/// rolled back. Where they are not, the order matters, and a transaction may be open: then cancelling waits
/// until nobody waits for any statement that was sent, and nothing is sent behind one that was given up.
///
/// A statement whose prepared form the server does not know any more is sent again, too, if nothing was sent
/// behind it and no transaction is open, or if the callers are strangers.
///
/// Behind what cleans a session nothing is sent either, until the server has said that it is clean: if it
/// could not be cleaned, what stood behind would be executed in what the last user left.
///
/// COPY and scripts leave the pipeline: they wait until nothing is under way, and everything else waits for
/// them.
///
/// | copying  | sent next                             | leaves by                              |
/// |----------|---------------------------------------|----------------------------------------|
/// | none     | whatever is first                     | a copy_begin is sent                   |
/// | begun    | nothing                               | `copy_opened`, or `take` (refused)     |
/// | open     | copy_data, copy_end only              | copy_end is sent                       |
/// | ending   | nothing                               | `take` (synced)                        |
///
/// Functions that end requests put them on a list, marked done, for the caller to finish once it holds no
/// lock. Thread safety: unsafe.
class pipeline_state {
public:
    enum class copy_phase : std::uint8_t { none, begun, open, ending };

    struct rules {
        std::size_t max_pending = 65'536;  ///< Those of the connection itself not counted.
        std::size_t max_in_flight = 512;   ///< Statements sent and not answered.
        std::uint32_t max_attempts = 3;
        bool is_shared = false;
    };

    struct counts {
        std::uint64_t sent = 0;          ///< Statements sent, repetitions counted.
        std::uint64_t repeated = 0;      ///< Sent again.
        std::uint64_t dropped_late = 0;  ///< Answers that nobody waited for any more.
        std::uint64_t cancels = 0;       ///< Times that the server was asked to cancel.
    };

    explicit pipeline_state(const rules& chosen) : rules_(chosen) {}

    // Requests.

    /// Queues it; or marks it done, with the cause set, and answers false. A copy_end that is refused because
    /// a part of the copy is under way leaves a COPY that nobody ends: see `is_spoiled`.
    [[nodiscard]] bool submit(request& one);

    /// Nobody waits for it any more; its cause becomes `why`. False: it is done already, and is being
    /// finished by somebody. A copy_data or copy_end that was sent cannot be given up alone: see
    /// `is_spoiled`.
    [[nodiscard]] bool abandon(request& one, std::exception_ptr why);

    /// Ends the requests that no thread waits for and whose deadline has passed, with what `make_cause` gives
    /// for them.
    template <class MakeCause>
    void expire(time_point now, const MakeCause& make_cause, finished_list& done) {
        if (now < earliest_) {
            return;
        }
        earliest_ = (time_point::max)();
        const auto look = [&](request* one) {
            if (one == nullptr || one->is_blocking) {
                return;
            }
            if (one->deadline > now) {
                earliest_ = one->deadline < earliest_ ? one->deadline : earliest_;
            } else if (abandon(*one, make_cause(*one))) {
                done.push(*one);
            }
        };
        for (std::uint64_t i = sent_.first(); i != sent_.last(); ++i) {
            look(sent_[i].who);
        }
        for (auto* from : {&again_, &queue_}) {
            for (std::uint64_t i = from->first(); i != from->last(); ++i) {
                look((*from)[i]);
            }
        }
        look(copy_part_);
    }

    /// No request that `expire` looks after has an earlier deadline than this one.
    [[nodiscard]] time_point earliest_deadline() const noexcept { return earliest_; }

    // The stream.

    /// Moves the next request that may be sent now to the sent ones; null: none. Parts of a copy stay until
    /// `copy_part_sent` (data) or their answer (end).
    [[nodiscard]] request* next_to_send();

    /// Of the one sent last: a number of the driver's for what its first command prepares; see `unprepared`.
    void note_prepares(std::uint64_t number) noexcept { sent_[sent_.last() - 1].prepares = number; }

    [[nodiscard]] bool has_unanswered() const noexcept { return !sent_.empty(); }

    /// The number of the first group that is not answered; each has another one.
    [[nodiscard]] std::uint64_t first_unanswered() const noexcept { return sent_.first(); }

    /// Whom the next answer is for; null: nobody, drop it.
    [[nodiscard]] request* owner() noexcept { return sent_.empty() ? nullptr : sent_.front().who; }
    /// What the first group was to prepare and has not; 0: nothing.
    [[nodiscard]] std::uint64_t unprepared() noexcept {
        return sent_.empty() || sent_.front().has_value ? 0 : sent_.front().prepares;
    }
    /// True once a command of the first group was refused: what follows is not its answer.
    [[nodiscard]] bool is_refused() noexcept { return !sent_.empty() && sent_.front().is_refused; }

    /// The next answer, whose contents were given to `owner()`. False: nothing was asked.
    [[nodiscard]] bool take(const answer& next, finished_list& done);

    // COPY.

    /// The server waits for data.
    void copy_opened(finished_list& done);
    /// All of the part's bytes are on their way.
    void copy_part_sent(finished_list& done);
    [[nodiscard]] copy_phase copying() const noexcept { return copying_; }
    [[nodiscard]] request* copy_part() const noexcept { return copy_part_; }
    /// A part of a copy was given up half sent: the connection is of no use any more.
    [[nodiscard]] bool is_spoiled() const noexcept { return is_spoiled_; }

    // Cancelling.

    /// True: the server should be asked to cancel what it is at.
    [[nodiscard]] bool wants_cancel() noexcept;
    void begin_cancel() noexcept;
    /// The server was asked, and has passed it on to the session by now; or could not be asked.
    void end_cancel() noexcept;
    /// It may have come before the server began with the statement: then it was for nothing, and is wanted
    /// again.
    void cancel_again() noexcept;
    [[nodiscard]] bool is_cancelling() const noexcept { return is_cancelling_; }
    /// True: what the server is at has been given up, and is still not over.
    [[nodiscard]] bool is_draining() noexcept { return !sent_.empty() && sent_.front().who == nullptr; }
    /// The same, and no statement can be hit that somebody waits for and that cannot be sent again.
    [[nodiscard]] bool is_worth_cancelling() noexcept {
        return is_draining() && (rules_.is_shared || live_ == 0);
    }

    // The end.

    /// All fail: what was sent with `sent_cause`, unless it has a cause already, the rest with
    /// `queued_cause`. Nothing is taken from then on.
    void close(const std::exception_ptr& sent_cause, const std::exception_ptr& queued_cause,
               finished_list& done);
    [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }

    [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
    /// Statements whose answers are to come, abandoned ones counted.
    [[nodiscard]] std::size_t unanswered() const noexcept { return sent_.size(); }
    [[nodiscard]] transaction_status status() const noexcept { return status_; }
    /// Nothing is queued, sent, copied or being cancelled.
    [[nodiscard]] bool is_idle() const noexcept {
        return sent_.empty() && queued_ == 0 && copying_ == copy_phase::none && !is_cancelling_;
    }
    [[nodiscard]] const counts& totals() const noexcept { return counts_; }

private:
    struct entry {
        request* who = nullptr;  // null: abandoned
        std::uint64_t prepares = 0;
        bool has_value = false;
        bool is_refused = false;
        bool is_stale = false;
        bool was_canceled = false;
        bool is_internal = false;
        bool is_reset = false;
        bool cancel_sent = false;  // it is what the server was asked to cancel
        bool may_be_hit = false;   // a request to cancel was under way while it was
        bool is_outside = false;   // not in the pipeline: COPY, a script
    };

    [[nodiscard]] bool refuse(request& one, std::exception_ptr why) const;
    [[nodiscard]] request* next_of_copy();
    [[nodiscard]] bool is_sent_again(const entry& over) const noexcept;
    void note_deadline(const request& one) noexcept;
    static void end(request& one, finished_list& done);
    static void end(request& one, const std::exception_ptr& why, finished_list& done);

    rules rules_;
    levee::detail::sequence<request*> queue_{};  // null: abandoned
    levee::detail::sequence<request*> again_{};  // go before the queue
    levee::detail::sequence<entry> sent_{};
    std::size_t live_ = 0;      // of sent_: those that somebody waits for
    std::size_t queued_ = 0;    // of queue_ and again_, abandoned ones not counted
    std::size_t internal_ = 0;  // of queued_ and sent_: those of the connection itself
    request* copy_part_ = nullptr;
    bool is_part_sent_ = false;
    std::exception_ptr closed_cause_{};
    copy_phase copying_ = copy_phase::none;
    transaction_status status_ = transaction_status::idle;
    bool is_cancelling_ = false;
    bool is_closed_ = false;
    bool is_spoiled_ = false;
    time_point earliest_ = (time_point::max)();
    counts counts_{};
};

}  // namespace levee::postgres::detail
