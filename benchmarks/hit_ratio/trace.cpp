#include "hit_ratio/trace.hpp"

namespace levee::lab {

void fix_sizes(trace& input) {
    if (!input.has_sizes()) {
        return;
    }
    std::vector<bool> seen(input.distinct());
    std::vector<std::uint32_t> first(input.distinct());
    for (std::size_t i = 0; i < input.requests(); ++i) {
        const std::uint32_t id = input.keys[i];
        if (!seen[id]) {
            seen[id] = true;
            first[id] = input.sizes[i];
        }
        input.sizes[i] = first[id];
    }
}

}  // namespace levee::lab
