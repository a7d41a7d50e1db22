#include "hit_ratio/policies/levee_cache.hpp"

#include <algorithm>

namespace levee::lab {
namespace {

local_cache_options<std::uint32_t, std::uint32_t> options_for(const policy_setup& setup) {
    local_cache_options<std::uint32_t, std::uint32_t> options;
    if (setup.by_size) {
        options.max_weight = setup.capacity;
        options.weigher = [](const std::uint32_t&, const std::uint32_t& size) -> std::size_t {
            return std::max<std::uint32_t>(size, 1);  // zero would pin the entry
        };
    } else {
        options.max_entries = setup.capacity;
    }
    return options;
}

}  // namespace

levee_cache::levee_cache(const policy_setup& setup) : by_size_(setup.by_size), cache_(options_for(setup)) {}

bool levee_cache::access(std::uint32_t id, std::uint32_t size) {
    if (cache_.get(id)) {
        return true;
    }
    cache_.put(id, size);
    return false;
}

std::uint64_t levee_cache::used() const {
    return by_size_ ? cache_.estimated_weight() : cache_.estimated_size();
}

}  // namespace levee::lab
