#include "journal/journal_core.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "journal/crc32c.hpp"
#include "journal/record.hpp"
#include "levee/core/error.hpp"

namespace levee {

using namespace journal_format;
using journal_detail::append_record;
using journal_detail::gathering_window;

namespace {

/// Kept free of records: for the headers and marks that writing them takes.
constexpr std::uint64_t spare_bytes = 1024;

journal_options checked(journal_options options) {
    validate(options);
    return options;
}

}  // namespace

journal::core::core(journal_options options, const visitor& replay)
    : options_(checked(std::move(options))),
      clock_(options_.clock != nullptr ? *options_.clock : clock::precise()),
      files_(options_.files != nullptr ? options_.files : posix_journal_files(options_.folder)) {
    if (!replay) {
        throw std::invalid_argument("journal: the visitor of what is replayed is empty");
    }
    folder_lock_ = files_->lock();
    journal_detail::recovery found(*files_);
    found.examine();
    found.repair();
    window_ = found.replay(replay);
    writer_.emplace(*files_, options_, found.place());
    writer_->open();
    found.remove_void();
    writer_->free_released(window_.mark());
    report_ = found.report();

    acknowledged_ = durable_ = window_.last();
    written_mark_ = safe_mark_ = window_.mark();
    disk_bytes_ = writer_->bytes_on_disk();
    front_last_ = writer_->front_last();
    counts_.segments = writer_->segments();
    news first{.events = writer_->take_events()};
    for (const journal_damage& each : report_.damage) {
        first.events.push_back(
            {.kind = journal_event_kind::damaged, .segment = each.segment, .damage = each});
    }
    guard lock(mutex_);
    tell(lock, std::move(first));
}

journal::core::~core() {
    journal_detail::quietly([&] { close(); });
}

std::uint64_t journal::core::append(std::span<const bytes_view> records) {
    std::uint64_t size = 0;
    std::vector<std::uint32_t> many;
    std::uint32_t one = 0;  // the usual case allocates nothing
    for (const bytes_view record : records) {
        if (record.size() + record_header_size + segment_header_size > options_.segment_bytes) {
            throw error(std::make_error_code(std::errc::message_size),
                        "journal: appending a record of " + std::to_string(record.size()) + " bytes");
        }
        size += record_header_size + record.size();
        if (records.size() == 1) {
            one = journal_detail::crc32c(record);
        } else {
            many.push_back(journal_detail::crc32c(record));
        }
    }
    guard lock(mutex_);
    if (is_closed_) {
        throw error(errc::closed, "journal: appending");
    }
    if (options_.max_bytes != 0 &&
        disk_bytes_ + in_flight_ + buffer_.size() + size + spare_bytes > options_.max_bytes) {
        counts_.refused += records.size();
        throw error(errc::full, "journal: appending to " + files_->name());
    }
    const std::uint64_t first = window_.last() + 1;
    if (records.empty()) {
        return first;
    }
    if (buffer_.empty()) {
        buffer_began_ = clock_.now();
    }
    if (buffer_.capacity() - buffer_.size() < size) {  // now, so that nothing throws halfway
        buffer_.reserve(std::max<std::size_t>(2 * buffer_.capacity(), buffer_.size() + size));
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
        const std::uint32_t lag = lag_locked();
        append_record(buffer_, window_.add(), lag, records[i], records.size() == 1 ? one : many[i]);
    }
    since_mark_ += size;
    counts_.appended += records.size();
    if (options_.sync != journal_sync::always && options_.schedule) {
        if (const time_point when = to_request_locked(); when != (time_point::max)()) {
            lock.unlock();
            request(when);
        }
    }
    return first;
}

void journal::core::check_range_locked(std::uint64_t sequence) const {
    if (sequence == 0 || sequence > window_.last()) {
        throw std::out_of_range("journal: there is no record " + std::to_string(sequence) +
                                "; the newest is " + std::to_string(window_.last()));
    }
}

std::uint32_t journal::core::lag_locked() const noexcept {
    const std::uint64_t lag = window_.last() - durable_;
    return lag < unknown_lag ? static_cast<std::uint32_t>(lag) : unknown_lag;
}

bool journal::core::is_known_locked(std::uint64_t sequence, bool on_medium, std::exception_ptr& error) const {
    const auto range =
        std::lower_bound(failed_.begin(), failed_.end(), sequence,
                         [](const failed_range& each, std::uint64_t wanted) { return each.last < wanted; });
    if (range != failed_.end() && sequence >= range->first) {
        error = range->error;
        return true;
    }
    return sequence <= (on_medium ? durable_ : acknowledged_);
}

void journal::core::wait(std::uint64_t sequence, time_point deadline, bool on_medium) {
    guard lock(mutex_);
    check_range_locked(sequence);
    for (bool shall_lead = false;;) {
        std::exception_ptr failed;
        if (is_known_locked(sequence, on_medium, failed)) {
            if (shall_lead && !is_leading_) {  // somebody else did it all; the baton must not be lost
                news onward;
                hand_over_locked(onward);
                tell(lock, std::move(onward));
            }
            if (failed) {
                std::rethrow_exception(failed);
            }
            return;
        }
        if (!is_leading_ && !writer_) {
            throw error(errc::closed, "journal: waiting for record " + std::to_string(sequence));
        }
        const std::size_t writers = waiters_.size() + 1;
        const bool are_all_here = gatherer_ != nullptr && writers >= gathered_at_;
        gathering_window::plan company;
        if (!is_leading_) {
            if (!shall_lead && clock::precise().now() >= deadline) {
                throw error(errc::timeout, "journal: waiting for record " + std::to_string(sequence));
            }
            company = options_.sync == journal_sync::always ? gathering_.next(writers) : company;
        }
        if (are_all_here || (!is_leading_ && company.within == duration::zero())) {
            lead_for(lock, on_medium);
            continue;
        }
        const auto me = std::make_shared<waiter>(sequence, on_medium);
        waiters_.push_back(me);
        auto told = waiter::news::none;
        if (!is_leading_) {
            is_leading_ = true;  // the others wait, and the last of them leads
            gatherer_ = me;
            gathered_at_ = company.until;
            lock.unlock();
            told = me->wait_until(after(clock::precise().now(), company.within));
            if (told == waiter::news::none) {
                lock.lock();
                if (gatherer_ == me) {  // they have not come
                    std::erase(waiters_, me);
                    lead_for(lock, on_medium);
                    continue;
                }
            }
        }
        if (lock.owns_lock()) {
            lock.unlock();
        }
        if (told == waiter::news::none) {
            told = me->wait_until(deadline);
        }
        if (told == waiter::news::none) {
            lock.lock();
            if (std::erase(waiters_, me) != 0) {
                throw error(errc::timeout, "journal: waiting for record " + std::to_string(sequence));
            }
            lock.unlock();
            told = me->wait_until(deadline);  // at the last moment
        }
        if (told == waiter::news::served) {
            if (me->error) {
                std::rethrow_exception(me->error);
            }
            return;
        }
        lock.lock();
        shall_lead = true;
    }
}

/// For one who waits, with the mutex, while nobody leads but perhaps one who lets others come.
void journal::core::lead_for(guard& lock, bool on_medium) {
    if (gatherer_ != nullptr) {
        gathering_.ended(waiters_.size() + 1 >= gathered_at_);
        gatherer_ = nullptr;
    }
    const std::exception_ptr failed = lead(lock, on_medium);
    if (failed && on_medium) {
        std::rethrow_exception(failed);
    }
}

void journal::core::waiter::tell(news what, const std::exception_ptr& why) {
    const std::lock_guard lock(mutex);
    told = what;
    error = why;
}

auto journal::core::waiter::wait_until(time_point deadline) -> news {
    std::unique_lock lock(mutex);
    woken.wait_until(lock, deadline, [this] { return told != news::none; });
    return told;
}

void journal::core::when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done) {
    guard lock(mutex_);
    check_range_locked(sequence);
    std::exception_ptr failed;
    bool is_known = is_known_locked(sequence, false, failed);
    if (!is_known && is_closed_ && !writer_) {
        is_known = true;
        failed = std::make_exception_ptr(error(errc::closed, "journal: waiting for a record"));
    }
    if (is_known) {
        lock.unlock();
        journal_detail::quietly([&] { done(failed); });
        return;
    }
    async_waiters_.push_back({sequence, std::move(done)});
    const time_point when = is_leading_ ? (time_point::max)() : to_request_locked();
    lock.unlock();
    request(when);
}

