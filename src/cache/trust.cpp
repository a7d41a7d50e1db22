#include "levee/cache/detail/trust.hpp"

#include <algorithm>

namespace levee::cache_detail {

// A link that knows that it is cut says `min`, at once; what it said before tells until when it worked.
bool trust::look_at_link(time_point now) const noexcept {
    const time_point until = link_->fresh_until();
    const time_point before{
        duration(link_until_.exchange(until.time_since_epoch().count(), std::memory_order_relaxed))};
    const time_point shown = until == (time_point::max)() ? now : until;
    const time_point worked = (std::max)(shown, (std::min)(before, now));
    const time_point::rep known = worked_until_.load(std::memory_order_relaxed);
    if (known == 0 || worked.time_since_epoch().count() > known) {
        // Whoever has never been linked is given the grace from the first look on.
        worked_until_.store((known == 0 ? (std::max)(worked, now) : worked).time_since_epoch().count(),
                            std::memory_order_relaxed);
    }
    return now < until;
}

}  // namespace levee::cache_detail
