#include "postgres/shared_sessions.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <random>
#include <utility>

#include "postgres/establish.hpp"

namespace levee::postgres::detail {

namespace asio = boost::asio;

shared_sessions::shared_sessions(std::shared_ptr<const session_config> config, const backoff_options& waits,
                                 std::size_t count)
    : config_(std::move(config)) {
    std::random_device chance;
    for (std::size_t i = 0; i < count; ++i) {
        slots_.push_back({.waits = backoff(waits, chance())});
    }
}

shared_sessions::~shared_sessions() {
    close();
}

std::shared_ptr<session> shared_sessions::pick() {
    for (;;) {
        std::shared_ptr<session> best = least_loaded();
        if (best == nullptr || best->load() > 0 || best->looks_alive()) {
            return best;
        }
        best->condemn();  // at rest, and its server is gone, or has another role
    }
}

std::shared_ptr<session> shared_sessions::least_loaded() {
    std::shared_ptr<session> best;
    std::shared_ptr<session> broken;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    if (is_closed_) {
        return nullptr;
    }
    const time_point now = config_->options.scheduler->now();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        slot& one = slots_[i];
        if (one.at != nullptr && !one.at->is_fit()) {
            broken = std::exchange(one.at, nullptr);
        }
        if (one.at == nullptr) {
            if (!one.is_connecting && one.next_attempt <= now) {
                connect_locked(i);
            }
        } else if (best == nullptr || one.at->load() < best->load()) {
            best = one.at;
        }
    }
    return best;
}

void shared_sessions::connect_locked(std::size_t index) {
    slots_[index].is_connecting = true;
    auto work = connect(shared_from_this(), index);
    asio::co_spawn(asio::make_strand(config_->options.executor), std::move(work), asio::detached);
}

asio::awaitable<void> shared_sessions::connect(std::shared_ptr<shared_sessions> self, std::size_t index) {
    std::shared_ptr<session> made;
    const std::shared_ptr<const session_config> config = self->config_;
    try {
        const time_point deadline = after(config->options.scheduler->now(), config->options.connect_timeout);
        auto work = establish(config, deadline, true, std::nullopt);
        made = co_await std::move(work);
    } catch (
        const std::exception&) {  // NOLINT(bugprone-empty-catch): callers are served by the pool, which tells
    }
    const std::lock_guard lock(self->mutex_);
    slot& one = self->slots_[index];
    one.is_connecting = false;
    if (made == nullptr) {
        one.next_attempt = after(config->options.scheduler->now(), one.waits.next());
    } else if (!self->is_closed_) {
        one.waits.reset();
        one.at = std::move(made);
    }
}

void shared_sessions::close() noexcept {
    std::vector<std::shared_ptr<session>> all;
    {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
        for (slot& each : slots_) {
            if (each.at != nullptr) {
                all.push_back(std::move(each.at));
            }
        }
    }
    for (const auto& each : all) {
        each->close();
    }
}

}  // namespace levee::postgres::detail
