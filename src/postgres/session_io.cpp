#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <string_view>
#include <utility>

#include "levee/postgres/error.hpp"
#include "postgres/result_access.hpp"
#include "postgres/session.hpp"
#include "postgres/session_traces.hpp"

namespace levee::postgres::detail {
namespace {

namespace asio = boost::asio;

std::string first_line(const char* text) {
    const std::string_view all = text == nullptr ? "" : text;
    return std::string(all.substr(0, all.find('\n')));
}

transaction_status status_of(PGconn* connection) noexcept {
    switch (PQtransactionStatus(connection)) {
        case PQTRANS_IDLE:
            return transaction_status::idle;
        case PQTRANS_INTRANS:
            return transaction_status::open;
        case PQTRANS_INERROR:
            return transaction_status::failed;
        default:
            return transaction_status::unknown;
    }
}

}  // namespace

// Writing.

/// Sends what may be sent now. Whatever libpq cannot hand to the socket it keeps: nothing here blocks.
void session::pump_locked(errands& then, bool caller_reads) {
    bool is_alive = true;
    bool has_sent = false;
    for (bool goes_on = true; goes_on && is_alive;) {
        goes_on = false;
        if (state_.queued() > 1) {
            link_->cork();
        }
        while (is_alive) {
            request* const next = state_.next_to_send();
            if (next == nullptr) {
                break;
            }
            has_sent = true;
            is_alive = send_locked(*next);
        }
        if (is_alive && (has_sent || owes_output_)) {
            const int left = PQflush(link_->get());
            is_alive = left >= 0;
            owes_output_ = left == 1;
        }
        request* const part = state_.copy_part();
        if (is_alive && !owes_output_ && part != nullptr && part->state == request_state::sent) {
            state_.copy_part_sent(then.done);
            goes_on = true;
        }
    }
    link_->uncork();
    if (!is_alive) {
        lose_locked("sending to PostgreSQL: " + first_line(PQerrorMessage(link_->get())),
                    errc::connection_lost, then);
        return;
    }
    if (has_sent && reader_ == reader_kind::nobody && state_.has_unanswered() && !caller_reads) {
        read_as_executor_locked();
    }
    if (owes_output_ && !reader_writes_) {
        write_as_executor_locked();
    }
    note_load_locked();
}

bool session::send_locked(request& one) {
    PGconn* const to = link_->get();
    switch (one.kind) {
        case request_kind::statement:
            return send_statement_locked(one);
        case request_kind::group:
            for (const std::string& each : one.texts) {
                if (PQsendQueryParams(to, each.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 0) {
                    return false;
                }
            }
            return PQpipelineSync(to) == 1;
        case request_kind::script:
        case request_kind::copy_begin:
            traces_ |= one.kind == request_kind::script ? std::uint8_t{traces::all} : traces_of_text(one.sql);
            return PQexitPipelineMode(to) == 1 && PQsendQuery(to, one.sql.c_str()) == 1;
        case request_kind::copy_data:
            return PQputCopyData(to, one.bytes.data(), static_cast<int>(one.bytes.size())) == 1;
        case request_kind::copy_end:
            return PQputCopyEnd(to, one.aborts ? "given up by the client" : nullptr) == 1;
        case request_kind::notification:
            break;
    }
    return false;
}

bool session::send_statement_locked(request& one) {
    PGconn* const to = link_->get();
    const std::size_t count = one.values.size();
    value_data_.resize(count);
    value_lengths_.resize(count);
    value_formats_.resize(count);
    value_types_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        value_data_[i] = one.values.data(i);
        value_lengths_[i] = one.values.length(i);
        value_formats_[i] = one.values.is_binary(i) ? 1 : 0;
        value_types_[i] = static_cast<Oid>(one.values.type(i));
    }
    const int number = static_cast<int>(count);
    const auto found = cache_.find_or_add(one.sql, one.values);
    prepared_statement* const known = found.statement;
    bool is_sent = true;
    traces_ |= known == nullptr ? traces_of_text(one.sql) : known->traces;
    if (known == nullptr || !(found.is_new || known->is_ready)) {
        // While its preparation is under way it may still be refused. That is for the one who asked for it to
        // hear, and not for those behind, who would hear of a name that they never gave (26000).
        is_sent = PQsendQueryParams(to, one.sql.c_str(), number, value_types_.data(), value_data_.data(),
                                    value_lengths_.data(), value_formats_.data(), 0) == 1;
    } else {
        one.wants_format = !known->has_format;
        if (found.is_new) {
            state_.note_prepares(known->number);
            is_sent =
                PQsendPrepare(to, known->name.c_str(), one.sql.c_str(), number, value_types_.data()) == 1;
        }
        is_sent =
            is_sent && PQsendQueryPrepared(to, known->name.c_str(), number, value_data_.data(),
                                           value_lengths_.data(), value_formats_.data(), known->format) == 1;
    }
    return is_sent && PQpipelineSync(to) == 1;
}

void session::write_as_executor_locked() {
    if (executor_writes_ || state_.is_closed()) {
        return;
    }
    executor_writes_ = true;
    link_->attached().async_wait(asio::posix::descriptor_base::wait_write,
                                 asio::bind_executor(config_->options.executor,
                                                     [self = shared_from_this()](boost::system::error_code) {
                                                         self->on_writable();  // a failure shows when sending
                                                     }));
}

void session::on_writable() {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        executor_writes_ = false;
        if (!state_.is_closed()) {
            pump_locked(then);
        }
    }
    run(then);
}

