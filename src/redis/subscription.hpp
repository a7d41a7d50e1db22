/// A subscription at work: connecting, listening and asking for signs of life, on one strand.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "levee/redis/subscriber.hpp"
#include "levee/resilience/backoff.hpp"
#include "redis/link.hpp"

namespace levee::redis::detail {

class subscription : public std::enable_shared_from_this<subscription> {
public:
    subscription(std::shared_ptr<const client_options> options, std::shared_ptr<const tls_context> tls,
                 subscriber_options wanted);

    void begin();
    /// Once it has returned no handler runs or will run.
    void end() noexcept;

    [[nodiscard]] bool is_subscribed() const;
    [[nodiscard]] bool wait_subscribed(duration timeout) const;
    [[nodiscard]] time_point alive_at() const noexcept {
        return time_point(duration(alive_at_.load(std::memory_order_acquire)));  // pairs with take's release
    }

private:
    boost::asio::awaitable<void> run();
    boost::asio::awaitable<void> listen(std::shared_ptr<link> at);
    boost::asio::awaitable<void> ping(std::shared_ptr<link> at);
    void take(const reply& one);
    void say(link& at, pipeline words);
    void set_subscribed(bool is);
    [[nodiscard]] bool is_over() const;
    template <class Handler>
    void call(const Handler& handler);

    const std::shared_ptr<const client_options> options_;
    const std::shared_ptr<const tls_context> tls_;
    const subscriber_options wanted_;
    const boost::asio::strand<boost::asio::any_io_executor> strand_;
    std::atomic<duration::rep> alive_at_ = (time_point::min)().time_since_epoch().count();

    // The strand's.
    backoff waits_;
    std::size_t confirmed_ = 0;
    bool has_been_subscribed_ = false;
    time_point asked_at_ = (time_point::min)();  // of the PING under way; min: none is
    std::shared_ptr<boost::asio::cancellation_signal> stop_{};
    std::shared_ptr<boost::asio::cancellation_signal> stop_pinging_{};

    mutable std::mutex mutex_;  // guards what follows; taken alone
    mutable std::condition_variable changed_;
    bool is_over_ = false;
    bool is_in_handler_ = false;
    bool is_subscribed_ = false;
    std::shared_ptr<link> link_{};
};

}  // namespace levee::redis::detail
