#include "redis/backplane_core.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/redis/error.hpp"
#include "levee/resilience/backoff.hpp"
#include "redis/not_now.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

std::uint64_t draw() {
    std::random_device chance;
    return (std::uint64_t{chance()} << 32U) | chance();
}

void count(std::atomic<std::uint64_t>& what) noexcept {
    what.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

backplane_core::backplane_core(std::shared_ptr<client> over, std::shared_ptr<client_core> connections,
                               const backplane_options& options)
    : over_(std::move(over)),
      connections_(std::move(connections)),
      options_(options),
      link_(draw()),
      strand_(asio::make_strand(over_->options().executor)),
      subscribers_(std::make_shared<store_detail::subscriber_list>()),
      unsent_(options.max_unsent) {}

// The handlers hold this weakly: the subscription is a part of it.
void backplane_core::begin() {
    const std::weak_ptr<backplane_core> weak = weak_from_this();
    subscription_.emplace(*over_, subscriber_options{.channels = {options_.channel},
                                                     .on_message =
                                                         [weak](const published& one) {
                                                             if (const auto self = weak.lock()) {
                                                                 self->on_published(one);
                                                             }
                                                         },
                                                     .on_gap =
                                                         [weak] {
                                                             if (const auto self = weak.lock()) {
                                                                 self->on_gap();
                                                             }
                                                         },
                                                     .tells_first = true,
                                                     .ping_interval = options_.ping_interval,
                                                     .ping_timeout = options_.ping_timeout});
}

void backplane_core::end() noexcept {
    is_over_.store(true, std::memory_order_release);
    subscription_.reset();
    asio::post(strand_, [self = shared_from_this()] {
        if (const auto stop = std::exchange(self->stop_trying_, nullptr)) {
            stop->emit(asio::cancellation_type::terminal);
        }
    });
}

time_point backplane_core::fresh_until() const noexcept {
    const time_point alive = subscription_->alive_at();
    return alive == (time_point::min)() ? alive
                                        : after(alive, options_.ping_interval + options_.ping_timeout);
}

backplane_stats backplane_core::stats() const {
    return {.sent = sent_.load(std::memory_order_relaxed),
            .failed = failed_.load(std::memory_order_relaxed),
            .heard = heard_.load(std::memory_order_relaxed),
            .foreign = foreign_.load(std::memory_order_relaxed),
            .gaps = gaps_told_.load(std::memory_order_relaxed),
            .unsent = unsent_.size()};
}

// Hearing. Handlers run one at a time, so that `gaps_` needs no lock.

void backplane_core::on_published(const published& one) {
    linked_message linked;
    switch (decode(one.payload, linked)) {
        case heard_as::foreign:
            count(foreign_);
            return;
        case heard_as::unreadable:
            on_gap();
            return;
        case heard_as::message:
            break;
    }
    count(heard_);
    if (gaps_.hear(linked.link, linked.number) || linked.is_everything) {
        count(gaps_told_);
        subscribers_->tell_gap();
    }
    if (!linked.is_everything) {
        subscribers_->tell(linked.message);
    }
}

void backplane_core::on_gap() {
    gaps_.forget();
    count(gaps_told_);
    subscribers_->tell_gap();
}

// Sending. A number is given and the message queued under one lock, on one connection, so that numbers arrive
// in order; nobody waits for an answer there.

command backplane_core::numbered_locked(linked_message linked) {
    linked.link = link_;
    linked.number = ++number_;
    return command("PUBLISH", options_.channel, encode(linked));
}

void backplane_core::send(const linked_message& linked) {
    if (async::runs_on_this_thread(over_->options().executor)) {
        throw levee::error(levee::errc::would_deadlock, "publishing on a thread of the client's executor");
    }
    std::optional<blocking_request> waiting;
    const time_point until = connections_->blocking_deadline({});
    const auto to = connections_->first();
    {
        const std::lock_guard lock(order_);
        waiting.emplace(numbered_locked(linked), connections_->deadline({}));
        waiting->is_blocking = false;  // the executor sends, and the connection watches the deadline on it
        to->submit(*waiting);
    }
    // An executor that does not run watches nothing.
    const bool is_late = !waiting->wait_until(until);
    if (is_late) {
        to->cancel(*waiting);
    }
    while (!waiting->is_finished()) {
        static_cast<void>(waiting->wait_until((time_point::max)()));  // somebody is finishing it
    }
    if (is_late && waiting->cause.code == levee::errc::cancelled) {
        waiting->cause.code = levee::errc::timeout;
    }
    if (waiting->cause.code) {
        std::rethrow_exception(waiting->cause.to_exception());
    }
    waiting->answer.throw_if_error();
}

/// What async_initiate is given.
struct backplane_core::submit {
    template <class Handler>
    void operator()(Handler&& handler, std::shared_ptr<backplane_core> self, linked_message linked) const {
        using request_type = async_request<std::decay_t<Handler>, to_integer>;
        const auto to = self->connections_->first();
        const time_point until = self->connections_->deadline({});
        const std::lock_guard lock(self->order_);
        auto made = std::make_unique<request_type>(
            std::forward<Handler>(handler), self->numbered_locked(std::move(linked)), until, to_integer{});
        made->listen_for_cancellation(*to);
        to->submit(*made.release());
    }
};

asio::awaitable<void> backplane_core::async_send(std::shared_ptr<backplane_core> self,
                                                 linked_message linked) {
    auto pending =
        asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, std::int64_t)>(
            submit{}, asio::use_awaitable, self, std::move(linked));
    static_cast<void>(co_await std::move(pending));
}

