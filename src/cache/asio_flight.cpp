#include "levee/cache/detail/asio_flight.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <exception>
#include <new>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

asio::any_io_executor asio_flight::strand() {
    const std::lock_guard lock(mutex_);
    if (has_ended_) {
        return asio::make_strand(scheduler_->executor());  // not kept: see on_ended
    }
    if (!strand_) {
        strand_ = asio::make_strand(scheduler_->executor());
    }
    return strand_;
}

bool asio_flight::runs_on(const asio::any_io_executor& executor) const {
    const std::lock_guard lock(mutex_);
    return strand_ && strand_ == executor;
}

// Spawning installs a handler in the signal's slot, and emitting reads it, so both happen on the strand:
// by the time an emission runs, the spawning has. That handler keeps the strand, so the signal belongs to
// the spawned coroutine and to the flight until its end only.
void asio_flight::launch(asio::awaitable<void> work, signal_ptr stopped_by) {
    auto self = std::static_pointer_cast<asio_flight>(shared_from_this());
    const auto executor = strand();
    asio::post(executor, [executor, self = std::move(self), work = std::move(work),
                          stopped_by = std::move(stopped_by)]() mutable {
        const auto slot = stopped_by->slot();
        // The work reports for itself; flight and signal are only kept until it has ended.
        asio::co_spawn(
            executor, std::move(work),
            asio::bind_cancellation_slot(slot, [self = std::move(self), stopped_by = std::move(stopped_by)](
                                                   const std::exception_ptr& /*reported*/) {}));
    });
}

void asio_flight::start(asio::awaitable<void> work) {
    auto signal = std::make_shared<asio::cancellation_signal>();
    {
        const std::lock_guard lock(mutex_);
        stop_loader_ = signal;
    }
    launch(std::move(work), std::move(signal));
}

void asio_flight::start_aside(asio::awaitable<void> work) {
    auto signal = std::make_shared<asio::cancellation_signal>();
    {
        const std::lock_guard lock(mutex_);
        stop_aside_ = signal;
    }
    launch(std::move(work), std::move(signal));
}

void asio_flight::stop_aside() noexcept {
    asio::any_io_executor strand;
    signal_ptr aside;
    {
        const std::lock_guard lock(mutex_);
        strand = strand_;
        aside = std::exchange(stop_aside_, nullptr);
    }
    emit(strand, std::move(aside));
}

void asio_flight::watch_deadline() noexcept {
    try {
        auto signal = std::make_shared<asio::cancellation_signal>();
        {
            const std::lock_guard lock(mutex_);
            if (has_ended_ || std::exchange(is_watched_, true)) {
                return;
            }
            stop_watch_ = signal;
        }
        launch(expire_at_deadline(std::static_pointer_cast<asio_flight>(shared_from_this())),
               std::move(signal));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the loader's end still ends the flight
    }
}

asio::awaitable<void> asio_flight::expire_at_deadline(std::shared_ptr<asio_flight> self) {
    {
        const std::lock_guard lock(self->mutex_);
        if (self->has_ended_) {
            co_return;
        }
    }
    if (self->soft_deadline() < self->deadline()) {
        co_await self->scheduler_->sleep_until(self->soft_deadline());
        self->soften();
    }
    co_await self->scheduler_->sleep_until(self->deadline());
    self->expire();
}

// What spawning installed in the slot emits in a further step on the strand, through a pointer into the
// signal; so the signal is kept for one step more.
void asio_flight::emit(const asio::any_io_executor& strand, signal_ptr signal) noexcept {
    if (strand && signal) {
        asio::post(strand, [strand, signal = std::move(signal)] {
            signal->emit(asio::cancellation_type::terminal);
            asio::post(strand, [signal] { static_cast<void>(signal); });
        });
    }
}

void asio_flight::on_stopping() noexcept {
    // The deadline needs no watch any more, and without a coroutine loader nothing needs the strand: the
    // context may go before a plain loader has ended.
    asio::any_io_executor strand;
    signal_ptr loader;
    signal_ptr watch;
    signal_ptr aside;
    {
        const std::lock_guard lock(mutex_);
        loader = stop_loader_;
        watch = std::exchange(stop_watch_, nullptr);
        aside = std::exchange(stop_aside_, nullptr);
        strand = loader != nullptr ? strand_ : std::exchange(strand_, {});
    }
    emit(strand, std::move(watch));
    emit(strand, std::move(aside));
    emit(strand, std::move(loader));
}

void asio_flight::on_ended() noexcept {
    // What knows the executor goes with the load: waiters may read the result after its context is gone.
    asio::any_io_executor strand;
    signal_ptr loader;
    signal_ptr watch;
    signal_ptr aside;
    {
        const std::lock_guard lock(mutex_);
        has_ended_ = true;
        strand = std::exchange(strand_, {});
        loader = std::exchange(stop_loader_, nullptr);
        watch = std::exchange(stop_watch_, nullptr);
        aside = std::exchange(stop_aside_, nullptr);
    }
    emit(strand, std::move(watch));
    emit(strand, std::move(aside));
}

}  // namespace levee::cache_detail