void journal::core::release(std::span<const std::uint64_t> sequences) {
    guard lock(mutex_);
    for (const std::uint64_t sequence : sequences) {
        check_range_locked(sequence);
    }
    for (const std::uint64_t sequence : sequences) {
        window_.release(sequence);
    }
    if (is_closed_) {
        return;
    }
    if (window_.mark() > written_mark_ && !mark_since_) {
        mark_since_ = clock_.now();
    }
    if (front_last_ <= window_.mark() && !is_leading_) {
        is_leading_ = true;
        free_released(lock);
        news outcome{.events = writer_->take_events()};
        is_leading_ = false;
        hand_over_locked(outcome);
        tell(lock, std::move(outcome));
        return;
    }
    const time_point when = is_leading_ ? (time_point::max)() : to_request_locked();
    lock.unlock();
    request(when);
}

void journal::core::sync(time_point deadline) {
    std::uint64_t last = 0;
    {
        const guard lock(mutex_);
        last = window_.last();
        if (last == durable_) {
            return;
        }
    }
    wait(last, deadline, true);
}

void journal::core::close() {
    guard lock(mutex_);
    if (is_closed_) {
        return;
    }
    is_closed_ = true;
    const auto is_idle = [&] { return !is_leading_ && telling_ == 0; };
    idle_.wait(lock, is_idle);
    std::exception_ptr failed;
    if (!buffer_.empty() || window_.mark() > safe_mark_ || durable_ < window_.last()) {
        failed = lead(lock, options_.sync != journal_sync::off);
        idle_.wait(lock, is_idle);  // one who waits for the medium may have led right after
    }
    writer_->close();
    writer_.reset();
    folder_lock_.reset();
    news last;
    turn_away_locked(last);
    tell(lock, std::move(last));
    if (failed) {
        std::rethrow_exception(failed);
    }
}

/// Who waits for what will not be: for the medium, with `off`.
void journal::core::turn_away_locked(news& tell) {
    for (waiter_ptr& each : waiters_) {
        each->tell(waiter::news::served,
                   std::make_exception_ptr(
                       error(errc::closed, "journal: waiting for record " + std::to_string(each->sequence))));
        tell.woken.push_back(std::move(each));
    }
    waiters_.clear();
}

journal_stats journal::core::stats() const {
    const guard lock(mutex_);
    journal_stats now = counts_;
    now.bytes = disk_bytes_ + in_flight_ + buffer_.size();
    now.pending = window_.pending();
    now.last_sequence = window_.last();
    now.durable_through = acknowledged_;
    now.released_through = window_.mark();
    now.marked_through = safe_mark_;
    now.lag = window_.last() - durable_;
    if (unsynced_since_) {
        now.oldest_lag = clock_.now() - *unsynced_since_;
    } else if (!buffer_.empty()) {
        now.oldest_lag = clock_.now() - buffer_began_;
    }
    return now;
}

}  // namespace levee
