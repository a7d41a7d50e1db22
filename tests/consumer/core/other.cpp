// A second unit with every header in it: whatever is defined in a header twice shows when they are linked.
#include <all_headers.hpp>

std::optional<int> through_the_other_unit(levee::local_cache<int, int>& cache, int key);

std::optional<int> through_the_other_unit(levee::local_cache<int, int>& cache, int key) {
    return cache.get(key);
}
