#include "redis/connection.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <utility>
#include <vector>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

constexpr std::size_t one_write = 64U << 10U;  // what is joined into one write
constexpr std::uint64_t detach_after = 16;     // reads by threads

}  // namespace

// Writing.

/// Sends until nothing is left, and then lays the role down. False: the socket takes no more for now, and
/// the role is still the caller's.
bool connection::flush(link& at) {
    for (;;) {
        if (at.has_output()) {
            failure why;
            const io_status status = at.send(why);
            if (status == io_status::would_block) {
                return false;
            }
            if (status == io_status::failed) {
                lose(at, why);
                return true;
            }
        }
        finished_list done;
        bool is_over = false;
        {
            const std::lock_guard lock(mutex_);
            if (link_.get() != &at) {
                return true;
            }
            if (state_.has_output()) {
                state_.take_output(at.output, one_write, clock::coarse().now(), done);
                note_load_locked();
            } else if (!at.owes_output()) {
                has_writer_ = false;
                is_over = true;
            }
        }
        finish_all(done);
        if (is_over) {
            return true;
        }
    }
}

void connection::flush_on_strand(const std::shared_ptr<link>& at) {
    if (!flush(*at)) {
        at->attached().async_wait(
            asio::posix::descriptor_base::wait_write,
            asio::bind_executor(strand_, [self = shared_from_this(), at](boost::system::error_code) {
                self->flush_on_strand(at);  // a failure shows when sending
            }));
    }
}

// Reading.

/// Hands replies to who waits for them. True: `own` is done, and reading has been passed on.
bool connection::deliver(const std::shared_ptr<link>& at, std::vector<reply>& replies, request* own) {
    errands then;
    bool is_own_done = false;
    {
        const std::lock_guard lock(mutex_);
        if (link_ != at) {
            replies.clear();
            return false;
        }
        state_.heard(clock::coarse().now());
        for (reply& each : replies) {
            if (!state_.take_reply(std::move(each), then.done)) {
                lose_locked(*at, {errc::protocol_error, false, "Redis sent an answer to no question"}, then);
                break;
            }
        }
        if (own != nullptr && own->state == request_state::done) {
            is_own_done = true;
            if (link_ == at) {
                last_used_ = clock::coarse().now();
                pass_reading_on_locked(at, then);
                then.detaches = at->is_attached() && ++reads_by_threads_ % detach_after == 0;
            }
        }
    }
    replies.clear();
    run_for_executor(then);
    if (then.detaches) {
        asio::post(strand_, [self = shared_from_this(), at] { self->detach(*at); });
    }
    return is_own_done;
}

void connection::pass_reading_on_locked(const std::shared_ptr<link>& at, errands& then) {
    reading_thread_ = nullptr;
    if (state_.unanswered() == 0 && !state_.has_output()) {
        reader_ = reader_kind::nobody;
    } else if (request* const next = state_.last_blocking(); next != nullptr) {
        reading_thread_ = static_cast<blocking_request*>(next);
        reading_thread_->appoint(at);
    } else {
        reader_ = reader_kind::executor;
        then.at = at;
        then.reads = true;
    }
}

/// Returns when `own` is done, or will be by others; never with the role.
void connection::read_for_thread(const std::shared_ptr<link>& at, blocking_request& own) {
    std::vector<reply> replies;
    for (;;) {
        if (!at->wait_readable(own.deadline)) {
            errands then;
            {
                const std::lock_guard lock(mutex_);
                if (link_ == at) {
                    pass_reading_on_locked(at, then);
                    if (reading_thread_ == &own) {  // nobody else: the executor keeps it
                        static_cast<void>(own.take_appointment());
                        reading_thread_ = nullptr;
                        reader_ = reader_kind::executor;
                        then.at = at;
                        then.reads = true;
                    }
                }
            }
            run_for_executor(then);
            return;  // waiting goes on, and times out
        }
        failure why;
        const io_status status = at->receive(replies, why);
        if (deliver(at, replies, &own)) {
            return;
        }
        if (status == io_status::failed) {
            lose(*at, why);
            return;
        }
        const std::lock_guard lock(mutex_);
        if (link_ != at || reading_thread_ != &own) {
            return;
        }
    }
}

void connection::detach(link& at) {
    {
        const std::lock_guard lock(mutex_);
        if (reader_ == reader_kind::executor) {
            return;
        }
    }
    at.let_go();  // should a write wait, it tries again and attaches it again
}

void connection::wait_readable(const std::shared_ptr<link>& at) {
    at->attached().async_wait(
        asio::posix::descriptor_base::wait_read,
        asio::bind_executor(strand_, [self = shared_from_this(), at](boost::system::error_code) {
            self->on_readable(at);  // a failure shows when receiving
        }));
}

void connection::on_readable(const std::shared_ptr<link>& at) {
    std::vector<reply> replies;
    failure why;
    const io_status status = at->receive(replies, why);
    static_cast<void>(deliver(at, replies, nullptr));
    if (status == io_status::failed) {
        lose(*at, why);
        return;
    }
    errands then;
    bool goes_on = false;
    {
        const std::lock_guard lock(mutex_);
        if (link_ != at) {
            return;
        }
        if (at->owes_output() && !has_writer_) {
            has_writer_ = true;
            then.at = at;
            then.writes = true;
        }
        goes_on = state_.unanswered() > 0 || state_.has_output();
        if (!goes_on) {
            reader_ = reader_kind::nobody;
            last_used_ = clock::coarse().now();
        }
    }
    run_for_executor(then);
    if (goes_on) {
        wait_readable(at);
    }
}

}  // namespace levee::redis::detail
