// expect: a loader returns V, std::optional<V>, loaded<V>, or an awaitable of one of these
#include <string>

#include "levee/cache/cache.hpp"

void use(levee::cache<int, std::string>& cache) {
    static_cast<void>(cache.get_or_load(1, [](int) { return 1.5; }));
}
