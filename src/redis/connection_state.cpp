#include "redis/connection_state.hpp"

#include <algorithm>
#include <vector>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {

std::exception_ptr failure::to_exception() const {
    return std::make_exception_ptr(error(code, what, may_have_been_executed));
}

void connection_state::enqueue(request& one) {
    one.place = queue_.push(&one);
    one.state = request_state::queued;
    ++queued_;
    queued_bytes_ += one.wire.size();
    if (!one.is_blocking) {
        earliest_ = (std::min)(earliest_, one.deadline);
    }
}

void connection_state::drop_from_queue(request& one) noexcept {
    queue_[one.place] = nullptr;
    --queued_;
    queued_bytes_ -= one.wire.size();
    while (!queue_.empty() && queue_.front() == nullptr) {
        queue_.pop();
    }
}

bool connection_state::refuse(request& one, failure why) {
    one.cause = std::move(why);
    one.state = request_state::done;
    return false;
}

void connection_state::end(request& one, failure why, finished_list& done) {
    one.cause = std::move(why);
    one.state = request_state::done;
    done.push(one);
}

bool connection_state::submit(request& one) {
    if (phase_ == phase::closed) {
        return refuse(one, last_failure_);
    }
    if (phase_ == phase::backing_off && !rules_.waits_while_disconnected) {
        return refuse(one, last_failure_);
    }
    if (one.generation != 0 && (one.generation != generation() || phase_ != phase::ready)) {
        return refuse(one, {errc::connection_lost, false, "the connection of this transaction was lost"});
    }
    if (queued_ + sent_.size() >= rules_.max_pending) {
        return refuse(one, {errc::queue_full, false,
                            std::to_string(queued_ + sent_.size()) + " commands wait for this connection"});
    }
    // A request larger than the bound passes if nothing else waits: it would never pass otherwise.
    if (queued_ > 0 &&
        one.wire.size() > rules_.max_pending_bytes - (std::min)(queued_bytes_, rules_.max_pending_bytes)) {
        return refuse(one, {errc::queue_full, false,
                            std::to_string(queued_bytes_) + " bytes wait for this connection"});
    }
    enqueue(one);
    return true;
}

bool connection_state::abandon(request& one, std::error_code code) {
    if (one.state != request_state::queued && one.state != request_state::sent) {
        return false;
    }
    const bool was_sent = one.state == request_state::sent || one.attempts > 0;
    std::string what = was_sent ? "waiting for the answer of Redis" : "waiting to be sent to Redis";
    if (!was_sent && phase_ != phase::ready && last_failure_.code) {
        what += ", while not connected (" + last_failure_.what + ": " + last_failure_.code.message() + ')';
    }
    if (one.state == request_state::sent) {
        sent_[one.place].who = nullptr;
    } else {
        drop_from_queue(one);
    }
    if (code == levee::errc::timeout) {
        ++counts_.timed_out;
    }
    one.state = request_state::done;
    one.cause = {code, was_sent, std::move(what)};
    return true;
}

void connection_state::expire(time_point now, finished_list& done) {
    if (earliest_ > now) {
        return;
    }
    time_point next = (time_point::max)();
    const auto look_at = [&](request* one) {
        if (one == nullptr || one->is_blocking) {
            return;
        }
        if (one->deadline > now) {
            next = (std::min)(next, one->deadline);
        } else if (abandon(*one, levee::errc::timeout)) {
            done.push(*one);
        }
    };
    for (std::uint64_t i = sent_.first(); i != sent_.last(); ++i) {
        look_at(sent_[i].who);
    }
    const std::uint64_t last = queue_.last();
    for (std::uint64_t i = queue_.first(); i < last; ++i) {
        if (i >= queue_.first()) {  // abandoning pops from the front
            look_at(queue_[i]);
        }
    }
    earliest_ = next;
}

