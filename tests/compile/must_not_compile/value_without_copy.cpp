// expect: values are returned by copy
#include <memory>

#include "levee/cache/cache.hpp"

levee::cache<int, std::unique_ptr<int>> cache({.local = {.max_entries = 1}});
