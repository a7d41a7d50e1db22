/// What waits for an answer of the server.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/postgres/notification.hpp"
#include "levee/postgres/parameters.hpp"
#include "levee/postgres/result.hpp"

namespace levee::postgres::detail {

enum class request_kind : std::uint8_t {
    statement,
    script,      ///< Several statements in one text, without values: PostgreSQL's simple protocol.
    group,       ///< Several statements in one sync group: `texts`.
    copy_begin,  ///< COPY … FROM STDIN.
    copy_data,
    copy_end,
    notification,  ///< Nothing is sent: it waits for a NOTIFY.
};

/// idle → queued → sent → done; sent goes back to queued where sending again is known to be harmless.
enum class request_state : std::uint8_t {
    idle,
    queued,
    sent,
    done,  ///< Answered, failed or abandoned: no connection knows it any more.
};

/// A connection knows it from `submit` until it is done.
///
/// Thread safety: all but `finish` happens under the mutex of the connection that has it, or before and after
/// that by its owner.
class request {
public:
    request(const request&) = delete;
    request& operator=(const request&) = delete;

    /// Called once it is done, under no lock; it may be gone when this returns.
    virtual void finish() noexcept = 0;

    // Set before it is submitted.
    request_kind kind = request_kind::statement;
    bool is_blocking = false;  ///< A thread waits, which looks after the deadline itself.
    bool is_internal =
        false;              ///< Of the connection itself: a reset, DEALLOCATE. Its work is never cancelled.
    bool is_reset = false;  ///< If it fails the session is not clean, and must be closed.
    bool aborts = false;    ///< Of copy_end: the server is to forget what came.
    std::string sql{};
    parameters values{};
    std::string bytes{};               ///< Of copy_data.
    std::vector<std::string> texts{};  ///< Of a group.
    time_point deadline{};

    // What came of it.
    result answer{};
    notification note{};
    std::exception_ptr cause{};  ///< Set if there is no answer.

    // The connection's own.
    request_state state = request_state::idle;
    std::uint32_t attempts = 0;
    bool wants_format = false;
    std::uint64_t place = 0;
    request* next = nullptr;

protected:
    request() = default;
    ~request() = default;
};

/// Requests that are done and not finished yet, in order.
class finished_list {
public:
    void push(request& one) noexcept {
        one.next = nullptr;
        (tail_ == nullptr ? head_ : tail_->next) = &one;
        tail_ = &one;
    }
    [[nodiscard]] request* pop() noexcept {
        request* const first = head_;
        if (first != nullptr) {
            head_ = first->next;
            tail_ = head_ == nullptr ? nullptr : tail_;
        }
        return first;
    }
    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    void finish_all() noexcept {
        while (request* const one = pop()) {
            one->finish();
        }
    }

private:
    request* head_ = nullptr;
    request* tail_ = nullptr;
};

}  // namespace levee::postgres::detail
