#include "levee/redis/subscriber.hpp"

#include <stdexcept>
#include <utility>

#include "redis/subscription.hpp"

namespace levee::redis {

void validate(const subscriber_options& options) {
    if (options.channels.empty() && options.patterns.empty()) {
        throw std::invalid_argument("subscriber_options::channels is empty; it, or patterns, must name one");
    }
    if (!options.on_message) {
        throw std::invalid_argument("subscriber_options::on_message is empty; it must be set");
    }
    const auto check_positive = [](const char* field, duration value) {
        if (value <= duration::zero()) {
            throw std::invalid_argument(std::string("subscriber_options::") + field + " is " +
                                        std::to_string(value.count()) + " ns; it must be above zero");
        }
    };
    check_positive("ping_interval", options.ping_interval);
    check_positive("ping_timeout", options.ping_timeout);
}

subscriber::subscriber(const client& from, subscriber_options options) {
    validate(options);
    state_ = std::make_shared<detail::subscription>(from.core_->shared_options(), from.core_->tls(),
                                                    std::move(options));
    state_->begin();
}

subscriber::~subscriber() {
    if (state_ != nullptr) {
        state_->end();
    }
}

bool subscriber::is_subscribed() const {
    return state_->is_subscribed();
}

bool subscriber::wait_subscribed(duration timeout) const {
    return state_->wait_subscribed(timeout);
}

time_point subscriber::alive_at() const noexcept {
    return state_->alive_at();
}

}  // namespace levee::redis