void connection_state::take_output(std::string& into, std::size_t enough, time_point now,
                                   finished_list& done) {
    if (phase_ != phase::ready) {
        return;
    }
    if (sent_.empty()) {
        last_progress_ = now;
    }
    while (!queue_.empty() && into.size() < enough) {
        request* const one = queue_.front();
        queue_.pop();
        if (one == nullptr) {
            continue;
        }
        --queued_;
        queued_bytes_ -= one->wire.size();
        if (one->generation != 0 && one->generation != generation()) {
            end(*one, {errc::connection_lost, false, "the connection of this transaction was lost"}, done);
            continue;
        }
        into += one->wire;
        one->place = sent_.push({one, one->commands});
        one->state = request_state::sent;
        counts_.repeated += one->attempts > 0 ? 1 : 0;
        ++one->attempts;
        ++counts_.sent;
    }
}

bool connection_state::take_reply(reply&& next, finished_list& done) {
    if (sent_.empty()) {
        return false;
    }
    entry& front = sent_.front();
    request* const one = front.who;
    if (one == nullptr) {
        ++counts_.dropped_late;
    } else if (one->is_group) {
        one->parts.push_back(std::move(next));
    } else {
        one->answer = std::move(next);
    }
    if (--front.replies_left == 0) {
        sent_.pop();
        if (one != nullptr) {
            one->answered_by = generation();
            one->state = request_state::done;
            done.push(*one);
        }
    }
    return true;
}

void connection_state::connected() {
    phase_ = phase::ready;
    ++counts_.connected;
    last_failure_ = {};
}

void connection_state::lost(const failure& why, finished_list& done) {
    if (phase_ == phase::closed) {
        return;
    }
    ++counts_.lost;
    last_failure_ = why;
    last_failure_.may_have_been_executed = false;
    phase_ = phase::connecting;
    std::string cause = why.what;
    if (why.code != errc::connection_lost) {
        cause += " (" + why.code.message() + ')';
    }
    std::vector<request*> again;
    for (; !sent_.empty(); sent_.pop()) {
        request* const one = sent_.front().who;
        if (one == nullptr) {
            continue;
        }
        one->parts.clear();
        if (one->is_idempotent && one->attempts < rules_.max_attempts && one->generation == 0) {
            again.push_back(one);
        } else {
            end(*one, {errc::connection_lost, true, cause}, done);
        }
    }
    for (; !queue_.empty(); queue_.pop()) {
        if (queue_.front() != nullptr) {
            again.push_back(queue_.front());
        }
    }
    queued_ = 0;
    queued_bytes_ = 0;
    for (request* const one : again) {
        enqueue(*one);
    }
}

void connection_state::fail_queued(const failure& why, finished_list& done) {
    for (; !queue_.empty(); queue_.pop()) {
        if (request* const one = queue_.front(); one != nullptr) {
            failure cause = why;
            cause.may_have_been_executed = one->attempts > 0;
            end(*one, std::move(cause), done);
        }
    }
    queued_ = 0;
    queued_bytes_ = 0;
}

void connection_state::refused(const failure& why, bool is_final, finished_list& done) {
    if (phase_ == phase::closed) {
        return;
    }
    ++counts_.failed_attempts;
    last_failure_ = why;
    phase_ = phase::backing_off;
    if (is_final || !rules_.waits_while_disconnected) {
        fail_queued(why, done);
    }
}

void connection_state::try_again() noexcept {
    if (phase_ == phase::backing_off) {
        phase_ = phase::connecting;
    }
}

void connection_state::close(const failure& why, finished_list& done) {
    if (phase_ == phase::closed) {
        return;
    }
    phase_ = phase::closed;
    last_failure_ = why;
    for (; !sent_.empty(); sent_.pop()) {
        if (request* const one = sent_.front().who; one != nullptr) {
            failure cause = why;
            cause.may_have_been_executed = true;
            end(*one, std::move(cause), done);
        }
    }
    fail_queued(why, done);
}

request* connection_state::last_blocking() noexcept {
    constexpr std::uint64_t few = 64;
    for (std::uint64_t i = sent_.last(), looked = 0; i != sent_.first() && looked < few; ++looked) {
        request* const one = sent_[--i].who;
        if (one != nullptr && one->is_blocking) {
            return one;
        }
    }
    return nullptr;
}

}  // namespace levee::redis::detail
