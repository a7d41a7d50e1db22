// Leading: what one thread at a time does for all.
#include <algorithm>
#include <utility>

#include "journal/journal_core.hpp"
#include "journal/record.hpp"

namespace levee {

using namespace journal_format;
using journal_detail::append_mark;

namespace {

constexpr duration mark_delay = std::chrono::seconds(1);
constexpr std::uint64_t bytes_between_marks = std::uint64_t{64} << 10U;
constexpr std::size_t remembered_failures = 4096;

}  // namespace

bool journal::core::is_sync_due_locked(time_point now) const {
    if (options_.sync == journal_sync::always) {
        return !buffer_.empty();
    }
    if (options_.sync == journal_sync::off) {
        return false;
    }
    return (unsynced_since_ && now >= after(*unsynced_since_, options_.sync_interval)) ||
           (!buffer_.empty() && now >= after(buffer_began_, options_.sync_interval));
}

/// When somebody has to lead next.
time_point journal::core::due_locked() const {
    if (is_closed_) {
        return (time_point::max)();
    }
    time_point due = (time_point::max)();
    if (!async_waiters_.empty()) {
        return time_point{};  // at once
    }
    if (options_.sync != journal_sync::always && !buffer_.empty()) {
        due = std::min(due, after(buffer_began_, options_.sync_interval));
    }
    if (options_.sync == journal_sync::every && unsynced_since_) {
        due = std::min(due, after(*unsynced_since_, options_.sync_interval));
    }
    if (mark_since_) {
        due = std::min(due, after(*mark_since_, mark_delay));
    }
    return due;
}

/// The time to be asked for, or the highest: nothing, or it has been asked for.
time_point journal::core::to_request_locked() {
    if (!options_.schedule) {
        return (time_point::max)();
    }
    const time_point due = due_locked();
    if (due >= scheduled_for_) {
        return (time_point::max)();
    }
    scheduled_for_ = due;
    return due;
}

void journal::core::request(time_point when) const noexcept {
    if (when != (time_point::max)() && options_.schedule) {
        journal_detail::quietly([&] { options_.schedule(when); });
    }
}

time_point journal::core::next_sync_at() const {
    const guard lock(mutex_);
    return due_locked();
}

void journal::core::run_sync() {
    guard lock(mutex_);
    scheduled_for_ = (time_point::max)();
    if (is_leading_ || is_closed_) {
        return;  // whoever leads asks again, if there is need
    }
    if (due_locked() <= clock_.now()) {
        lead(lock, false);
        return;
    }
    tell(lock, {.schedule_at = to_request_locked()});
}

/// Called with the mutex while nobody else leads; returns with it. Returns what failed.
std::exception_ptr journal::core::lead(guard& lock, bool must_sync) {
    is_leading_ = true;
    const time_point now = clock_.now();
    for (const waiter_ptr& each : waiters_) {
        must_sync = must_sync || each->on_medium;
    }
    const bool with_sync = must_sync || is_sync_due_locked(now);
    batch_.clear();
    std::swap(batch_, buffer_);
    in_flight_ = batch_.size();
    const std::uint64_t last = window_.last();
    const std::uint64_t mark = window_.mark();
    const std::uint64_t acknowledged = acknowledged_;
    if (!batch_.empty() && !unsynced_since_) {
        unsynced_since_ = buffer_began_;
    }
    const bool is_mark_due =
        mark > written_mark_ && (since_mark_ >= bytes_between_marks || is_closed_ ||
                                 (mark_since_ && now >= after(*mark_since_, mark_delay)));
    const std::uint64_t mark_before = written_mark_;
    if (is_mark_due &&
        (options_.max_bytes == 0 || disk_bytes_ + in_flight_ + mark_size <= options_.max_bytes)) {
        append_mark(batch_, last, lag_locked(), mark);
        in_flight_ = batch_.size();
        written_mark_ = mark;
        since_mark_ = 0;
    }
    if (mark_since_ && (is_mark_due || now >= after(*mark_since_, mark_delay))) {
        mark_since_.reset();
    }
    lock.unlock();
    std::exception_ptr failed;
    const time_point begun = clock::precise().now();
    try {
        failed = writer_->commit(batch_, last, mark, with_sync, acknowledged);
    } catch (...) {
        failed = std::current_exception();
    }
    const duration took = clock::precise().now() - begun;
    lock.lock();
    if (failed) {
        written_mark_ = mark_before;
    } else if (options_.sync == journal_sync::every || !writer_->has_backlog()) {
        safe_mark_ = written_mark_;
    }
    free_released(lock);
    const std::size_t writers = waiters_.size() + 1;
    news outcome;
    publish(failed, last, outcome);
    is_leading_ = false;
    hand_over_locked(outcome);
    if (with_sync) {
        gathering_.synced(took, writers);
    }
    tell(lock, std::move(outcome));
    return failed;
}

/// The leader's, with the mutex, which it lets go of meanwhile: deletes segments that are released by now.
/// What failed, a mark as well, is tried again a second later.
void journal::core::free_released(guard& lock) {
    while (writer_->front_last() <= window_.mark()) {
        const std::uint64_t mark = window_.mark();
        lock.unlock();
        writer_->free_released(mark);
        lock.lock();
        if (writer_->front_last() <= mark) {
            break;  // it could not be deleted; tried again later
        }
    }
    disk_bytes_ = writer_->bytes_on_disk();
    front_last_ = writer_->front_last();
    counts_.segments = writer_->segments();
    if (!mark_since_ && (window_.mark() > written_mark_ || front_last_ <= window_.mark())) {
        mark_since_ = clock_.now();
    }
}

/// Notes how a leader fared, and gathers who is served by it.
void journal::core::publish(const std::exception_ptr& failed, std::uint64_t last, news& tell) {
    in_flight_ = 0;
    tell.events = writer_->take_events();
    const std::uint64_t safe =
        options_.sync == journal_sync::always ? writer_->durable_through() : writer_->written_through();
    if (failed) {
        // What was acknowledged earlier stays in the writer's backlog; what was not has failed.
        const std::uint64_t first = std::max(acknowledged_, safe) + 1;
        if (options_.sync == journal_sync::every && acknowledged_ > writer_->durable_through()) {
            tell.events.push_back({.kind = journal_event_kind::records_at_risk,
                                   .first = writer_->durable_through() + 1,
                                   .last = acknowledged_,
                                   .error = failed});
        }
        if (first <= last) {
            remember_failed_locked({first, last, failed});
            for (std::uint64_t sequence = first; sequence <= last; ++sequence) {
                window_.release(sequence);
            }
            counts_.failed += last - first + 1;
            tell.events.push_back(
                {.kind = journal_event_kind::records_failed, .first = first, .last = last, .error = failed});
        }
        acknowledged_ = std::max(acknowledged_, last);
    } else {
        acknowledged_ = std::max(acknowledged_, safe);
    }
    durable_ = std::max(durable_, writer_->durable_through());
    if (!writer_->has_backlog() || options_.sync == journal_sync::off) {
        unsynced_since_.reset();
    }
    counts_.syncs = writer_->syncs();
    counts_.synced_records = writer_->synced_records();
    counts_.given_up = writer_->given_up();

    auto kept = async_waiters_.begin();
    for (async_waiter& each : async_waiters_) {
        if (is_known_locked(each.sequence, false, each.error)) {
            tell.served.push_back(std::move(each));
        } else {
            *kept++ = std::move(each);
        }
    }
    async_waiters_.erase(kept, async_waiters_.end());
}

/// Of too many, the two oldest become one, with the records between them: whoever waits that late for one of
/// those is told of a failure that it did not have, rather than another of a success that it did not have.
void journal::core::remember_failed_locked(failed_range one) {
    failed_.push_back(std::move(one));
    if (failed_.size() > remembered_failures) {
        failed_[1].first = failed_[0].first;
        failed_.pop_front();
    }
}

void journal::core::hand_over_locked(news& tell) {
    waiter_ptr next;
    tell.woken.reserve(tell.woken.size() + waiters_.size());
    std::erase_if(waiters_, [&](const waiter_ptr& each) {
        std::exception_ptr failed;
        if (is_known_locked(each->sequence, each->on_medium, failed)) {
            each->tell(waiter::news::served, failed);
            tell.woken.push_back(each);
            return true;
        }
        next = next == nullptr ? each : next;
        return false;
    });
    if (next != nullptr) {
        std::erase(waiters_, next);
        next->tell(waiter::news::lead, nullptr);
        tell.woken.push_back(std::move(next));  // the last: it lets the others come, if it is to
    } else {
        tell.schedule_at = to_request_locked();
    }
}

/// Wakes who was told something, and calls the user's functions, without the mutex.
void journal::core::tell(guard& lock, news what) {
    if (what.woken.empty() && what.served.empty() && (what.events.empty() || !options_.observer) &&
        what.schedule_at == (time_point::max)()) {
        if (is_closed_) {
            idle_.notify_all();
        }
        return;
    }
    ++telling_;
    lock.unlock();
    for (const waiter_ptr& each : what.woken) {
        each->woken.notify_one();
    }
    request(what.schedule_at);
    for (const async_waiter& each : what.served) {
        journal_detail::quietly([&] { each.done(each.error); });
    }
    if (options_.observer) {
        for (const journal_event& each : what.events) {
            journal_detail::quietly([&] { options_.observer(each); });
        }
    }
    what.served.clear();
    lock.lock();
    --telling_;
    if (is_closed_) {
        idle_.notify_all();
    }
}

}  // namespace levee