void backplane_core::publish(const backplane_message& message) {
    linked_message linked;
    linked.message = message;
    const std::uint64_t began = unsent_.now();
    try {
        send(linked);
    } catch (const error& why) {
        on_failed(linked);
        rethrow_as_unavailable(why);
    } catch (...) {
        on_failed(linked);
        throw;
    }
    on_sent(linked, began);
}

asio::awaitable<void> backplane_core::async_publish(std::shared_ptr<backplane_core> self,
                                                    backplane_message message) {
    linked_message linked;
    linked.message = std::move(message);
    const std::uint64_t began = self->unsent_.now();
    std::exception_ptr failed;
    try {
        auto pending = async_send(self, linked);
        co_await std::move(pending);
    } catch (...) {
        failed = std::current_exception();
    }
    if (failed == nullptr) {
        self->on_sent(linked, began);
        co_return;
    }
    self->on_failed(linked);
    try {
        std::rethrow_exception(failed);
    } catch (const error& why) {
        rethrow_as_unavailable(why);
    }
}

void backplane_core::on_sent(const linked_message& linked, std::uint64_t until) {
    count(sent_);
    unsent_.confirm(linked, until);
}

void backplane_core::on_failed(const linked_message& linked) {
    count(failed_);
    if (linked.message.what != change::filled) {
        unsent_.add(linked.message);
        keep_trying();
    }
}

// One coroutine at a time, begun by what failed first, ended when nothing waits.
void backplane_core::keep_trying() {
    if (is_over_.load(std::memory_order_acquire) || is_trying_.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    asio::post(strand_, [self = shared_from_this()] {
        const auto stop = std::make_shared<asio::cancellation_signal>();
        self->stop_trying_ = stop;
        asio::co_spawn(
            self->strand_, try_until_empty(self),
            asio::bind_cancellation_slot(stop->slot(), [self, stop](const std::exception_ptr& failed) {
                if (failed) {  // the next message takes it up again
                    self->is_trying_.store(false, std::memory_order_release);
                }
            }));
    });
}

asio::awaitable<void> backplane_core::try_until_empty(std::shared_ptr<backplane_core> self) {
    async::scheduler& time = *self->over_->options().scheduler;
    backoff waits(self->over_->options().reconnect, self->link_);
    while (!self->is_over_.load(std::memory_order_acquire)) {
        auto letter = self->unsent_.next();
        if (!letter) {
            self->is_trying_.store(false, std::memory_order_release);
            if (self->unsent_.size() == 0 || self->is_trying_.exchange(true, std::memory_order_acq_rel)) {
                co_return;
            }
            continue;  // something came in between, and nobody else has taken it up
        }
        bool is_sent = false;
        try {
            auto pending = async_send(self, letter->linked);
            co_await std::move(pending);
            is_sent = true;
        } catch (const std::exception&) {
            count(self->failed_);
        }
        if (is_sent) {
            self->on_sent(letter->linked, letter->until);
            waits.reset();
        } else {
            co_await time.sleep_until(after(time.now(), waits.next()));
        }
    }
}

}  // namespace levee::redis::detail
