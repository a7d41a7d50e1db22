#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <string_view>
#include <utility>

#include "levee/postgres/error.hpp"
#include "postgres/session.hpp"
#include "postgres/session_traces.hpp"

namespace levee::postgres::detail {

namespace asio = boost::asio;

// A session at rest may have been ended by the server. Looked at after this time only.
constexpr duration unwatched = std::chrono::milliseconds(5);

/// What cleans a session. If it fails the session is closed.
class session::reset_request final : public request {
public:
    reset_request(std::weak_ptr<session> of, std::vector<std::string> statements, time_point until)
        : of_(std::move(of)) {
        kind = request_kind::group;
        is_internal = true;
        is_reset = true;
        texts = std::move(statements);
        deadline = until;
    }
    ~reset_request() = default;

    void finish() noexcept override {
        const std::unique_ptr<reset_request> self(this);
        const auto of = of_.lock();
        if (cause && of != nullptr) {
            of->close();
        }
    }

private:
    std::weak_ptr<session> of_;
};

// Coming and going.

void session::condemn_locked(bool is_condemned) noexcept {
    if (is_condemned) {
        is_condemned_ = true;
        is_fit_.store(false, std::memory_order_relaxed);
    }
}

session_facts session::facts() const {
    const std::lock_guard lock(mutex_);
    session_facts known;
    known.is_usable = !state_.is_closed();
    known.is_condemned = is_condemned_;
    known.pending = state_.queued() + state_.unanswered();
    known.prepared = cache_.size();
    const auto totals = state_.totals();
    known.sent = totals.sent;
    known.repeated = totals.repeated;
    known.dropped_late = totals.dropped_late;
    known.cancels = totals.cancels;
    known.is_in_transaction =
        state_.status() == transaction_status::open || state_.status() == transaction_status::failed;
    known.process = process_;
    known.is_standby = was_standby_ || is_on_locked("in_hot_standby");
    return known;
}

bool session::is_on_locked(const char* parameter) const noexcept {
    const char* const value = PQparameterStatus(link_->get(), parameter);
    return value != nullptr && value == std::string_view("on");
}

/// By what the server reports on its own account; one before 14 does not.
bool session::matches_role_locked() const noexcept {
    if (PQparameterStatus(link_->get(), "in_hot_standby") == nullptr) {
        return true;
    }
    const bool is_standby = is_on_locked("in_hot_standby");
    switch (config_->role) {
        case server_role::primary:
            return !is_standby;
        case server_role::read_write:
            return !is_standby && !is_on_locked("default_transaction_read_only");
        case server_role::read_only:
            return is_standby || is_on_locked("default_transaction_read_only");
        case server_role::standby:
            return is_standby;
        default:
            return true;
    }
}

bool session::looks_alive() noexcept {
    errands then;
    bool is_alive = false;
    {
        const std::lock_guard lock(mutex_);
        // Looking costs a system call: not after a moment.
        const time_point moment = clock::coarse().now();
        if (moment >= after(last_used_, unwatched) && !state_.is_closed() && reader_ == reader_kind::nobody &&
            state_.is_idle() && link_->has_input()) {
            read_locked(then);
        }
        last_used_ = moment;
        is_alive = !state_.is_closed() && !is_condemned_ && matches_role_locked();
    }
    run(then);
    return is_alive;
}

void session::condemn() noexcept {
    const std::lock_guard lock(mutex_);
    condemn_locked(true);
}

return_verdict session::come_back(reset_policy policy) noexcept {
    errands then;
    return_verdict verdict = return_verdict::clean;
    try {
        const std::lock_guard lock(mutex_);
        mailbox_.clear();
        last_used_ = clock::coarse().now();
        const bool is_in_transaction =
            state_.status() == transaction_status::open || state_.status() == transaction_status::failed;
        if (state_.is_closed() || is_condemned_ || !listeners_.empty() ||
            (traces_ & traces::indelible) != 0 || (policy == reset_policy::never && is_in_transaction)) {
            return return_verdict::discard;
        }
        if (!state_.is_idle()) {
            return policy == reset_policy::never ? return_verdict::discard : return_verdict::examine;
        }
        const std::uint8_t bits = policy == reset_policy::always ? std::uint8_t{traces::all} : traces_;
        traces_ = traces::none;
        if (policy != reset_policy::never && (bits != traces::none || is_in_transaction)) {
            auto made =
                std::make_unique<reset_request>(weak_from_this(), statements_against(bits, is_in_transaction),
                                                after(now(), config_->options.cancel_timeout));
            watch_until_locked(made->deadline, then);
            if (!state_.submit(*made)) {
                return return_verdict::discard;
            }
            static_cast<void>(made.release());  // its own now
            ++resets_;
            pump_locked(then);
            note_load_locked();
        }
    } catch (const std::exception&) {
        verdict = return_verdict::discard;
    }
    run(then);
    return verdict;
}

void session::begin_reset(request& one) {
    one.kind = request_kind::group;
    one.is_internal = true;
    one.is_reset = true;
    one.texts = statements_against(traces::all, true);
    {
        const std::lock_guard lock(mutex_);
        traces_ &= traces::indelible;
        ++resets_;
    }
    submit(one);
}

void session::lose_locked(const std::string& why, std::error_code code, errands& then, bool cuts) {
    const std::string what = without_password(*config_, why);
    state_.close(std::make_exception_ptr(error(code, what, true)),
                 std::make_exception_ptr(error(code, what, false)), then.done);
    for (request* const each : std::exchange(listeners_, {})) {
        each->cause = std::make_exception_ptr(error(code, what, false));
        each->state = request_state::done;
        then.done.push(*each);
    }
    is_fit_.store(false, std::memory_order_relaxed);
    link_->let_go();
    if (cuts) {
        link_->shut_down();
    }
    owes_output_ = false;
    note_load_locked();
}

void session::close() noexcept {
    gate_->shut();
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (!state_.is_closed()) {
            const bool is_at_rest = state_.is_idle() && reader_ == reader_kind::nobody;
            was_standby_ = is_on_locked("in_hot_standby");
            lose_locked("the connection was closed", levee::errc::closed, then, !is_at_rest);
            if (is_at_rest) {
                link_->take_leave();
            }
        }
    }
    run(then);
    asio::post(strand_, [self = shared_from_this()] {
        if (const auto stop = std::exchange(self->stop_watching_, nullptr)) {
            stop->emit(asio::cancellation_type::terminal);
        }
    });
}

