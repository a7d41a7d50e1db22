#include "redis/connection.hpp"

#include <boost/asio/post.hpp>
#include <thread>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

constexpr std::size_t one_write = 64U << 10U;  // what is joined into one write
// A link at rest may have been closed. Looking costs a system call: a thread does it after this time only.
constexpr duration unwatched = std::chrono::milliseconds(5);

connection_state::rules rules_of(const client_options& options) {
    return {.max_pending = options.max_pending,
            .max_pending_bytes = options.max_pending_bytes,
            .max_attempts = options.max_attempts,
            .waits_while_disconnected = options.while_disconnected == when_disconnected::wait,
            .silence_timeout = options.silence_timeout};
}

}  // namespace

connection::connection(std::shared_ptr<const client_options> options, std::shared_ptr<const tls_context> tls,
                       std::uint64_t seed)
    : options_(std::move(options)),
      tls_(std::move(tls)),
      scheduler_(options_->scheduler),
      strand_(asio::make_strand(options_->executor)),
      state_(rules_of(*options_)),
      waits_(options_->reconnect, seed) {}

connection::~connection() {
    gate_->shut();
}

std::uint64_t connection::generation() const noexcept {
    return generation_.load(std::memory_order_relaxed);
}

void connection::note_load_locked() noexcept {
    load_.store(state_.queued_bytes() >> 10U, std::memory_order_relaxed);
}

void connection::want_connection_locked(errands& then) {
    if (!is_connecting_ && state_.where() != connection_state::phase::closed) {
        is_connecting_ = true;
        then.connects = true;
    }
}

bool connection::submit_locked(request& one, errands& then) {
    if (state_.where() == connection_state::phase::backing_off && !is_connecting_ && next_attempt_ <= now()) {
        state_.try_again();
    }
    if (state_.where() == connection_state::phase::ready && state_.unanswered() == 0 && !has_writer_) {
        const time_point moment = clock::coarse().now();
        if ((!one.is_blocking || after(last_used_, unwatched) <= moment) && link_->is_dead_or_noisy()) {
            lose_locked(*link_, {errc::connection_lost, false, "Redis closed the connection"}, then);
        }
        last_used_ = moment;
    }
    if (!state_.submit(one)) {
        return false;
    }
    note_load_locked();
    if (state_.where() != connection_state::phase::ready) {
        want_connection_locked(then);
    }
    return true;
}

/// What is free of the two roles goes to the caller.
void connection::take_roles_locked(bool for_thread, errands& then) {
    if (state_.where() != connection_state::phase::ready) {
        return;
    }
    then.at = link_;
    if (!has_writer_ && (state_.has_output() || link_->owes_output())) {
        has_writer_ = true;
        then.writes = true;
    }
    if (reader_ == reader_kind::nobody) {
        reader_ = for_thread ? reader_kind::thread : reader_kind::executor;
        then.reads = true;
    }
}

void connection::execute(blocking_request& one) {
    if (async::runs_on_this_thread(options_->executor)) {
        one.cause = {levee::errc::would_deadlock, false,
                     "a blocking Redis call on a thread of the client's executor"};
        one.state = request_state::done;
        return;
    }
    errands then;
    bool is_queued = false;
    {
        const std::lock_guard lock(mutex_);
        is_queued = submit_locked(one, then);
        if (is_queued) {
            take_roles_locked(true, then);
            if (then.reads) {
                reading_thread_ = &one;
            }
            then.is_crowded = state_.unanswered() + state_.queued() > 1;
            if (then.writes && !then.is_crowded) {
                state_.take_output(then.at->output, one_write, clock::coarse().now(), then.done);
                note_load_locked();
            }
        }
    }
    finish_all(then.done);
    if (then.connects) {
        asio::post(strand_, [self = shared_from_this()] { self->begin_connecting(); });
    }
    if (!is_queued) {
        return;
    }
    if (then.writes) {
        if (then.is_crowded) {
            std::this_thread::yield();  // others that are about to ask join this write
        }
        if (!flush(*then.at)) {
            asio::post(strand_, [self = shared_from_this(), at = then.at] { self->flush_on_strand(at); });
        }
    }
    if (then.reads) {
        read_for_thread(then.at, one);
    }
    time_point until = one.deadline;
    while (!one.is_finished()) {
        const bool is_woken = one.wait_until(until);
        if (const auto at = one.take_appointment()) {
            read_for_thread(at, one);
        } else if (!is_woken) {
            errands after_all;
            bool is_over = false;
            {
                const std::lock_guard lock(mutex_);
                is_over = state_.abandon(one, levee::errc::timeout);
                if (reading_thread_ == &one) {  // appointed a moment ago
                    pass_reading_on_locked(link_, after_all);
                }
                if (is_over && link_ != nullptr && state_.is_silent(now())) {
                    lose_locked(*link_, {errc::connection_lost, false, "Redis has been silent for too long"},
                                after_all);
                }
            }
            run_for_executor(after_all);
            if (is_over) {
                return;
            }
            until = (time_point::max)();  // it is being finished
        }
    }
}

