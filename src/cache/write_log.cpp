#include "levee/cache/detail/write_log.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

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

asio::awaitable<void> write_log::async_durable(std::shared_ptr<write_log> self, std::uint64_t sequence) {
    auto begin = [&](auto handler) {
        const auto held = std::make_shared<decltype(handler)>(std::move(handler));
        self->when_durable(sequence, [held](std::exception_ptr failure) {
            const auto executor = asio::get_associated_executor(*held);
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
