/// One piece of memory for the tables of all shards of a cache.
#pragma once

#include <cstddef>
#include <span>

namespace levee::local_detail {

/// A slice for each shard, of the size of the table that it is expected to end with. Each by itself, such
/// tables are of a huge page or two: rounded up to those they waste up to half of it, and without them a
/// look-up costs half as much again. Together they fill theirs.
///
/// It is only addresses until a table lies in a slice, which happens once: tables of other sizes, before and
/// after a resize, have memory of their own. A table that leaves its slice gives the memory back.
///
/// Thread safety: distinct objects: safe; what is in different slices does not touch.
class table_arena {
public:
    /// No slices.
    table_arena() = default;

    /// `bytes`: a slice's; zero: not known. There are no slices, and each table has its own memory, if the
    /// system refuses, or nothing would be gained: with all of them below a huge page, or single ones so big
    /// that rounding is a trifle. They are up to a sixteenth smaller or bigger, to end with a huge page.
    table_arena(std::size_t slices, std::size_t bytes) noexcept;
    ~table_arena();
    table_arena(const table_arena&) = delete;
    table_arena& operator=(const table_arena&) = delete;

    /// Empty if there are none. Zeros, from the beginning of a line on. A table that lies in it is destroyed
    /// before this.
    [[nodiscard]] std::span<std::byte> slice(std::size_t number) const noexcept;

    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    [[nodiscard]] std::size_t begin_of(std::size_t number) const noexcept;

    std::byte* first_ = nullptr;  // a mapping of `bytes_`
    std::size_t bytes_ = 0;
    std::size_t slices_ = 0;
};

}  // namespace levee::local_detail
