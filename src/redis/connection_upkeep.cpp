#include "redis/connection.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <utility>

#include "levee/redis/error.hpp"
#include "redis/establish.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

/// The server's own refusals and time-outs keep their code; all else is errc::not_connected.
failure why_not_connected(const std::system_error& failed) {
    std::string what = failed.what();
    const std::string sentence = ": " + failed.code().message();
    const bool keeps_code =
        failed.code().category() == error_category() || failed.code() == levee::errc::timeout;
    if (keeps_code && what.ends_with(sentence)) {
        what.resize(what.size() - sentence.size());  // it is said again by whoever throws this
    }
    return {keeps_code ? failed.code() : make_error_code(errc::not_connected), false, std::move(what)};
}

}  // namespace

// Losing and making connections.

void connection::lose_locked(link& at, const failure& why, errands& then) {
    if (link_.get() != &at) {
        return;
    }
    at.shut_down();
    link_ = nullptr;
    reader_ = reader_kind::nobody;
    reading_thread_ = nullptr;
    has_writer_ = false;
    generation_.store(0, std::memory_order_relaxed);
    state_.lost(why, then.done);
    note_load_locked();
    if (state_.queued() > 0) {
        want_connection_locked(then);
    }
}

void connection::lose(link& at, const failure& why) {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        lose_locked(at, why, then);
    }
    run_for_executor(then);
}

void connection::begin_connecting() {
    auto stop = std::make_shared<asio::cancellation_signal>();
    stop_connecting_ = stop;
    asio::co_spawn(strand_, connect_until_done(),
                   asio::bind_cancellation_slot(stop->slot(),
                                                [self = shared_from_this(), stop](const std::exception_ptr&) {
                                                    if (self->stop_connecting_ == stop) {
                                                        self->stop_connecting_ = nullptr;
                                                    }
                                                }));
}

asio::awaitable<void> connection::connect_until_done() {
    const auto self = shared_from_this();
    for (;;) {
        time_point at_the_earliest{};
        {
            const std::lock_guard lock(mutex_);
            at_the_earliest = next_attempt_;
        }
        if (at_the_earliest > now()) {
            co_await scheduler_->sleep_until(at_the_earliest);
        }
        {
            const std::lock_guard lock(mutex_);
            if (state_.where() == connection_state::phase::closed) {
                co_return;
            }
            state_.try_again();
        }
        std::shared_ptr<link> made;
        failure why;
        try {
            auto work = establish(*options_, tls_.get(), scheduler_);
            made = co_await std::move(work);
        } catch (const std::system_error& e) {
            why = why_not_connected(e);
        }
        errands then;
        bool is_over = true;
        {
            const std::lock_guard lock(mutex_);
            if (state_.where() == connection_state::phase::closed) {
                co_return;
            }
            if (made != nullptr) {
                waits_.reset();
                link_ = made;
                last_used_ = clock::coarse().now();
                state_.connected();
                generation_.store(state_.generation(), std::memory_order_relaxed);
                is_connecting_ = false;
                if (state_.has_output()) {
                    take_roles_locked(false, then);
                }
            } else {
                const bool is_final = why.code == errc::authentication || why.code == errc::tls_failed;
                next_attempt_ = after(now(), waits_.next());
                state_.refused(why, is_final, then.done);
                is_over = state_.queued() == 0;
                is_connecting_ = !is_over;
                note_load_locked();
            }
        }
        run_for_executor(then);
        if (is_over) {
            co_return;
        }
    }
}

// Deadlines of asynchronous requests.

void connection::begin_watching(last_will will) {
    if (stop_watching_ != nullptr) {
        const auto old = std::move(stop_watching_);
        stop_watching_ = nullptr;
        old->emit(asio::cancellation_type::terminal);
    }
    auto stop = std::make_shared<asio::cancellation_signal>();
    stop_watching_ = stop;
    auto work = watch(std::move(will), stop);
    asio::co_spawn(strand_, std::move(work),
                   asio::bind_cancellation_slot(stop->slot(), [stop](const std::exception_ptr&) {}));
}

asio::awaitable<void> connection::watch(last_will will, std::shared_ptr<asio::cancellation_signal> stop) {
    const std::shared_ptr<connection> self = will.of();
    std::exception_ptr failed;
    try {
        for (auto until = self->expire(stop); until; until = self->expire(stop)) {
            co_await self->scheduler_->sleep_until(*until);
        }
    } catch (...) {
        failed = std::current_exception();
    }
    will.revoke();
    if (failed) {
        std::rethrow_exception(failed);
    }
}

// When to look again; empty: never, or another watch has begun.
std::optional<time_point> connection::expire(const std::shared_ptr<asio::cancellation_signal>& watch) {
    errands then;
    time_point until{};
    {
        const std::lock_guard lock(mutex_);
        if (stop_watching_ != watch) {
            return std::nullopt;
        }
        state_.expire(now(), then.done);
        note_load_locked();
        if (link_ != nullptr && !then.done.empty() && state_.is_silent(now())) {
            lose_locked(*link_, {errc::connection_lost, false, "Redis has been silent for too long"}, then);
        }
        until = state_.earliest_deadline();
        watched_until_ = until;
    }
    run_for_executor(then);
    if (until == (time_point::max)()) {
        return std::nullopt;
    }
    return until;
}

}  // namespace levee::redis::detail
