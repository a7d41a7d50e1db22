#include "local/huge_pages.hpp"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace levee::local_detail {

#if defined(__linux__)

std::byte* map_huge(std::size_t bytes) noexcept {
    if (bytes + huge_page < bytes) {
        return nullptr;
    }
    void* const mapped = ::mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return nullptr;
    }
    auto* const first = static_cast<std::byte*>(mapped);
    const std::size_t skipped = (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
    if (skipped != 0) {
        ::munmap(first, skipped);
    }
    ::munmap(first + skipped + bytes, huge_page - skipped);
    ::madvise(first + skipped, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on the answer
    return first + skipped;
}

void unmap(std::byte* first, std::size_t bytes) noexcept {
    ::munmap(first, bytes);
}

void drop_contents(std::byte* first, std::size_t bytes) noexcept {
    const std::size_t before = -reinterpret_cast<std::uintptr_t>(first) % small_page;
    if (before < bytes) {
        ::madvise(first + before, (bytes - before) / small_page * small_page, MADV_DONTNEED);
    }
}

#else

std::byte* map_huge(std::size_t) noexcept {
    return nullptr;
}
void unmap(std::byte*, std::size_t) noexcept {}
void drop_contents(std::byte*, std::size_t) noexcept {}

#endif

}  // namespace levee::local_detail
