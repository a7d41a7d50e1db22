/// What waits for an answer of the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/redis/command.hpp"
#include "levee/redis/reply.hpp"

namespace levee::redis::detail {

/// Why there is no answer.
struct failure {
    std::error_code code{};
    bool may_have_been_executed = false;
    std::string what{};

    [[nodiscard]] std::exception_ptr to_exception() const;
};

/// idle → queued → sent → done; a broken connection takes sent back to queued, if it is idempotent.
enum class request_state : std::uint8_t {
    idle,
    queued,
    sent,
    done,  ///< Answered, failed or abandoned: no connection knows it any more.
};

/// A command, or several that go out together. A connection knows it from `submit` until it is done.
///
/// Thread safety: all but `finish` happens under the mutex of the connection that has it, or before and
/// after that by its owner.
class request {
public:
    request(const request&) = delete;
    request& operator=(const request&) = delete;

    /// Called once it is done, under no lock; it may be gone when this returns.
    virtual void finish() noexcept = 0;

    // Set before it is submitted.
    std::string wire{};
    std::string fallback{};      ///< Sent instead if the answer is NOSCRIPT. Empty: nothing.
    std::uint32_t commands = 1;  ///< Replies expected; those of a group go to `parts`.
    bool is_group = false;
    bool is_idempotent = false;
    bool is_blocking = false;      ///< A thread waits, which looks after the deadline itself.
    std::uint64_t generation = 0;  ///< Not to be sent on any later connection than this one. Zero: on any.
    time_point deadline{};

    // What came of it.
    reply answer{};
    std::vector<reply> parts{};     ///< Of a group: the answers in order.
    std::uint64_t answered_by = 0;  ///< The number of the connection that it came by.
    failure cause{};                ///< Its code is set if there is no answer.

    // The connection's own.
    request_state state = request_state::idle;
    std::uint32_t attempts = 0;
    std::uint64_t place = 0;
    request* next = nullptr;

protected:
    request() = default;
    request(command&& from, time_point until) : wire(), is_idempotent(from.is_idempotent()), deadline(until) {
        wire = std::move(from).wire();
    }
    request(pipeline&& from, time_point until)
        : wire(),
          commands(static_cast<std::uint32_t>(from.size())),
          is_group(true),
          is_idempotent(from.is_idempotent()),
          deadline(until) {
        wire = std::move(from).wire();
    }
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

private:
    request* head_ = nullptr;
    request* tail_ = nullptr;
};

}  // namespace levee::redis::detail
