#include <all_headers.hpp>

std::optional<int> through_the_other_unit(levee::local_cache<int, int>& cache, int key);

int main() {
    levee::local_cache<int, int> cache({.max_entries = 100});
    cache.put(1, 42);
    return cache.get(1) == 42 && through_the_other_unit(cache, 1) == 42 ? 0 : 1;
}