// Deadlines of asynchronous requests.

void session::watch_until_locked(time_point when, errands& then) noexcept {
    if (when < watched_until_) {
        watched_until_ = when;
        then.watches = true;
    }
}

// Not kept alive by this: a watch may last as long as the longest statement was allowed to.
void session::begin_watching(last_will will) {
    if (const auto old = std::exchange(stop_watching_, nullptr)) {
        old->emit(asio::cancellation_type::terminal);
    }
    auto stop = std::make_shared<asio::cancellation_signal>();
    stop_watching_ = stop;
    auto work = watch(std::move(will), config_->options.scheduler, stop);
    asio::co_spawn(strand_, std::move(work),
                   asio::bind_cancellation_slot(stop->slot(), [stop](const std::exception_ptr&) {}));
}

asio::awaitable<void> session::watch(last_will will, std::shared_ptr<async::scheduler> time,
                                     std::shared_ptr<asio::cancellation_signal> stop) {
    std::exception_ptr failed;
    try {
        for (;;) {
            std::optional<time_point> until;
            if (const auto self = will.of().lock()) {
                until = self->expire(stop);
            }
            if (!until) {
                break;
            }
            co_await time->sleep_until(*until);
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
std::optional<time_point> session::expire(const std::shared_ptr<asio::cancellation_signal>& watch) {
    if (stop_watching_ != watch) {
        return std::nullopt;
    }
    errands then;
    time_point until{};
    {
        const std::lock_guard lock(mutex_);
        const time_point moment = now();
        const auto timed_out = [&](const request& one) { return cause_of(one, levee::errc::timeout); };
        state_.expire(moment, timed_out, then.done);
        until = state_.earliest_deadline();
        for (std::size_t i = 0; i < listeners_.size();) {
            request& one = *listeners_[i];
            if (!one.is_blocking && one.deadline <= moment) {
                abandon_locked(one, levee::errc::timeout, then);
                then.done.push(one);
            } else {
                until = one.is_blocking ? until : (std::min)(until, one.deadline);
                ++i;
            }
        }
        if (cancel_again_at_ <= moment) {
            cancel_again_at_ = (time_point::max)();
            state_.cancel_again();
        }
        after_change_locked(then);
        if (drained_until_ <= moment) {
            lose_locked("PostgreSQL did not stop a statement that was given up", errc::connection_lost, then);
        }
        until =
            state_.is_closed() ? (time_point::max)() : (std::min)({until, drained_until_, cancel_again_at_});
        watched_until_ = until;
        then.watches = false;  // this one looks again by then
    }
    run(then);
    if (until == (time_point::max)()) {
        return std::nullopt;
    }
    return until;
}

}  // namespace levee::postgres::detail
