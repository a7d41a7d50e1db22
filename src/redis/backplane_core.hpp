/// A backplane's link at work: numbering and sending, hearing, trying again.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "levee/redis/backplane.hpp"
#include "levee/redis/subscriber.hpp"
#include "redis/backplane_message.hpp"
#include "redis/gap_detector.hpp"
#include "redis/unsent_messages.hpp"
#include "store/subscriber_list.hpp"

namespace levee::redis::detail {

class backplane_core : public std::enable_shared_from_this<backplane_core> {
public:
    backplane_core(std::shared_ptr<client> over, std::shared_ptr<client_core> connections,
                   const backplane_options& options);

    /// Subscribes; not in the constructor, as handlers need a shared object.
    void begin();
    void end() noexcept;

    void publish(const backplane_message& message);
    [[nodiscard]] static boost::asio::awaitable<void> async_publish(std::shared_ptr<backplane_core> self,
                                                                    backplane_message message);
    [[nodiscard]] backplane_subscription subscribe(levee::backplane::message_handler on_message,
                                                   levee::backplane::gap_handler on_gap) {
        return subscribers_->add(std::move(on_message), std::move(on_gap));
    }
    [[nodiscard]] time_point fresh_until() const noexcept;
    [[nodiscard]] bool wait_subscribed(duration timeout) const {
        return subscription_->wait_subscribed(timeout);
    }
    [[nodiscard]] backplane_stats stats() const;

private:
    struct submit;

    [[nodiscard]] command numbered_locked(linked_message linked);
    void send(const linked_message& linked);
    [[nodiscard]] static boost::asio::awaitable<void> async_send(std::shared_ptr<backplane_core> self,
                                                                 linked_message linked);
    void on_published(const published& one);
    void on_gap();
    void on_sent(const linked_message& linked, std::uint64_t until);
    void on_failed(const linked_message& linked);
    void keep_trying();
    [[nodiscard]] static boost::asio::awaitable<void> try_until_empty(std::shared_ptr<backplane_core> self);

    const std::shared_ptr<client> over_;
    const std::shared_ptr<client_core> connections_;
    const backplane_options options_;
    const std::uint64_t link_;
    const boost::asio::strand<boost::asio::any_io_executor> strand_;
    const std::shared_ptr<store_detail::subscriber_list> subscribers_;
    unsent_messages unsent_;
    gap_detector gaps_;  // the subscription's handlers' only
    std::optional<subscriber> subscription_{};

    std::mutex order_;  // of numbers and of being queued; a connection's mutex is taken under it
    std::uint64_t number_ = 0;

    std::atomic<bool> is_trying_{false};
    std::atomic<bool> is_over_{false};
    std::shared_ptr<boost::asio::cancellation_signal> stop_trying_{};  // the strand's
    std::atomic<std::uint64_t> sent_{0}, failed_{0}, heard_{0}, foreign_{0}, gaps_told_{0};
};

}  // namespace levee::redis::detail
