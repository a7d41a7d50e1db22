#include "levee/cache/detail/write_log.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <string>
#include <utility>

#include "cache/tracked_executor.hpp"
#include "levee/core/error.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

std::shared_ptr<write_log> write_log::open(journal_options options, asio::any_io_executor runs_on,
                                           std::shared_ptr<async::scheduler> time,
                                           const journal::visitor& replay) {
    const std::shared_ptr<write_log> made(new write_log(std::move(runs_on), std::move(time)));
    options.schedule = [weak = std::weak_ptr<write_log>(made)](time_point when) {
        if (const auto self = weak.lock()) {
            self->sync_at(when);
        }
    };
    made->journal_ = std::make_unique<journal>(std::move(options), replay);
    if (const time_point first = made->journal_->next_sync_at(); first != (time_point::max)()) {
        made->sync_at(first);  // asked for while it was being opened
    }
    return made;
}

void write_log::sync_at(time_point when) {
    if (journal_ == nullptr) {
        return;
    }
    const std::weak_ptr<write_log> weak = weak_from_this();
    if (when <= time_->now()) {
        asio::post(runs_on_, [weak] {
            if (const auto self = weak.lock()) {
                self->journal_->run_sync();
            }
        });
        return;
    }
    // Later: the earliest wish. Wishes are told without the journal's lock, so a later one may come after an
    // earlier one that has replaced it there. What has no timer of its own is asked for again by whoever
    // syncs.
    std::unique_ptr<alarm> next;  // or the one before it, which is called off without the lock
    const std::lock_guard lock(mutex_);
    if (when >= sync_due_) {
        return;
    }
    next = std::make_unique<alarm>(time_, when, [weak, when, runs_on = runs_on_] {
        if (const auto self = weak.lock()) {
            self->sync_is_due(when);
        }
        asio::post(runs_on, [weak] {
            if (const auto self = weak.lock()) {
                self->journal_->run_sync();
            }
        });
    });
    sync_due_ = when;
    sync_alarm_.swap(next);
}

void write_log::sync_is_due(time_point when) noexcept {
    const std::lock_guard lock(mutex_);
    if (sync_due_ == when) {
        sync_due_ = (time_point::max)();
    }
}

void write_log::close() {
    std::unique_ptr<alarm> called_off;
    {
        const std::lock_guard lock(mutex_);
        sync_alarm_.swap(called_off);
        sync_due_ = (time_point::min)();  // none any more
    }
    journal_->close();
}

void write_log::awaited::tell(std::exception_ptr failure) {
    if (!is_over.exchange(true)) {
        std::exchange(done, nullptr)(std::move(failure));
    }
}

void write_log::when_durable(std::uint64_t sequence, time_point deadline,
                             std::function<void(std::exception_ptr)> done) {
    auto one = std::make_shared<awaited>(sequence, deadline, std::move(done));
    journal_->when_durable(sequence, [one, weak = weak_from_this()](std::exception_ptr failure) {
        one->tell(std::move(failure));
        if (const auto self = weak.lock()) {
            self->forget_deadline(*one);
        }
    });
    if (!one->is_over.load()) {
        keep_deadline(std::move(one));
    }
}

void write_log::keep_deadline(std::shared_ptr<awaited> one) {
    const std::lock_guard lock(mutex_);
    if (one->is_over.load()) {
        return;
    }
    deadlines_.push_back(one);
    one->is_kept = true;
    ++kept_;
    if (deadline_alarm_ == nullptr) {
        watch_locked(next_deadline_locked());
    }
}

// With the last one goes the timer.
void write_log::forget_deadline(awaited& one) noexcept {
    std::unique_ptr<alarm> called_off;
    const std::lock_guard lock(mutex_);
    if (std::exchange(one.is_kept, false) && --kept_ == 0) {
        deadlines_.clear();
        deadline_alarm_.swap(called_off);
    }
}

void write_log::watch_locked(time_point until) {
    deadline_alarm_ = std::make_unique<alarm>(time_, until, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            self->tell_late();
        }
    });
}

/// The highest time_point: there is none.
time_point write_log::next_deadline_locked() {
    while (!deadlines_.empty() && deadlines_.front()->is_over.load()) {
        deadlines_.pop_front();
    }
    return deadlines_.empty() ? (time_point::max)() : deadlines_.front()->deadline;
}

void write_log::tell_late() noexcept {
    const time_point now = time_->now();
    for (;;) {
        std::shared_ptr<awaited> late;
        {
            const std::lock_guard lock(mutex_);
            const time_point next = next_deadline_locked();
            if (next > now) {
                deadline_alarm_.reset();
                if (!deadlines_.empty()) {
                    try {
                        watch_locked(next);
                    } catch (...) {  // no memory: whoever comes next watches for these, too
                        return;
                    }
                }
                return;
            }
            late = std::move(deadlines_.front());
            deadlines_.pop_front();
            late->is_kept = false;
            --kept_;
        }
        std::exception_ptr why;
        try {
            throw error(errc::timeout, "journal: waiting for record " + std::to_string(late->sequence));
        } catch (...) {  // or for want of memory
            why = std::current_exception();
        }
        late->tell(std::move(why));
    }
}

asio::awaitable<void> write_log::async_durable(std::shared_ptr<write_log> self, std::uint64_t sequence,
                                               time_point deadline) {
    auto begin = [&](auto handler) {
        const auto held = std::make_shared<decltype(handler)>(std::move(handler));
        const auto executor = tracked_executor_of(*held);
        self->when_durable(sequence, deadline, [held, executor](std::exception_ptr failure) {
            asio::post(executor, [held, failure = std::move(failure)] { std::move (*held)(failure); });
        });
    };
    co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
        begin, asio::use_awaitable);
}

void write_log::release(std::span<const std::uint64_t> sequences) noexcept {
    try {
        journal_->release(sequences);
    } catch (...) {  // closed: the next owner replays it, which does no harm
        return;
    }
}

}  // namespace levee::cache_detail
