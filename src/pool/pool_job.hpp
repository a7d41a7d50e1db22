/// What a pool runs elsewhere: connecting, validating, resetting, and waiting for the time to come.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "levee/async/scheduler.hpp"
#include "levee/pool/detail/erased_factory.hpp"
#include "levee/pool/detail/pool_core.hpp"

namespace levee::pool_detail {

/// A coroutine on a strand of its own that can be asked to stop, also before it is spawned: the thread that
/// decides to stop it may overtake the one that spawns it.
///
/// Spawning installs a handler in the signal's slot and emitting reads it, so both happen on the strand.
class stoppable {
public:
    stoppable(const stoppable&) = delete;
    stoppable& operator=(const stoppable&) = delete;

protected:
    explicit stoppable(const boost::asio::any_io_executor& executor)
        : strand_(boost::asio::make_strand(executor)) {}
    ~stoppable() = default;

    /// `self` owns this object. Errors: std::bad_alloc.
    static void spawn(std::shared_ptr<stoppable> self, boost::asio::awaitable<void> work);
    static void stop(std::shared_ptr<stoppable> self) noexcept;

private:
    boost::asio::strand<boost::asio::any_io_executor> strand_;
    boost::asio::cancellation_signal signal_;
    bool is_stopped_ = false;  // on the strand, like the signal
};

/// One piece of work on one connection, which it owns meanwhile.
class pool_job final : public stoppable {
public:
    pool_job(const boost::asio::any_io_executor& executor, std::weak_ptr<pool_core> core,
             std::shared_ptr<erased_factory> factory, const pool_action& what, connection_ptr connection)
        : stoppable(executor),
          core_(std::move(core)),
          factory_(std::move(factory)),
          what_(what),
          connection_(std::move(connection)) {}

    /// `blocking`: where plain functions run. Whatever happens, the core is told of the end.
    static void launch(const std::shared_ptr<pool_job>& self,
                       const boost::asio::any_io_executor& blocking) noexcept;
    static void cancel(std::shared_ptr<pool_job> self) noexcept { stop(std::move(self)); }

    [[nodiscard]] const pool_action& what() const noexcept { return what_; }

private:
    class ending;

    [[nodiscard]] static boost::asio::awaitable<void> run(ending end);
    void run_blocking(std::exception_ptr& failure) noexcept;

    const std::weak_ptr<pool_core> core_;
    const std::shared_ptr<erased_factory> factory_;
    const pool_action what_;
    connection_ptr connection_;
};

/// Calls the core when a moment has come.
class pool_timer final : public stoppable {
public:
    pool_timer(const boost::asio::any_io_executor& executor, std::weak_ptr<pool_core> core, time_point when)
        : stoppable(executor), core_(std::move(core)), when_(when) {}

    static void launch(const std::shared_ptr<pool_timer>& self, std::shared_ptr<async::scheduler> time);
    static void cancel(std::shared_ptr<pool_timer> self) noexcept { stop(std::move(self)); }

private:
    [[nodiscard]] static boost::asio::awaitable<void> run(std::shared_ptr<pool_timer> self,
                                                          std::shared_ptr<async::scheduler> time);

    const std::weak_ptr<pool_core> core_;
    const time_point when_;
};

}  // namespace levee::pool_detail
