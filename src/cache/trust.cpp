#include "levee/cache/detail/trust.hpp"

namespace levee::cache_detail {

bool trust::look_at_link(time_point now) const noexcept {
    const time_point until = link_->fresh_until();
    link_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
    return now < until;
}

}  // namespace levee::cache_detail