// Reading.

void session::read_as_executor_locked() {
    if (state_.is_closed()) {
        return;
    }
    reader_ = reader_kind::executor;
    link_->attached().async_wait(
        asio::posix::descriptor_base::wait_read,
        asio::bind_executor(config_->options.executor,
                            [self = shared_from_this()](boost::system::error_code) {
                                self->on_readable();  // a failure shows when receiving
                            }));
}

void session::on_readable() {
    errands then;
    {
        const std::lock_guard lock(mutex_);
        if (!state_.is_closed()) {
            read_locked(then);
        }
        reader_ = reader_kind::nobody;
        if (owes_anybody_locked()) {
            read_as_executor_locked();
        }
    }
    run(then);
}

void session::read_locked(errands& then) {
    PGconn* const from = link_->get();
    bool is_alive = PQconsumeInput(from) == 1;
    if (is_alive && is_encrypted_) {
        // What is left of a record is in the TLS library then, and no socket tells of it. libpq always has
        // room for that much more.
        is_alive = PQconsumeInput(from) == 1;
    }
    take_results_locked(then);
    take_notifications_locked(then);
    if (!notices_.empty()) {
        then.notices.insert(then.notices.end(), notices_.begin(), notices_.end());
        notices_.clear();
    }
    if (state_.is_closed()) {
        return;
    }
    if (!is_alive || PQstatus(from) == CONNECTION_BAD) {
        lose_locked("PostgreSQL's connection broke: " + first_line(PQerrorMessage(from)),
                    errc::connection_lost, then);
        return;
    }
    if (state_.queued() > 0 || owes_output_ || state_.copy_part() != nullptr) {
        pump_locked(then);
    }
    after_change_locked(then);
    note_load_locked();
}

void session::take_results_locked(errands& then) {
    PGconn* const from = link_->get();
    bool was_null = false;
    while (state_.has_unanswered() && PQisBusy(from) == 0) {
        pg_result came(PQgetResult(from));
        if (came != nullptr) {
            was_null = false;
            take_result_locked(std::move(came), then);
        } else if (PQstatus(from) == CONNECTION_BAD) {
            return;
        } else if (PQpipelineStatus(from) == PQ_PIPELINE_OFF) {
            end_of_outside_locked(then);
        } else if (was_null) {
            return;
        } else {
            was_null = true;  // the end of one command's results
        }
    }
}

/// A script, or one end of a COPY, is over.
void session::end_of_outside_locked(errands& then) {
    const answer over{.kind = answer_kind::synced, .status = status_of(link_->get())};
    static_cast<void>(state_.take(over, then.done));
    if (PQenterPipelineMode(link_->get()) == 0) {
        lose_locked("libpq does not return to its pipeline mode", errc::protocol_error, then);
    }
}

