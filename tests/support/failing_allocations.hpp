/// Lets an allocation fail when a test wants it. Replaces the program's operator new: for one file of a
/// program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace levee::tests {

/// Which allocation of this thread from now on fails, once; negative: none.
inline thread_local long allocations_left = -1;

}  // namespace levee::tests

void* operator new(std::size_t size) {
    using levee::tests::allocations_left;
    if (allocations_left >= 0 && allocations_left-- == 0) {
        throw std::bad_alloc();
    }
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
