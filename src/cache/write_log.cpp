#include "levee/cache/detail/write_log.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
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
    asio::co_spawn(runs_on_, sync_later(weak, time_, when), asio::detached);
}

asio::awaitable<void> write_log::sync_later(std::weak_ptr<write_log> of,
                                            std::shared_ptr<async::scheduler> time, time_point when) {
    co_await time->sleep_until(when);
    if (const auto self = of.lock()) {
        self->journal_->run_sync();
    }
}

void write_log::awaited::tell(std::exception_ptr failure) {
    if (!is_over.exchange(true)) {
        std::exchange(done, nullptr)(std::move(failure));
    }
}

void write_log::when_durable(std::uint64_t sequence, time_point deadline,
                             std::function<void(std::exception_ptr)> done) {
    auto one = std::make_shared<awaited>(sequence, deadline, std::move(done));
    journal_->when_durable(sequence, [one](std::exception_ptr failure) { one->tell(std::move(failure)); });
    if (!one->is_over.load()) {
        keep_deadline(std::move(one));
    }
}

void write_log::keep_deadline(std::shared_ptr<awaited> one) {
    bool is_to_start = false;
    {
        const std::lock_guard lock(mutex_);
        while (!deadlines_.empty() && deadlines_.front()->is_over.load()) {
            deadlines_.pop_front();
        }
        deadlines_.push_back(std::move(one));
        is_to_start = !std::exchange(is_watching_, true);
    }
    if (is_to_start) {
        asio::co_spawn(time_->executor(), watch_deadlines(weak_from_this(), time_), asio::detached);
    }
}

asio::awaitable<void> write_log::watch_deadlines(std::weak_ptr<write_log> of,
                                                 std::shared_ptr<async::scheduler> time) {
    for (;;) {
        time_point next = (time_point::max)();
        if (const auto self = of.lock()) {
            next = self->tell_late(time->now());
        }
        if (next == (time_point::max)()) {
            co_return;
        }
        co_await time->sleep_until(next);
    }
}

/// When the next deadline is; the highest time_point: there is none, and nobody watches any more.
time_point write_log::tell_late(time_point now) {
    for (;;) {
        std::shared_ptr<awaited> late;
        {
            const std::lock_guard lock(mutex_);
            while (!deadlines_.empty() && deadlines_.front()->is_over.load()) {
                deadlines_.pop_front();
            }
            if (deadlines_.empty()) {
                is_watching_ = false;
                return (time_point::max)();
            }
            if (deadlines_.front()->deadline > now) {
                return deadlines_.front()->deadline;
            }
            late = std::move(deadlines_.front());
            deadlines_.pop_front();
        }
        late->tell(std::make_exception_ptr(
            error(errc::timeout, "journal: waiting for record " + std::to_string(late->sequence))));
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
