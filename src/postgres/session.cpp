#include "postgres/session.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/postgres/error.hpp"
#include "postgres/canceller.hpp"
#include "postgres/result_access.hpp"
#include "postgres/session_traces.hpp"

namespace levee::postgres::detail {

namespace asio = boost::asio;

/// Has the server forget a statement, in a sync group of its own.
class session::deallocation final : public request {
public:
    deallocation(std::weak_ptr<session> of, std::string name, time_point until)
        : of_(std::move(of)), name_(std::move(name)) {
        kind = request_kind::group;
        is_internal = true;
        texts.push_back("DEALLOCATE " + name_);
        deadline = until;
    }
    ~deallocation() = default;

    void finish() noexcept override {
        const std::unique_ptr<deallocation> self(this);
        const auto of = of_.lock();
        if (of != nullptr && is_still_there(cause)) {
            const std::lock_guard lock(of->mutex_);
            of->cache_.put_back_dropped(std::move(name_));
        }
    }

private:
    /// True where trying again makes sense: it was not sent, or came within a failed transaction, or was hit
    /// by a request to cancel. Whatever else the server refuses, it would refuse for ever.
    static bool is_still_there(const std::exception_ptr& failed) noexcept {
        if (!failed) {
            return false;
        }
        try {
            std::rethrow_exception(failed);
        } catch (const sql_error& e) {
            return e.code() == sqlstate::in_failed_transaction || e.code() == sqlstate::query_canceled;
        } catch (const error& e) {
            return !e.may_have_been_executed();
        } catch (...) {
            return false;
        }
    }

