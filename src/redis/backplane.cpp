#include "levee/redis/backplane.hpp"

#include <stdexcept>
#include <utility>

#include "redis/backplane_core.hpp"

namespace levee::redis {

void validate(const backplane_options& options) {
    if (options.channel.empty()) {
        throw std::invalid_argument("backplane_options::channel is empty; it must be set");
    }
    const auto check_positive = [](const char* field, duration value) {
        if (value <= duration::zero()) {
            throw std::invalid_argument(std::string("backplane_options::") + field + " is " +
                                        std::to_string(value.count()) + " ns; it must be above zero");
        }
    };
    check_positive("ping_interval", options.ping_interval);
    check_positive("ping_timeout", options.ping_timeout);
    if (options.max_unsent == 0) {
        throw std::invalid_argument("backplane_options::max_unsent is 0; it must be at least 1");
    }
}

backplane::backplane(std::shared_ptr<client> over, const backplane_options& options) {
    validate(options);
    if (over == nullptr) {
        throw std::invalid_argument("redis::backplane: the client is null; it must be set");
    }
    auto connections = over->core_;
    core_ = std::make_shared<detail::backplane_core>(std::move(over), std::move(connections), options);
    core_->begin();
}

backplane::~backplane() {
    core_->end();
}

void backplane::publish(backplane_message message) {
    core_->publish(message);
}

boost::asio::awaitable<void> backplane::async_publish(backplane_message message) {
    return detail::backplane_core::async_publish(core_, std::move(message));
}

backplane_subscription backplane::subscribe(message_handler on_message, gap_handler on_gap) {
    return core_->subscribe(std::move(on_message), std::move(on_gap));
}

time_point backplane::fresh_until() const noexcept {
    return core_->fresh_until();
}

bool backplane::wait_subscribed(duration timeout) const {
    return core_->wait_subscribed(timeout);
}

backplane_stats backplane::stats() const {
    return core_->stats();
}

}  // namespace levee::redis
