/// A bound on how many loads run at a time; more wait their turn, in their order.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"

namespace levee::cache_detail {

/// Thread safety: safe. Must outlive those who wait at it: they hold it shared.
class load_gate : public std::enable_shared_from_this<load_gate> {
public:
    /// `most` zero: no bound.
    explicit load_gate(std::size_t most) : most_(most) {}

    /// A place; given back by its end.
    class place {
    public:
        place() = default;
        explicit place(std::shared_ptr<load_gate> of) : of_(std::move(of)) {}
        place(place&&) noexcept = default;
        place& operator=(place&& other) noexcept {
            if (this != &other) {
                give_back();
                of_ = std::move(other.of_);
            }
            return *this;
        }
        ~place() { give_back(); }
        [[nodiscard]] explicit operator bool() const noexcept { return of_ != nullptr; }

    private:
        void give_back() noexcept {
            if (const auto gate = std::move(of_)) {
                gate->leave();
            }
        }
        std::shared_ptr<load_gate> of_;
    };

    /// Without waiting; empty: there is none.
    [[nodiscard]] place try_enter();

    /// Blocks: until there is one, or until `deadline`; then the place is empty.
    [[nodiscard]] place enter(time_point deadline);

    /// The same for a coroutine. Errors: errc::timeout at the deadline, errc::cancelled.
    [[nodiscard]] boost::asio::awaitable<place> async_enter(std::shared_ptr<async::scheduler> time,
                                                            time_point deadline);

    [[nodiscard]] std::size_t waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }

private:
    struct waiter {
        virtual ~waiter() = default;
        virtual void admit(bool has_place) noexcept = 0;  // off the lock, once
    };
    template <class Handler>
    struct async_waiter;
    struct blocking_waiter;
    using queue = std::list<std::shared_ptr<waiter>>;

    [[nodiscard]] static boost::asio::awaitable<place> wait_for_place(std::shared_ptr<load_gate> gate);
    void leave() noexcept;
    [[nodiscard]] bool withdraw(const waiter* who);

    const std::size_t most_;
    mutable std::mutex mutex_;  // guards both below
    std::size_t running_ = 0;
    queue waiting_;
};

}  // namespace levee::cache_detail