void session::take_result_locked(pg_result came, errands& then) {
    request* const who = state_.owner();
    const char* tag = nullptr;
    switch (PQresultStatus(came.get())) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY:
            tag = PQcmdStatus(came.get());
            if (who == nullptr || !who->is_internal) {  // what cleans leaves nothing, whatever its tag
                traces_ |= traces_of_tag(tag);
            }
            condemn_locked(is_shared_ && traces_ != traces::none);  // it is never cleaned
            if (const std::uint64_t number = state_.unprepared(); number != 0) {
                cache_.prepared(number);
            }
            if (drops_statements(tag)) {
                cache_.forget_all();
            }
            if (who != nullptr) {
                if (who->kind == request_kind::copy_begin) {
                    who->cause = std::make_exception_ptr(
                        error(levee::errc::invalid_data, "the statement is no COPY … FROM STDIN", false));
                } else if (who->wants_format && PQnfields(came.get()) > 0) {
                    if (prepared_statement* const known = cache_.find(who->sql, who->values)) {
                        known->format = best_result_format(came.get());
                        known->has_format = true;
                    }
                }
                who->answer = make_result(came.release());
            }
            static_cast<void>(state_.take({.kind = answer_kind::value}, then.done));
            break;
        case PGRES_PIPELINE_SYNC:
            if (who != nullptr && who->is_reset) {
                end_of_reset_locked();
            }
            static_cast<void>(
                state_.take({.kind = answer_kind::synced, .status = status_of(link_->get())}, then.done));
            if (is_shared_ && (state_.status() == transaction_status::open ||
                               state_.status() == transaction_status::failed)) {
                lose_locked("a statement began a transaction on a shared connection", errc::protocol_error,
                            then);
            }
            break;
        case PGRES_PIPELINE_ABORTED:
            static_cast<void>(state_.take({.kind = answer_kind::skipped}, then.done));
            break;
        case PGRES_COPY_IN:
            if (state_.copying() == pipeline_state::copy_phase::begun) {
                state_.copy_opened(then.done);
                break;
            }
            [[fallthrough]];
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            lose_locked("COPY needs copy_in, and COPY … TO STDOUT is not supported", errc::protocol_error,
                        then);
            break;
        default:
            take_refusal_locked(came.get(), then);
    }
}

void session::take_refusal_locked(const PGresult* came, errands& then) {
    request* const who = state_.owner();
    const char* const field = PQresultErrorField(came, PG_DIAG_SQLSTATE);
    const std::string_view sqlstate = field == nullptr ? "" : field;
    answer refusal{.kind = answer_kind::refused};
    refusal.is_canceled = sqlstate == "57014";
    if (!state_.is_refused()) {
        if (who != nullptr) {
            if (sqlstate.empty()) {  // libpq's own: the connection broke
                who->cause = std::make_exception_ptr(error(
                    errc::connection_lost,
                    without_password(
                        *config_, "PostgreSQL's connection broke: " + first_line(PQresultErrorMessage(came))),
                    true));
            } else {
                const sql_error refused = make_sql_error(came, who->sql);
                condemn_locked(refused.condemns_connection());
                who->cause = std::make_exception_ptr(refused);
            }
        }
        condemn_locked(sqlstate.starts_with("08") || sqlstate.starts_with("57P"));
        if (const std::uint64_t number = state_.unprepared(); number != 0) {
            cache_.forget(number);
        } else if (who != nullptr && who->kind == request_kind::statement) {
            const bool is_unknown = sqlstate == "26000";
            const bool is_outdated =
                sqlstate == "0A000" &&
                std::string_view(PQresultErrorMessage(came)).find("cached plan") != std::string_view::npos;
            if (is_unknown || is_outdated) {
                refusal.is_stale_statement = true;
                cache_.forget(who->sql, who->values, is_outdated);
            }
        }
    }
    const bool is_reset = who != nullptr && who->is_reset;
    static_cast<void>(state_.take(refusal, then.done));
    if (is_reset) {
        lose_locked("the connection could not be cleaned for its next user", errc::connection_lost, then);
    }
}

/// All that came so far, and nothing that comes from now on, is the last user's.
void session::end_of_reset_locked() noexcept {
    --resets_;
    drop_notifications_locked();
    // What was under way when the reset was sent may have left behind what none takes away.
    condemn_locked((traces_ & traces::indelible) != 0);
}

void session::drop_notifications_locked() noexcept {
    mailbox_.clear();
    while (const std::unique_ptr<PGnotify, void (*)(void*)> came{PQnotifies(link_->get()), PQfreemem}) {
    }
}

void session::take_notifications_locked(errands& then) {
    if (resets_ > 0) {
        drop_notifications_locked();  // the last user listened, and has not been made to stop yet
        return;
    }
    while (const std::unique_ptr<PGnotify, void (*)(void*)> came{PQnotifies(link_->get()), PQfreemem}) {
        notification note{.channel = came->relname, .payload = came->extra, .sender = came->be_pid};
        if (!listeners_.empty()) {
            request* const first = listeners_.front();
            listeners_.pop_front();
            first->note = std::move(note);
            first->state = request_state::done;
            then.done.push(*first);
            continue;
        }
        if (mailbox_.size() >= config_->options.max_notifications) {
            mailbox_.pop_front();
        }
        mailbox_.push_back(std::move(note));
    }
}

}  // namespace levee::postgres::detail