    std::weak_ptr<session> of_;
    std::string name_;
};

session::session(std::shared_ptr<const session_config> config, std::unique_ptr<link> connected,
                 server_address where, const std::optional<backend>& served_by, bool is_shared)
    : config_(std::move(config)),
      where_(std::move(where)),
      served_by_(served_by),
      is_shared_(is_shared),
      is_encrypted_(PQsslInUse(connected->get()) != 0 || PQgssEncInUse(connected->get()) != 0),
      process_(PQbackendPID(connected->get())),
      strand_(asio::make_strand(config_->options.executor)),
      link_(std::move(connected)),
      state_({.max_pending = config_->options.max_pending, .is_shared = is_shared}),
      cache_(config_->options.max_prepared) {
    PQsetNoticeReceiver(link_->get(), &session::on_notice, this);
    PQsetnonblocking(link_->get(), 1);
    PQenterPipelineMode(link_->get());
}

session::~session() {
    gate_->shut();
}

// Asking.

namespace {

/// What libpq could not send whole: it would break off at a NUL, or close the connection.
const char* unsendable(const request& one) noexcept {
    constexpr std::size_t most_values = 65'535;
    constexpr std::size_t most_bytes = (std::size_t{1} << 30U) - 1024;  // the server takes no longer message
    if (one.sql.find('\0') != std::string::npos) {
        return "a statement with a NUL in it";
    }
    if (one.values.size() > most_values) {
        return "a statement with more than 65535 values";
    }
    if (one.sql.size() + one.values.bytes_used() > most_bytes || one.bytes.size() > most_bytes) {
        return "a statement of more than 1 GiB";
    }
    return nullptr;
}

}  // namespace

std::exception_ptr session::cause_of(const request& one, std::error_code code) const {
    const bool was_sent = one.state == request_state::sent;
    const char* const what =
        code == levee::errc::timeout ? "waiting for PostgreSQL's answer" : "a PostgreSQL statement";
    return std::make_exception_ptr(error(code, what, was_sent));
}

bool session::accept_locked(request& one, errands& then) {
    if (one.kind == request_kind::notification) {
        if (state_.is_closed()) {
            return state_.submit(one);
        }
        if (!mailbox_.empty()) {
            one.note = std::move(mailbox_.front());
            mailbox_.pop_front();
            one.state = request_state::done;
            return false;
        }
        one.state = request_state::sent;
        listeners_.push_back(&one);
    } else {
        if (const char* const why = unsendable(one)) {
            one.cause = std::make_exception_ptr(error(levee::errc::invalid_data, why, false));
            one.state = request_state::done;
            return false;
        }
        if (cache_.has_dropped()) {
            forget_dropped_locked(then);
        }
        if (!state_.submit(one)) {
            after_change_locked(then);  // it may have spoiled a COPY
            return false;
        }
    }
    if (!one.is_blocking) {
        watch_until_locked(one.deadline, then);
    }
    return true;
}

void session::forget_dropped_locked(errands& then) {
    if (state_.status() == transaction_status::failed ||
        state_.copying() != pipeline_state::copy_phase::none) {
        return;
    }
    const time_point until = after(now(), config_->options.statement_timeout);
    watch_until_locked(until, then);
    for (std::string& each : cache_.take_dropped()) {
        auto made = std::make_unique<deallocation>(weak_from_this(), std::move(each), until);
        if (state_.submit(*made)) {
            static_cast<void>(made.release());  // its own now
        }
    }
}

void session::note_load_locked() noexcept {
    load_.store(state_.queued() + state_.unanswered(), std::memory_order_relaxed);
}

void session::execute(blocking_request& one) {
    if (async::runs_on_this_thread(config_->options.executor)) {
        one.cause = std::make_exception_ptr(error(
            levee::errc::would_deadlock, "a blocking PostgreSQL call on a thread of its executor", false));
        one.state = request_state::done;
        return;
    }
    errands then;
    std::unique_lock lock(mutex_);
    if (!accept_locked(one, then)) {
        lock.unlock();
        run(then);
        return;
    }
    pump_locked(then, true);
    if (reader_ == reader_kind::nobody && !state_.is_closed()) {
        read_as_thread(lock, one, then);
        return;
    }
    lock.unlock();
    if (run(then, one) || one.wait_until(one.deadline)) {
        return;
    }
    lock.lock();
    const bool is_given_up = one.state != request_state::done;
    if (is_given_up) {
        abandon_locked(one, levee::errc::timeout, then);
    }
    lock.unlock();
    run(then);
    if (!is_given_up) {
        static_cast<void>(one.wait_until((time_point::max)()));  // it is being finished
    }
}

/// Returns when `one` is done; with the lock let go, and the role of the reader, too.
void session::read_as_thread(std::unique_lock<std::mutex>& lock, blocking_request& one, errands& then) {
    reader_ = reader_kind::thread;
    if (link_->is_attached() && !executor_writes_) {
        link_->let_go();
    }
    bool is_given_up = false;
    while (one.state != request_state::done) {
        reader_writes_ = owes_output_;
        const wait_for what = owes_output_ ? wait_for::either : wait_for::input;
        lock.unlock();
        run(then);
        const bool is_ready = link_->poll(what, one.deadline);
        lock.lock();
        if (one.state == request_state::done) {
            break;
        }
        if (!is_ready) {
            is_given_up = true;
            abandon_locked(one, levee::errc::timeout, then);
            break;
        }
        read_locked(then);
    }
    reader_writes_ = false;
    reader_ = reader_kind::nobody;
    if (!state_.is_closed()) {
        if (owes_anybody_locked()) {
            read_as_executor_locked();
        }
        if (owes_output_) {
            write_as_executor_locked();
        }
    }
    lock.unlock();
    if (!run(then, one) && !is_given_up) {
        static_cast<void>(one.wait_until((time_point::max)()));  // another thread finishes it
    }
}

void session::submit(request& one) {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (!accept_locked(one, then)) {
            then.done.push(one);
        } else if (one.kind == request_kind::notification) {
            if (reader_ == reader_kind::nobody) {
                read_as_executor_locked();
            }
        } else if (is_shared_ || state_.has_unanswered()) {
            if (!is_pump_posted_) {  // others that are about to ask join this write
                is_pump_posted_ = true;
                asio::post(config_->options.executor, [self = shared_from_this()] { self->on_pump(); });
            }
        } else {
            pump_locked(then);
        }
        note_load_locked();
    }
    run(then);
}

