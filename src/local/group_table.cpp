#include "levee/local/detail/group_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "local/huge_pages.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t most_groups = std::size_t{1} << 26;

constexpr std::size_t group_bytes(const slot_layout& layout, unsigned id_bytes) noexcept {
    return 16 + slots_in_group * (layout.stride + id_bytes);
}

// What passed a group is counted in its byte 13.
slot_number passed_counter(std::size_t group) noexcept {
    return static_cast<slot_number>(group << 4 | slots_in_group);
}

constexpr std::uint8_t saturated = 255;

}  // namespace

group_table::group_table(const slot_layout& layout, std::size_t groups, unsigned id_bytes, std::size_t bytes,
                         origin from) noexcept
    : groups_(groups),
      slots_(reinterpret_cast<std::byte*>(tags() + 2 * groups)),
      stride_(layout.stride),
      payload_(layout.payload),
      ids_(slots_ + groups * slots_in_group * layout.stride),
      bytes_(bytes),
      expiry_(layout.expiry),
      id_bytes_(static_cast<std::uint8_t>(id_bytes)),
      origin_(from) {}

std::size_t group_table::bytes_of(const slot_layout& layout, std::size_t groups, entry_id id_end) noexcept {
    return sizeof(group_table) + groups * group_bytes(layout, id_bytes_for(groups, id_end));
}

std::size_t group_table::groups_in(std::size_t bytes, const slot_layout& layout, entry_id id_end) noexcept {
    if (bytes < sizeof(group_table)) {
        return 0;
    }
    const auto fit = [&](unsigned id_bytes) {
        return (bytes - sizeof(group_table)) / group_bytes(layout, id_bytes);
    };
    const std::size_t short_ones = std::min(fit(3), std::size_t{no_short_id} / 16);
    return id_bytes_for(short_ones, id_end) == 3 && fit(4) <= short_ones ? short_ones
                                                                         : std::min(fit(4), most_groups);
}

group_table::pointer group_table::make(const slot_layout& layout, std::size_t groups, entry_id id_end) {
    if (groups == 0 || groups > most_groups) {
        throw std::bad_alloc();
    }
    const std::size_t bytes = bytes_of(layout, groups, id_end);
    if (can_map_huge && bytes >= huge_page / 2) {
        const std::size_t in_huge_pages = round_up(bytes, huge_page);
        const bool is_near = in_huge_pages <= bytes + bytes / 4;
        const std::size_t whole = is_near ? in_huge_pages : round_up(bytes, small_page);
        std::byte* const mapped = map_huge(whole);
        if (mapped == nullptr) {
            throw std::bad_alloc();
        }
        return pointer(filling({mapped, whole}, layout, id_end, origin::mapping));
    }
    const std::size_t whole = round_up(bytes, alignof(group_table));
    void* const memory = std::aligned_alloc(alignof(group_table), whole);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    std::memset(memory, 0, whole);
    return pointer(new (memory)
                       group_table(layout, groups, id_bytes_for(groups, id_end), whole, origin::heap));
}

group_table::pointer group_table::make_in(std::span<std::byte> slice, const slot_layout& layout,
                                          std::size_t groups, entry_id id_end) noexcept {
    if (groups == 0 || groups_in(slice.size(), layout, id_end) < groups) {
        return nullptr;
    }
    return pointer(filling(slice, layout, id_end, origin::slice));
}

group_table* group_table::filling(std::span<std::byte> memory, const slot_layout& layout, entry_id id_end,
                                  origin from) noexcept {
    const std::size_t groups = groups_in(memory.size(), layout, id_end);
    return new (memory.data()) group_table(layout, groups, id_bytes_for(groups, id_end), memory.size(), from);
}

void group_table::free_memory::operator()(group_table* table) const noexcept {
    const origin from = table->origin_;
    const std::size_t bytes = table->bytes_;
    table->~group_table();
    auto* const memory = reinterpret_cast<std::byte*>(table);
    switch (from) {
        case origin::heap:
            std::free(memory);
            return;
        case origin::mapping:
            unmap(memory, bytes);
            return;
        case origin::slice:
            drop_contents(memory, bytes);
            return;
    }
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
