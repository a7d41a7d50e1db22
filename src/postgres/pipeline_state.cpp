#include "postgres/pipeline_state.hpp"

#include <utility>

#include "levee/postgres/error.hpp"

namespace levee::postgres::detail {
namespace {

bool is_part_of_copy(const request& one) noexcept {
    return one.kind == request_kind::copy_data || one.kind == request_kind::copy_end;
}

bool is_outside_pipeline(const request& one) noexcept {
    return one.kind == request_kind::copy_begin || one.kind == request_kind::script;
}

// Requests that wait to be sent again are found by a place of their own.
constexpr std::uint64_t again_bit = std::uint64_t{1} << 63U;

}  // namespace

void pipeline_state::end(request& one, finished_list& done) {
    one.state = request_state::done;
    done.push(one);
}

void pipeline_state::end(request& one, const std::exception_ptr& why, finished_list& done) {
    if (!one.cause) {
        one.cause = why;
    }
    end(one, done);
}

void pipeline_state::note_deadline(const request& one) noexcept {
    if (!one.is_blocking && one.deadline < earliest_) {
        earliest_ = one.deadline;
    }
}

bool pipeline_state::refuse(request& one, std::exception_ptr why) const {
    one.cause = std::move(why);
    one.state = request_state::done;
    return false;
}

bool pipeline_state::submit(request& one) {
    if (is_closed_) {
        return refuse(one, closed_cause_);
    }
    if (is_part_of_copy(one)) {
        if (copying_ != copy_phase::open || copy_part_ != nullptr) {
            is_spoiled_ = is_spoiled_ || (copy_part_ != nullptr && one.kind == request_kind::copy_end);
            return refuse(one, std::make_exception_ptr(error(
                                   errc::protocol_error, "a part of a COPY that is not under way", false)));
        }
        copy_part_ = &one;
        is_part_sent_ = false;
        one.state = request_state::queued;
        note_deadline(one);
        return true;
    }
    if (queued_ + sent_.size() - internal_ >= rules_.max_pending && !one.is_internal) {
        return refuse(one, std::make_exception_ptr(
                               error(errc::queue_full, "sending a statement to PostgreSQL", false)));
    }
    one.state = request_state::queued;
    one.place = queue_.push(&one);
    ++queued_;
    internal_ += one.is_internal ? 1 : 0;
    note_deadline(one);
    return true;
}

bool pipeline_state::abandon(request& one, std::exception_ptr why) {
    switch (one.state) {
        case request_state::queued:
            if (copy_part_ == &one) {
                copy_part_ = nullptr;
                is_spoiled_ = true;  // who sends parts does not go on
            } else {
                ((one.place & again_bit) != 0 ? again_[one.place & ~again_bit] : queue_[one.place]) = nullptr;
                --queued_;
                internal_ -= one.is_internal ? 1 : 0;
            }
            break;
        case request_state::sent:
            if (copy_part_ == &one && one.kind == request_kind::copy_data) {
                copy_part_ = nullptr;
                is_spoiled_ = true;
            } else {
                if (copy_part_ == &one) {
                    copy_part_ = nullptr;
                }
                sent_[one.place].who = nullptr;
                --live_;
            }
            break;
        default:
            return false;
    }
    one.cause = std::move(why);
    one.state = request_state::done;
    return true;
}

request* pipeline_state::next_of_copy() {
    if (copying_ != copy_phase::open || copy_part_ == nullptr || is_part_sent_) {
        return nullptr;
    }
    is_part_sent_ = true;
    copy_part_->state = request_state::sent;
    if (copy_part_->kind == request_kind::copy_end) {
        copying_ = copy_phase::ending;
        ++live_;
        internal_ += copy_part_->is_internal ? 1 : 0;
        copy_part_->place =
            sent_.push({.who = copy_part_, .is_internal = copy_part_->is_internal, .is_outside = true});
        return std::exchange(copy_part_, nullptr);
    }
    return copy_part_;
}

request* pipeline_state::next_to_send() {
    if (is_closed_ || is_cancelling_ || (!rules_.is_shared && is_draining())) {
        return nullptr;
    }
    if (copying_ != copy_phase::none) {
        return next_of_copy();
    }
    if (sent_.size() >= rules_.max_in_flight || (!sent_.empty() && sent_[sent_.last() - 1].is_reset)) {
        return nullptr;
    }
    for (auto* from : {&again_, &queue_}) {
        while (!from->empty()) {
            request* const one = from->front();
            if (one == nullptr) {
                from->pop();
                continue;
            }
            const bool is_outside = is_outside_pipeline(*one);
            if (!sent_.empty() && (is_outside || sent_[sent_.last() - 1].is_outside)) {
                return nullptr;
            }
            from->pop();
            --queued_;
            one->state = request_state::sent;
            ++one->attempts;
            ++live_;
            one->place = sent_.push({.who = one,
                                     .is_internal = one->is_internal,
                                     .is_reset = one->is_reset,
                                     .is_outside = is_outside});
            if (one->kind == request_kind::copy_begin) {
                copying_ = copy_phase::begun;
            }
            status_ = transaction_status::unknown;
            ++counts_.sent;
            return one;
        }
    }
    return nullptr;
}

bool pipeline_state::is_sent_again(const entry& over) const noexcept {
    const bool is_hit = over.was_canceled && over.may_be_hit;
    const bool is_order_kept = sent_.empty() && queued_ == 0;
    return over.who != nullptr && over.is_refused && (over.is_stale || is_hit) && !over.is_outside &&
           (rules_.is_shared || (is_order_kept && status_ == transaction_status::idle)) &&
           over.who->attempts < rules_.max_attempts;
}

bool pipeline_state::take(const answer& next, finished_list& done) {
    if (sent_.empty()) {
        return false;
    }
    entry& first = sent_.front();
    first.has_value = first.has_value || next.kind == answer_kind::value;
    if (next.kind == answer_kind::refused) {
        if (!first.is_refused) {
            first.is_stale = next.is_stale_statement;
            first.was_canceled = next.is_canceled;
            first.may_be_hit = first.may_be_hit || is_cancelling_;
        }
        first.is_refused = true;
    }
    if (next.kind != answer_kind::synced) {
        return true;
    }
    const entry over = first;
    sent_.pop();
    live_ -= over.who != nullptr ? 1 : 0;
    internal_ -= over.is_internal ? 1 : 0;
    status_ = sent_.empty() ? next.status : transaction_status::unknown;
    if (over.is_outside) {
        copying_ = copy_phase::none;
    }
    if (over.who == nullptr) {
        ++counts_.dropped_late;
    } else if (is_sent_again(over)) {
        request& one = *over.who;
        one.cause = nullptr;
        one.answer = result();
        one.state = request_state::queued;
        one.place = again_.push(&one) | again_bit;
        ++queued_;
        internal_ += over.is_internal ? 1 : 0;
        note_deadline(one);
        ++counts_.repeated;
    } else {
        end(*over.who, done);
    }
    return true;
}

void pipeline_state::copy_opened(finished_list& done) {
    const entry over = sent_.front();
    sent_.pop();
    live_ -= over.who != nullptr ? 1 : 0;
    copying_ = copy_phase::open;
    if (over.who == nullptr) {
        is_spoiled_ = true;  // nobody will send the data
    } else {
        end(*over.who, done);
    }
}

void pipeline_state::copy_part_sent(finished_list& done) {
    if (request* const one = std::exchange(copy_part_, nullptr)) {
        end(*one, done);
    }
}

bool pipeline_state::wants_cancel() noexcept {
    if (is_closed_ || is_cancelling_ || sent_.empty()) {
        return false;
    }
    const entry& first = sent_.front();
    return is_worth_cancelling() && !first.is_internal && !first.cancel_sent && !first.is_refused;
}

void pipeline_state::begin_cancel() noexcept {
    is_cancelling_ = true;
    ++counts_.cancels;
    sent_.front().cancel_sent = true;
}

void pipeline_state::end_cancel() noexcept {
    is_cancelling_ = false;
    for (std::uint64_t i = sent_.first(); i != sent_.last(); ++i) {
        sent_[i].may_be_hit = true;
    }
}

void pipeline_state::cancel_again() noexcept {
    if (!sent_.empty()) {
        sent_.front().cancel_sent = false;
    }
}

void pipeline_state::close(const std::exception_ptr& sent_cause, const std::exception_ptr& queued_cause,
                           finished_list& done) {
    if (is_closed_) {
        return;
    }
    is_closed_ = true;
    closed_cause_ = queued_cause;
    for (; !sent_.empty(); sent_.pop()) {
        if (request* const one = sent_.front().who) {
            end(*one, sent_cause, done);
        }
    }
    if (request* const one = std::exchange(copy_part_, nullptr)) {
        end(*one, sent_cause, done);
    }
    for (auto* from : {&again_, &queue_}) {
        for (; !from->empty(); from->pop()) {
            if (request* const one = from->front()) {
                end(*one, queued_cause, done);
            }
        }
    }
    queued_ = 0;
    internal_ = 0;
    live_ = 0;
    copying_ = copy_phase::none;
    is_cancelling_ = false;
}

}  // namespace levee::postgres::detail
