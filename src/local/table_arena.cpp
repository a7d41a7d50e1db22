#include "levee/local/detail/table_arena.hpp"

#include "local/huge_pages.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t biggest_slice = 16 * huge_page;

// To whole huge pages, if that is not far. Else the end of the last ones is of small pages.
std::size_t fitted(std::size_t bytes) noexcept {
    const std::size_t above = round_up(bytes, huge_page);
    const std::size_t below = bytes / huge_page * huge_page;
    if (bytes - below <= bytes / 16) {
        return below;
    }
    return above - bytes <= bytes / 16 ? above : round_up(bytes, small_page);
}

}  // namespace

table_arena::table_arena(std::size_t slices, std::size_t bytes) noexcept {
    if (slices < 2 || bytes > biggest_slice || slices * bytes < huge_page) {
        return;
    }
    const std::size_t all = fitted(slices * bytes);
    first_ = map_huge(all);
    if (first_ != nullptr) {
        bytes_ = all;
        slices_ = slices;
    }
}

table_arena::~table_arena() {
    if (first_ != nullptr) {
        unmap(first_, bytes_);
    }
}

std::span<std::byte> table_arena::slice(std::size_t number) const noexcept {
    if (number >= slices_) {
        return {};
    }
    return {first_ + begin_of(number), begin_of(number + 1) - begin_of(number)};
}

// Each at another line of its page: what lies at the beginning of each table is looked at all the time, and
// should not be crowded into one set of the processor's cache.
std::size_t table_arena::begin_of(std::size_t number) const noexcept {
    constexpr std::size_t line = 64;
    if (number == slices_) {
        return bytes_;
    }
    return bytes_ / slices_ * number / small_page * small_page + number % (small_page / line) * line;
}

}  // namespace levee::local_detail
