#include "levee/cache/detail/alarm.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <exception>
#include <utility>

namespace levee::cache_detail {

namespace asio = boost::asio;

// Spawned and called off on the strand, in this order, as in asio_flight.cpp.
alarm::alarm(const std::shared_ptr<async::scheduler>& time, time_point when, std::function<void()> ring)
    : strand_(asio::make_strand(time->executor())) {
    asio::post(strand_, [strand = strand_, state = state_,
                         work = sleep(state_, time, when, std::move(ring))]() mutable {
        const auto slot = state->stop.slot();
        asio::co_spawn(
            strand, std::move(work),
            asio::bind_cancellation_slot(slot, [state](const std::exception_ptr& /*called off*/) {}));
    });
}

alarm::~alarm() {
    if (state_->has_rung.load()) {
        return;
    }
    try {
        asio::post(strand_, [strand = strand_, state = state_] {
            state->stop.emit(asio::cancellation_type::terminal);
            asio::post(strand, [state] { static_cast<void>(state); });
        });
    } catch (...) {  // no memory: it rings, for nobody
        return;
    }
}

asio::awaitable<void> alarm::sleep(std::shared_ptr<shared> state, std::shared_ptr<async::scheduler> time,
                                   time_point when, std::function<void()> ring) {
    co_await time->sleep_until(when);
    if (!state->has_rung.exchange(true)) {
        ring();
    }
}

}  // namespace levee::cache_detail
