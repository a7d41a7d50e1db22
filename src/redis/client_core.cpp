#include "levee/redis/detail/client_core.hpp"

#include <atomic>
#include <random>
#include <utility>

#include "levee/core/random.hpp"
#include "redis/connection.hpp"
#include "redis/tls_session.hpp"

namespace levee::redis::detail {
namespace {

client_options completed(client_options options) {
    validate(options);
    if (options.scheduler == nullptr) {
        options.scheduler = async::steady_scheduler(options.executor);
    }
    if (options.seed == 0) {
        std::random_device chance;
        options.seed = (std::uint64_t{chance()} << 32U) | chance();
    }
    return options;
}

/// Makes connections that are not connected yet: their first command does that, within its deadline.
class exclusive_factory final : public connection_factory<exclusive_connection> {
public:
    exclusive_factory(std::shared_ptr<const client_options> options, std::shared_ptr<const tls_context> tls)
        : options_(std::move(options)), tls_(std::move(tls)), next_seed_(options_->seed + 1) {}

    boost::asio::awaitable<std::unique_ptr<exclusive_connection>> async_connect() override {
        splitmix64 seed(next_seed_.fetch_add(1, std::memory_order_relaxed));
        co_return std::make_unique<exclusive_connection>(
            std::make_shared<connection>(options_, tls_, seed()));
    }
    [[nodiscard]] bool needs_reset(const exclusive_connection& /*connection*/) const noexcept override {
        return false;  // who leaves a WATCH behind discards the connection
    }

private:
    std::shared_ptr<const client_options> options_;
    std::shared_ptr<const tls_context> tls_;
    std::atomic<std::uint64_t> next_seed_;
};

}  // namespace

exclusive_connection::exclusive_connection(std::shared_ptr<connection> owned)
    : connection_(std::move(owned)), sink_(connection_) {}

exclusive_connection::~exclusive_connection() {
    connection_->close();
}

client_core::client_core(const client_options& options)
    : options_(std::make_shared<const client_options>(completed(options))) {
    if (options_->tls.is_enabled) {
        tls_ = std::make_shared<const tls_context>(*options_);
    }
    splitmix64 seeds(options_->seed);
    for (std::size_t i = 0; i < options_->connections; ++i) {
        shared_.push_back(std::make_shared<connection>(options_, tls_, seeds()));
        sinks_.push_back(shared_.back());
    }
}

client_core::~client_core() {
    close();
}

void client_core::close() noexcept {
    for (const auto& each : shared_) {
        each->close();
    }
}

connection_pool<exclusive_connection>& client_core::exclusive() {
    const std::lock_guard lock(mutex_);
    if (exclusive_ == nullptr) {
        const pool_options options{.name = "redis transactions",
                                   .max_size = options_->max_exclusive,
                                   .acquire_timeout = options_->command_timeout,
                                   .validate_after_idle = (duration::max)(),
                                   .executor = options_->executor,
                                   .scheduler = options_->scheduler,
                                   .seed = options_->seed};
        exclusive_ = std::make_unique<connection_pool<exclusive_connection>>(
            std::make_shared<exclusive_factory>(options_, tls_), options);
    }
    return *exclusive_;
}

const std::shared_ptr<request_sink>& client_core::pick() const noexcept {
    std::size_t best = 0;
    if (shared_.size() > 1) {
        std::size_t least = shared_[0]->load();
        for (std::size_t i = 1; i < shared_.size() && least > 0; ++i) {
            if (const std::size_t load = shared_[i]->load(); load < least) {
                least = load;
                best = i;
            }
        }
    }
    return sinks_[best];
}

std::uint64_t client_core::generations() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& each : sinks_) {
        sum += each->generation();
    }
    return sum;
}

time_point client_core::deadline(duration timeout) const noexcept {
    return after(options_->scheduler->now(),
                 timeout > duration::zero() ? timeout : options_->command_timeout);
}

time_point client_core::blocking_deadline(duration timeout) const noexcept {
    return after(clock::precise().now(), timeout > duration::zero() ? timeout : options_->command_timeout);
}

client_stats client_core::stats() const {
    client_stats sum;
    for (const auto& each : shared_) {
        const auto one = each->totals();
        sum.sent += one.sent;
        sum.repeated += one.repeated;
        sum.timed_out += one.timed_out;
        sum.dropped_late += one.dropped_late;
        sum.connects += one.connected;
        sum.disconnects += one.lost;
        sum.failed_attempts += one.failed_attempts;
        sum.connected += each->is_connected() ? 1 : 0;
        sum.pending += each->pending();
    }
    return sum;
}

}  // namespace levee::redis::detail
