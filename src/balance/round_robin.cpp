#include "levee/balance/round_robin.hpp"

namespace levee {

const candidate* round_robin::pick(pick_view& view) const {
    const auto count = static_cast<std::uint32_t>(view.size());
    if (!view.is_restricted()) [[likely]] {
        return &view[view.turn(count)];
    }
    for (std::uint32_t tries = 0; tries < count; ++tries) {
        const candidate& next = view[view.turn(count)];
        if (view.admits(next)) {
            return &next;
        }
    }
    return nullptr;
}

}  // namespace levee