void session::on_pump() {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        is_pump_posted_ = false;
        if (!state_.is_closed()) {
            pump_locked(then);
        }
    }
    run(then);
}

void session::abandon_locked(request& one, std::error_code code, errands& then) {
    if (one.kind == request_kind::notification) {
        std::erase(listeners_, &one);
        one.cause = cause_of(one, code);
        one.state = request_state::done;
        return;
    }
    static_cast<void>(state_.abandon(one, cause_of(one, code)));
    after_change_locked(then);
}

void session::cancel(request& one) noexcept {
    // What is finished may have been the last to keep this, which must not end under the gate's mutex.
    auto self = weak_from_this().lock();
    if (self == nullptr) {
        return;  // it is ending, so nothing is under way
    }
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (one.state != request_state::done && one.state != request_state::idle) {
            abandon_locked(one, levee::errc::cancelled, then);
            then.done.push(one);
        }
    }
    // Not `run`: this is under the gate's mutex, and a will that is not even posted would be executed here.
    if (then.watches) {
        asio::post(strand_, [self] { self->begin_watching(last_will(self)); });
    }
    then.done.finish_all();
    asio::post(strand_, [self = std::move(self)] {});
}

/// Something was given up, or answered: is the server to be asked to cancel?
void session::after_change_locked(errands& then) {
    if (state_.is_closed()) {
        return;
    }
    if (state_.is_spoiled()) {
        lose_locked("a COPY was given up", errc::connection_lost, then);
        return;
    }
    if (!state_.is_worth_cancelling()) {
        drained_until_ = cancel_again_at_ = (time_point::max)();
        return;
    }
    if (drained_until_ == (time_point::max)() || drained_number_ != state_.first_unanswered()) {
        drained_number_ = state_.first_unanswered();
        cancel_again_at_ = (time_point::max)();
        drained_until_ = after(now(), config_->options.cancel_timeout);
        watch_until_locked(drained_until_, then);
    }
    if (state_.wants_cancel() && config_->cancels != nullptr && served_by_) {
        state_.begin_cancel();
        config_->cancels->cancel(shared_from_this(), *served_by_, where_);
    }
}

void session::cancel_ended(bool was_asked) noexcept {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (!state_.is_closed()) {
            state_.end_cancel();
            if (!was_asked && state_.is_draining()) {
                lose_locked("a statement was given up, and could not be cancelled", errc::connection_lost,
                            then);
            } else {
                pump_locked(then);  // what waited for the request to cancel, which may hit nothing now
                after_change_locked(then);
                if (was_asked && state_.is_worth_cancelling() && !state_.is_cancelling()) {
                    cancel_again_at_ = after(now(), config_->options.cancel_timeout / 16);
                    watch_until_locked(cancel_again_at_, then);
                }
            }
        }
    }
    run(then);
}

// What is done without the lock.

void session::run(errands& then) noexcept {
    if (std::exchange(then.watches, false)) {
        asio::post(strand_, [will = last_will(weak_from_this())]() mutable {
            if (const auto self = will.of().lock()) {
                self->begin_watching(std::move(will));
            }
        });
    }
    then.done.finish_all();
    for (const server_message& each : then.notices) {
        try {
            config_->options.on_notice(each);
        } catch (...) {  // NOLINT(bugprone-empty-catch): as its comment says
        }
    }
    then.notices.clear();
}

/// True: `own` was among those to be finished. That is not told to it, as its owner is here.
bool session::run(errands& then, const request& own) noexcept {
    bool is_among = false;
    while (request* const one = then.done.pop()) {
        if (one == &own) {
            is_among = true;
        } else {
            one->finish();
        }
    }
    run(then);
    return is_among;
}

void session::on_notice(void* self, const PGresult* notice) noexcept {
    auto* const own = static_cast<session*>(self);
    if (own->config_->options.on_notice) {
        try {
            own->notices_.push_back(message_of(notice));
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): no memory, no notice
        }
    }
}

}  // namespace levee::postgres::detail
