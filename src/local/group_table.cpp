#include "levee/local/detail/group_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace levee::local_detail {
namespace {

constexpr std::size_t huge_page = std::size_t{1} << 21;
constexpr std::size_t most_groups = std::size_t{1} << 26;

constexpr std::size_t round_up(std::size_t value, std::size_t to) noexcept {
    return (value + to - 1) / to * to;
}

// What passed a group is counted in its byte 13.
slot_number passed_counter(std::size_t group) noexcept {
    return static_cast<slot_number>(group << 4 | slots_in_group);
}

constexpr std::uint8_t saturated = 255;

}  // namespace

group_table::group_table(const slot_layout& layout, std::size_t groups, std::size_t bytes,
                         bool is_mapped) noexcept
    : groups_(groups),
      slots_(reinterpret_cast<std::byte*>(tags() + 2 * groups)),
      stride_(layout.stride),
      payload_(layout.payload),
      ids_(reinterpret_cast<std::uint32_t*>(slots_ + groups * slots_in_group * layout.stride)),
      bytes_(bytes),
      expiry_(layout.expiry),
      is_mapped_(is_mapped) {}

group_table::pointer group_table::make(const slot_layout& layout, std::size_t groups) {
    if (groups == 0 || groups > most_groups) {
        throw std::bad_alloc();
    }
    const std::size_t group_bytes = 16 + slots_in_group * layout.stride + 16 * sizeof(std::uint32_t);
    const std::size_t bytes = sizeof(group_table) + groups * group_bytes;
#if defined(__linux__)
    // Mapped, so that what is not touched takes no memory; aligned, so that it can have huge pages.
    if (bytes >= huge_page / 2) {
        const std::size_t in_huge_pages = round_up(bytes, huge_page);
        const bool is_near = in_huge_pages <= bytes + bytes / 4;
        const std::size_t whole = is_near ? in_huge_pages : round_up(bytes, 4096);
        groups = std::min(most_groups, (whole - sizeof(group_table)) / group_bytes);
        void* const mapped = ::mmap(nullptr, whole + huge_page, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) {
            throw std::bad_alloc();
        }
        auto* const first = static_cast<std::byte*>(mapped);
        const std::size_t skipped =
            (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
        if (skipped != 0) {
            ::munmap(first, skipped);
        }
        if (skipped != huge_page) {
            ::munmap(first + skipped + whole, huge_page - skipped);
        }
        ::madvise(first + skipped, whole, MADV_HUGEPAGE);  // a wish: nothing depends on the answer
        return pointer(new (first + skipped) group_table(layout, groups, whole, true));
    }
#endif
    const std::size_t whole = round_up(bytes, alignof(group_table));
    void* const memory = std::aligned_alloc(alignof(group_table), whole);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    std::memset(memory, 0, whole);
    return pointer(new (memory) group_table(layout, groups, whole, false));
}

void group_table::free_memory::operator()(group_table* table) const noexcept {
    const bool is_mapped = table->is_mapped_;
    const std::size_t bytes = table->bytes_;
    table->~group_table();
#if defined(__linux__)
    if (is_mapped) {
        ::munmap(table, bytes);
        return;
    }
#endif
    static_cast<void>(is_mapped);
    static_cast<void>(bytes);
    std::free(table);
}

// The lock's holder is the only one to change tags; readers change bits beside those of the second word.
void group_table::set_tag(slot_number at, std::uint8_t tag) const noexcept {
    const std::uint64_t change = std::uint64_t{static_cast<std::uint8_t>(tag ^ this->tag(at))} << at % 8 * 8;
    const std::atomic_ref word(tags()[at >> 3]);
    if ((at >> 3 & 1U) == 0) {
        word.store(word.load(std::memory_order_relaxed) ^ change, std::memory_order_release);
    } else {
        word.fetch_xor(change, std::memory_order_release);
    }
}

slot_number group_table::take_empty(hash_parts hash) noexcept {
    std::size_t group = home(hash);
    for (std::size_t probed = 1;; group = next(group, probed++, hash)) {
        if (const unsigned empty = group_tags::read(tags() + 2 * group).match_tag(tag_empty)) {
            return static_cast<slot_number>(group << 4 | static_cast<unsigned>(std::countr_zero(empty)));
        }
        const slot_number counter = passed_counter(group);
        if (const std::uint8_t count = tag(counter); count != saturated) {
            set_tag(counter, static_cast<std::uint8_t>(count + 1));
        }
    }
}

void group_table::unmark(hash_parts hash, slot_number at) noexcept {
    std::size_t group = home(hash);
    for (std::size_t probed = 1; group != at >> 4; group = next(group, probed++, hash)) {
        const slot_number counter = passed_counter(group);
        if (const std::uint8_t count = tag(counter); count != saturated) {
            set_tag(counter, static_cast<std::uint8_t>(count - 1));
        }
    }
}

}  // namespace levee::local_detail
