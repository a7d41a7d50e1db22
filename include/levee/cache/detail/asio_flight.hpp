/// The driver of a flight on Asio: its strand, its deadline and the loader's cancellation.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <memory>
#include <mutex>

#include "levee/async/scheduler.hpp"
#include "levee/cache/detail/flight.hpp"

namespace levee::cache_detail {

/// A flight whose loader may be a coroutine. What runs on Asio runs on one strand, made when first needed.
///
/// Thread safety: safe on a shared object.
class asio_flight : public flight {
public:
    /// `scheduler` may be null: then only plain loaders and blocking callers are served.
    asio_flight(time_point deadline, time_point soft_deadline, std::shared_ptr<async::scheduler> scheduler)
        : flight(deadline, soft_deadline), scheduler_(std::move(scheduler)) {}
    asio_flight(time_point deadline, std::shared_ptr<async::scheduler> scheduler)
        : asio_flight(deadline, (time_point::max)(), std::move(scheduler)) {}

    /// Runs `work` on the strand. It is asked to stop (terminal cancellation) when the flight stops.
    /// Called once at most.
    void start(boost::asio::awaitable<void> work);

    /// Runs `work` beside the load until `stop_aside`, or the end. One at a time.
    void start_aside(boost::asio::awaitable<void> work);
    void stop_aside() noexcept;

    /// Sees to it that the deadline is kept although nobody blocks for it. The first call counts. Out of
    /// memory, the deadline is not kept.
    void watch_deadline() noexcept;

    /// True if `executor` is this flight's strand: then its own loader is asking.
    [[nodiscard]] bool runs_on(const boost::asio::any_io_executor& executor) const;

protected:
    void on_stopping() noexcept override;
    void on_ended() noexcept override;

private:
    using signal_ptr = std::shared_ptr<boost::asio::cancellation_signal>;

    [[nodiscard]] boost::asio::any_io_executor strand();
    [[nodiscard]] static boost::asio::awaitable<void> expire_at_deadline(std::shared_ptr<asio_flight> self);
    void launch(boost::asio::awaitable<void> work, signal_ptr stopped_by);
    static void emit(const boost::asio::any_io_executor& strand, signal_ptr signal) noexcept;

    const std::shared_ptr<async::scheduler> scheduler_;
    // Empty before something first runs on Asio and after the end; the signals are used on the strand only.
    mutable std::mutex mutex_;  // guards all below
    boost::asio::any_io_executor strand_;
    signal_ptr stop_loader_;
    signal_ptr stop_watch_;
    signal_ptr stop_aside_;
    bool is_watched_ = false;
    bool has_ended_ = false;
};

}  // namespace levee::cache_detail
