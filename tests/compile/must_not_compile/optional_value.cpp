// expect: V cannot be an optional itself
#include <optional>

#include "levee/cache/cache.hpp"

levee::cache<int, std::optional<int>> cache({.local = {.max_entries = 1}});
