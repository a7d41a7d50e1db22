#include "levee/cache/detail/cache_core.hpp"

#include <algorithm>

#include "levee/core/random.hpp"

namespace levee::cache_detail {

duration life_of(duration ttl, double jitter, duration most, std::uint64_t draw) noexcept {
    if (ttl > duration::zero() && jitter > 0.0) {
        splitmix64 generator(draw);
        const double taken = static_cast<double>(ttl.count()) * jitter * uniform_unit(generator);
        // Never down to zero, which would mean for ever.
        ttl = std::max(duration(1), ttl - duration(static_cast<duration::rep>(taken)));
    }
    if (most > duration::zero() && (ttl == duration::zero() || ttl > most)) {
        return most;
    }
    return ttl;
}

void missing_executor(const std::string& cache, const char* field, const char* what) {
    throw std::invalid_argument("cache_options::" + std::string(field) + " of '" + cache +
                                "' is empty; it must be an executor for " + what);
}

}  // namespace levee::cache_detail
