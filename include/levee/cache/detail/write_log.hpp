/// A journal together with the threads that it is lent.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "levee/async/scheduler.hpp"
#include "levee/cache/detail/alarm.hpp"
#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"
#include "levee/journal/journal.hpp"

namespace levee::cache_detail {

/// Thread safety: safe.
class write_log : public std::enable_shared_from_this<write_log> {
public:
    /// Opens, and replays. `runs_on`: where it may block on the disk.
    [[nodiscard]] static std::shared_ptr<write_log> open(journal_options options,
                                                         boost::asio::any_io_executor runs_on,
                                                         std::shared_ptr<async::scheduler> time,
                                                         const journal::visitor& replay);

    [[nodiscard]] std::uint64_t append(bytes_view record) { return journal_->append(record); }

    /// Blocks until the record is safe. Errors: as `journal::wait_durable`.
    void wait_durable(std::uint64_t sequence, time_point deadline) {
        journal_->wait_durable(sequence, deadline);
    }
    /// Calls `done` once, as `journal::when_durable` does; with errc::timeout at `deadline`. Deadlines are to
    /// rise from call to call, about: one that is before an earlier call's waits for that. What tells the
    /// deadline runs on the scheduler, not where the disk may hang.
    void when_durable(std::uint64_t sequence, time_point deadline,
                      std::function<void(std::exception_ptr)> done);
    /// The same without a deadline.
    void when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done) {
        journal_->when_durable(sequence, std::move(done));
    }
    /// Sees to it that it becomes so; nobody is told.
    void when_durable(std::uint64_t sequence) {
        journal_->when_durable(sequence, [](const std::exception_ptr& /*ignored*/) {});
    }
    /// The same for a coroutine, which goes on where it runs.
    [[nodiscard]] static boost::asio::awaitable<void> async_durable(std::shared_ptr<write_log> self,
                                                                    std::uint64_t sequence,
                                                                    time_point deadline);

    /// After `close` too: then it is forgotten.
    void release(std::span<const std::uint64_t> sequences) noexcept;

    void close();
    [[nodiscard]] journal_stats stats() const { return journal_->stats(); }
    [[nodiscard]] const journal_recovery& recovery() const noexcept { return journal_->recovery(); }

private:
    write_log(boost::asio::any_io_executor runs_on, std::shared_ptr<async::scheduler> time)
        : runs_on_(std::move(runs_on)), time_(std::move(time)) {}
    void sync_at(time_point when);
    void sync_is_due(time_point when) noexcept;

    /// One call of `when_durable`: told by the journal or by its deadline, whichever comes first.
    struct awaited {
        awaited(std::uint64_t which, time_point until, std::function<void(std::exception_ptr)> tell)
            : sequence(which), deadline(until), done(std::move(tell)) {}
        void tell(std::exception_ptr failure);
        std::uint64_t sequence;
        time_point deadline;
        std::function<void(std::exception_ptr)> done;
        std::atomic<bool> is_over{false};
        bool is_kept = false;  // counted in `kept_`; under the log's mutex
    };
    void keep_deadline(std::shared_ptr<awaited> one);
    void forget_deadline(awaited& one) noexcept;
    void tell_late() noexcept;
    [[nodiscard]] time_point next_deadline_locked();
    void watch_locked(time_point until);

    const boost::asio::any_io_executor runs_on_;
    const std::shared_ptr<async::scheduler> time_;
    std::unique_ptr<journal> journal_;
    std::mutex mutex_;                                // guards below
    std::deque<std::shared_ptr<awaited>> deadlines_;  // the first ones are gone when they are over
    std::size_t kept_ = 0;                            // of these, not over
    std::unique_ptr<alarm> deadline_alarm_;           // null while there are none
    std::unique_ptr<alarm> sync_alarm_;               // the journal's wish,
    time_point sync_due_ = (time_point::max)();       // for then
};

}  // namespace levee::cache_detail
