#include "replay/heap.hpp"

#include <cstdlib>  // defines __GLIBC__

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace replay {

std::optional<std::uint64_t> heap_in_use() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    const struct mallinfo2 info = ::mallinfo2();
    const std::uint64_t bytes = info.uordblks + info.hblkhd;
    return bytes == 0 ? std::nullopt : std::optional(bytes);
#else
    return std::nullopt;
#endif
}

}  // namespace replay
