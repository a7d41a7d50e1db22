#include "levee/async/measure.hpp"

#include <chrono>

namespace levee::async {

boost::asio::awaitable<void> tick_each_second(const percentile_monitor& monitor,
                                              std::shared_ptr<scheduler> time) {
    // From when the last tick was due, not from when it ended: or each would come a little later.
    for (time_point due = time->now();; due = after(due, std::chrono::seconds(1))) {
        if (due < time->now() - std::chrono::seconds(10)) {
            due = time->now();  // the process was stopped: missed ticks would only be taken in a row
        }
        co_await time->sleep_until(due);
        monitor.tick();
    }
}

}  // namespace levee::async
