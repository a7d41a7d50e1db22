#include "redis/subscription.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/redis/error.hpp"
#include "redis/establish.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

}  // namespace

subscription::subscription(std::shared_ptr<const client_options> options,
                           std::shared_ptr<const tls_context> tls, subscriber_options wanted)
    : options_(std::move(options)),
      tls_(std::move(tls)),
      wanted_(std::move(wanted)),
      strand_(asio::make_strand(options_->executor)),
      waits_(options_->reconnect, options_->seed ^ 0x5ab5c41beULL) {}

void subscription::begin() {
    asio::post(strand_, [self = shared_from_this()] {
        const auto stop = std::make_shared<asio::cancellation_signal>();
        self->stop_ = stop;
        asio::co_spawn(
            self->strand_, self->run(),
            asio::bind_cancellation_slot(stop->slot(), [self, stop](const std::exception_ptr&) {}));
    });
}

void subscription::end() noexcept {
    {
        std::unique_lock lock(mutex_);
        is_over_ = true;
        if (link_ != nullptr) {
            link_->shut_down();
        }
        changed_.wait(lock, [this] { return !is_in_handler_; });
    }
    asio::post(strand_, [self = shared_from_this()] {
        for (const auto& each :
             {std::exchange(self->stop_pinging_, nullptr), std::exchange(self->stop_, nullptr)}) {
            if (each != nullptr) {
                each->emit(asio::cancellation_type::terminal);
            }
        }
    });
}

bool subscription::is_over() const {
    const std::lock_guard lock(mutex_);
    return is_over_;
}

bool subscription::is_subscribed() const {
    const std::lock_guard lock(mutex_);
    return is_subscribed_;
}

bool subscription::wait_subscribed(duration timeout) const {
    if (async::runs_on_this_thread(options_->executor)) {
        throw levee::error(levee::errc::would_deadlock, "waiting for a subscription");
    }
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, after(clock::precise().now(), timeout), [this] {
        return is_subscribed_ || is_over_;
    }) && is_subscribed_;
}

void subscription::set_subscribed(bool is) {
    if (!is) {
        alive_at_.store((time_point::min)().time_since_epoch().count(), std::memory_order_release);
    }
    const std::lock_guard lock(mutex_);
    is_subscribed_ = is;
    changed_.notify_all();
}

/// Runs a handler of the user's, so that `end` can wait for it.
template <class Handler>
void subscription::call(const Handler& handler) {
    {
        const std::lock_guard lock(mutex_);
        if (is_over_) {
            return;
        }
        is_in_handler_ = true;
    }
    try {
        handler();
    } catch (...) {
        // Documented as ignored: there is nobody to tell.
    }
    const std::lock_guard lock(mutex_);
    is_in_handler_ = false;
    changed_.notify_all();
}

asio::awaitable<void> subscription::run() {
    const auto self = shared_from_this();
    while (!is_over()) {
        std::shared_ptr<link> made;
        try {
            auto work = establish(*options_, tls_.get(), options_->scheduler);
            made = co_await std::move(work);
        } catch (const std::system_error&) {
            made = nullptr;  // tried again below
        }
        if (made != nullptr) {
            {
                const std::lock_guard lock(mutex_);
                if (is_over_) {
                    co_return;
                }
                link_ = made;
            }
            confirmed_ = 0;
            asked_at_ = (time_point::min)();
            co_await listen(made);
            set_subscribed(false);
            if (const auto stop = std::exchange(stop_pinging_, nullptr)) {
                stop->emit(asio::cancellation_type::terminal);
            }
            made->shut_down();
        }
        co_await options_->scheduler->sleep_until(after(options_->scheduler->now(), waits_.next()));
    }
}

void subscription::say(link& at, pipeline words) {
    failure why;
    at.output += words.wire();
    if (at.send(why) != io_status::done) {
        at.shut_down();  // a server that does not even take this
    }
}

asio::awaitable<void> subscription::listen(std::shared_ptr<link> at) {
    pipeline words;
    if (!wanted_.channels.empty()) {
        words.add(command("SUBSCRIBE").add_all(wanted_.channels));
    }
    if (!wanted_.patterns.empty()) {
        words.add(command("PSUBSCRIBE").add_all(wanted_.patterns));
    }
    say(*at, std::move(words));
    const auto stop = std::make_shared<asio::cancellation_signal>();
    stop_pinging_ = stop;
    asio::co_spawn(strand_, ping(at),
                   asio::bind_cancellation_slot(stop->slot(), [stop](const std::exception_ptr&) {}));
    std::vector<reply> came;
    try {
        for (;;) {
            failure why;
            const io_status status = at->receive(came, why);
            for (const reply& each : came) {
                take(each);
            }
            came.clear();
            if (status == io_status::failed) {
                co_return;
            }
            if (status == io_status::would_block) {
                co_await at->attached().async_wait(asio::posix::descriptor_base::wait_read,
                                                   asio::use_awaitable);
            }
        }
    } catch (const std::exception&) {
        // Not what a subscription looks like, or cancelled: begin anew, or end.
    }
}

void subscription::take(const reply& one) {
    const auto& words = one.elements();  // an error reply throws
    const std::string_view what = words.empty() ? std::string_view() : std::string_view(words[0].text());
    if (what == "message" && words.size() == 3) {
        const published message{words[1].text(), words[2].text(), {}};
        call([&] { wanted_.on_message(message); });
    } else if (what == "pmessage" && words.size() == 4) {
        const published message{words[2].text(), words[3].text(), words[1].text()};
        call([&] { wanted_.on_message(message); });
    } else if (what == "pong") {
        if (asked_at_ != (time_point::min)()) {
            alive_at_.store(asked_at_.time_since_epoch().count(), std::memory_order_release);
            asked_at_ = (time_point::min)();
            waits_.reset();
        }
    } else if (what == "subscribe" || what == "psubscribe") {
        if (++confirmed_ == wanted_.channels.size() + wanted_.patterns.size()) {
            if ((std::exchange(has_been_subscribed_, true) || wanted_.tells_first) && wanted_.on_gap) {
                call([&] { wanted_.on_gap(); });
            }
            set_subscribed(true);
        }
    } else {
        throw error(errc::protocol_error, "an unexpected message of a subscription", false);
    }
}

/// The first PING goes out with the subscription: its answer says that all of it stands.
asio::awaitable<void> subscription::ping(std::shared_ptr<link> at) {
    const auto self = shared_from_this();
    async::scheduler& time = *options_->scheduler;
    for (;;) {
        const time_point asked = time.now();
        asked_at_ = asked;
        pipeline words;
        words.add("PING");
        say(*at, std::move(words));
        co_await time.sleep_until(after(asked, wanted_.ping_timeout));
        if (asked_at_ == asked) {
            at->shut_down();  // the listener sees it end
            co_return;
        }
        co_await time.sleep_until(after(asked, wanted_.ping_interval));
    }
}

}  // namespace levee::redis::detail
