// expect: a loader is called as loader\(const K&\)
#include <string>

#include "levee/cache/cache.hpp"

void use(levee::cache<int, std::string>& cache) {
    static_cast<void>(cache.get_or_load(1, [](const std::string& key) { return key; }));
}
