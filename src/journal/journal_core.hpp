/// What is behind `journal`: the lock, who leads, who waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "journal/gathering_window.hpp"
#include "journal/recovery.hpp"
#include "journal/release_window.hpp"
#include "journal/segment_writer.hpp"
#include "levee/journal/journal.hpp"

namespace levee::journal_detail {

/// What the user's functions throw is ignored, as their documentation says.
template <class Call>
void quietly(const Call& call) noexcept {
    try {
        call();
    } catch (...) {
    }
}

}  // namespace levee::journal_detail

namespace levee {

/// At most one thread leads: it alone uses the writer and the disk, without the mutex. Whoever finds that
/// nobody leads may. A leader takes all that has been appended, writes it, syncs if that is due, tells those
/// who waited, and hands over: to a blocking waiter, who then leads, else through `schedule`. While the next
/// leader lets others come, it sleeps as they do, and the last one who comes, being awake, leads in its
/// place.
///
///     append ──▶ buffer_ ──leader──▶ writer's backlog ──▶ file ──sync──▶ medium
///                sequence ≤ window_.last()                 written        durable
class journal::core {
public:
    core(journal_options options, const visitor& replay);
    ~core();
    core(const core&) = delete;
    core& operator=(const core&) = delete;

    std::uint64_t append(std::span<const bytes_view> records);
    void wait(std::uint64_t sequence, time_point deadline, bool on_medium);
    void when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done);
    void run_sync();
    time_point next_sync_at() const;
    void release(std::span<const std::uint64_t> sequences);
    void sync(time_point deadline);
    void close();
    journal_stats stats() const;
    const journal_recovery& recovery_report() const noexcept { return report_; }

private:
    /// A thread in `wait`. It is told under its own mutex and woken when the journal's has been let go, so
    /// that those who are woken together do not queue for that. Shared, because it may be gone before it is
    /// woken.
    struct waiter {
        enum class news : std::uint8_t { none, served, lead };
        waiter(std::uint64_t which, bool on_the_medium) : sequence(which), on_medium(on_the_medium) {}
        void tell(news what, const std::exception_ptr& why);
        /// What it was told by then.
        news wait_until(time_point deadline);

        const std::uint64_t sequence;
        const bool on_medium;
        std::mutex mutex{};  // guards below; after the journal's
        std::condition_variable woken{};
        news told = news::none;
        std::exception_ptr error{};
    };
    using waiter_ptr = std::shared_ptr<waiter>;
    struct async_waiter {
        std::uint64_t sequence;
        std::function<void(std::exception_ptr)> done;
        std::exception_ptr error{};
    };
    /// Records whose owners were told that they are not safe.
    struct failed_range {
        std::uint64_t first;
        std::uint64_t last;
        std::exception_ptr error;
    };
    /// What a leader tells when it has let go of the mutex.
    struct news {
        std::vector<waiter_ptr> woken{};
        std::vector<async_waiter> served{};
        std::vector<journal_event> events{};
        time_point schedule_at = (time_point::max)();
    };
    using guard = std::unique_lock<std::mutex>;

    std::exception_ptr lead(guard& lock, bool must_sync);
    void lead_for(guard& lock, bool on_medium);
    void free_released(guard& lock);
    void publish(const std::exception_ptr& failed, std::uint64_t last, news& tell);
    void remember_failed_locked(failed_range one);
    void hand_over_locked(news& tell);
    void turn_away_locked(news& tell);
    void tell(guard& lock, news what);
    [[nodiscard]] bool is_known_locked(std::uint64_t sequence, bool on_medium,
                                       std::exception_ptr& error) const;
    [[nodiscard]] std::uint32_t lag_locked() const noexcept;
    void check_range_locked(std::uint64_t sequence) const;
    [[nodiscard]] bool is_sync_due_locked(time_point now) const;
    [[nodiscard]] time_point due_locked() const;
    [[nodiscard]] time_point to_request_locked();
    void request(time_point when) const noexcept;

    const journal_options options_;
    const levee::clock& clock_;
    const std::shared_ptr<journal_files> files_;
    std::unique_ptr<journal_lock> folder_lock_{};
    journal_recovery report_{};

    // The leader's: written while `is_leading_`, without the mutex.
    std::optional<journal_detail::segment_writer> writer_{};
    bytes batch_{};

    mutable std::mutex mutex_;      // guards all below
    std::condition_variable idle_;  // nobody leads or tells, for close()
    bool is_leading_ = false;
    int telling_ = 0;
    bool is_closed_ = false;  // takes no more

    bytes buffer_{};
    time_point buffer_began_{};    // when the first record in it was appended
    std::uint64_t in_flight_ = 0;  // bytes that a leader has taken from it
    journal_detail::release_window window_{};
    std::uint64_t acknowledged_ = 0;              // safe as options_.sync says
    std::uint64_t durable_ = 0;                   // on the medium
    std::optional<time_point> unsynced_since_{};  // the oldest record that was written and not synced
    std::deque<failed_range> failed_{};
    std::vector<waiter_ptr> waiters_{};
    journal_detail::gathering_window gathering_{};
    waiter_ptr gatherer_{};        // leads for the time being, asleep among waiters_, while others come
    std::size_t gathered_at_ = 0;  // who makes them so many leads in its place
    std::vector<async_waiter> async_waiters_{};

    std::uint64_t written_mark_ = 0;          // the newest mark in a segment
    std::uint64_t safe_mark_ = 0;             // and the newest that is as safe as `options_.sync` says
    std::uint64_t since_mark_ = 0;            // bytes appended after it
    std::optional<time_point> mark_since_{};  // when the window's mark went past it
    time_point scheduled_for_ = (time_point::max)();

    std::uint64_t disk_bytes_ = 0;  // as of the last leader
    std::uint64_t front_last_ = 0;  // when this is released, a segment can go
    journal_stats counts_{};
};

}  // namespace levee
