#include "levee/cache/detail/kept_deadlines.hpp"

#include <algorithm>

#include "levee/core/clock.hpp"

namespace levee::cache_detail {

void kept_deadlines::run(boost::asio::io_context& here) {
    if (!watched_.empty()) {
        time_point soft = (time_point::max)();
        time_point hard = (time_point::max)();
        for (const auto& each : watched_) {
            soft = (std::min)(soft, each->soft_deadline());
            hard = (std::min)(hard, each->deadline());
        }
        if (soft < hard) {
            here.run_until(soft);
            for (const auto& each : watched_) {
                each->soften();
            }
        }
        here.run_until(hard);
        if (!here.stopped()) {
            for (const auto& each : watched_) {
                each->expire();
            }
        }
    }
    here.run();
}

}  // namespace levee::cache_detail