void connection::submit(request& one) {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (submit_locked(one, then)) {
            take_roles_locked(false, then);
            if (!one.is_blocking && one.deadline < watched_until_) {
                watched_until_ = one.deadline;
                then.watches = true;
            }
        } else {
            then.done.push(one);
        }
    }
    run_for_executor(then);
}

void connection::cancel(request& one) noexcept {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (state_.abandon(one, levee::errc::cancelled)) {
            then.done.push(one);
        }
    }
    finish_all(then.done);
}

void connection::finish_all(finished_list& done) {
    while (request* const one = done.pop()) {
        if (!one->fallback.empty() && one->answer.is_error() &&
            code_of(one->answer.text()) == errc::no_script) {
            one->wire = std::exchange(one->fallback, {});
            {
                const std::lock_guard lock(mutex_);  // its thread may be about to give it up
                one->answer = reply();
                one->attempts = 0;
                one->state = request_state::idle;
                one->is_blocking = false;  // its thread waits for the end only: the watch keeps the deadline
            }
            submit(*one);
        } else {
            one->finish();
        }
    }
}

void connection::run_for_executor(errands& then) {
    if (then.writes) {
        asio::post(strand_, [self = shared_from_this(), at = then.at] { self->flush_on_strand(at); });
    }
    if (then.reads) {
        asio::post(strand_, [self = shared_from_this(), at = then.at] { self->wait_readable(at); });
    }
    if (then.connects) {
        asio::post(strand_, [self = shared_from_this()] { self->begin_connecting(); });
    }
    if (then.watches) {
        asio::post(strand_, [will = last_will(shared_from_this())]() mutable {
            const std::shared_ptr<connection> self = will.of();
            self->begin_watching(std::move(will));
        });
    }
    finish_all(then.done);
}

void connection::close() noexcept {
    gate_->shut();
    finished_list done;
    {
        const std::lock_guard lock(mutex_);
        state_.close({levee::errc::closed, false, "the Redis client was closed"}, done);
        if (link_ != nullptr) {
            link_->shut_down();
            link_ = nullptr;
        }
        reader_ = reader_kind::nobody;
        reading_thread_ = nullptr;
        has_writer_ = false;
        note_load_locked();
    }
    finish_all(done);
    asio::post(strand_, [self = shared_from_this()] {
        for (const auto& each :
             {std::exchange(self->stop_watching_, nullptr), std::exchange(self->stop_connecting_, nullptr)}) {
            if (each != nullptr) {
                each->emit(asio::cancellation_type::terminal);
            }
        }
    });
}

connection_state::counts connection::totals() const {
    const std::lock_guard lock(mutex_);
    return state_.totals();
}

bool connection::is_connected() const {
    const std::lock_guard lock(mutex_);
    return state_.where() == connection_state::phase::ready;
}

std::size_t connection::pending() const {
    const std::lock_guard lock(mutex_);
    return state_.queued() + state_.unanswered();
}

}  // namespace levee::redis::detail
