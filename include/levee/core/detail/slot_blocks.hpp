/// Storage indexed by thread slot: blocks that double and never move, so that readers need no lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace levee::detail {

/// What keeps two threads' data apart: a pair of 64-byte lines, which adjacent-line prefetchers of x86
/// fetch together (and one line of Apple's and some other ARM cores).
inline constexpr std::size_t line_size = 128;

/// Where a slot's cell is in every `slot_blocks`: worked out once for a thread, not at each look-up.
struct slot_place {
    std::uint32_t block;
    std::uint32_t offset;  ///< within the block
};

/// The place of no slot: nothing is ever there.
inline constexpr slot_place no_place{14, 0};

/// Blocks have 8, 16, 32, … slots.
[[nodiscard]] constexpr slot_place place_of(std::uint32_t slot) noexcept {
    constexpr unsigned first_bits = 3;
    const auto block = static_cast<std::uint32_t>(std::bit_width((slot >> first_bits) + 1)) - 1;
    const std::uint32_t first = (std::uint32_t{1} << (block + first_bits)) - (1U << first_bits);
    return {block, slot - first};
}

/// One `Cell` for each of the first 2^16 slots, made block by block when first asked for.
///
/// Thread safety: safe, apart from the destructor; what is in a cell is its users' matter. Cost: an index
/// computation and one acquire load a look-up; at most twice the cells that the highest slot needs.
template <class Cell>
class slot_blocks {
public:
    constexpr slot_blocks() noexcept = default;
    slot_blocks(const slot_blocks&) = delete;
    slot_blocks& operator=(const slot_blocks&) = delete;
    ~slot_blocks() {
        for (auto& block : blocks_) {
            delete[] block.load(std::memory_order_relaxed);
        }
    }

    /// The cell at a place, or null if its block has not been made; null at `no_place`.
    [[nodiscard]] Cell* find(slot_place at) const noexcept {
        Cell* const cells = blocks_[at.block].load(std::memory_order_acquire);  // pairs with `make`
        return cells == nullptr ? nullptr : cells + at.offset;
    }
    [[nodiscard]] Cell* find(std::uint32_t slot) const noexcept { return find(place_of(slot)); }

    /// The slot's cell, made with its block if it is not there: value-initialised.
    /// Errors: std::bad_alloc, or what `Cell()` throws; nothing has changed then.
    [[nodiscard]] Cell& get(std::uint32_t slot) {
        const slot_place at = place_of(slot);
        if (Cell* const cell = find(at)) [[likely]] {
            return *cell;
        }
        return make(at);
    }

private:
    static constexpr std::uint32_t block_count = no_place.block;  // 8 × (2^14 − 1) slots, more than 2^16

    Cell& make(slot_place at) {
        std::unique_ptr<Cell[]> made(new Cell[std::size_t{8} << at.block]());
        Cell* expected = nullptr;
        // Two threads of one block may both come here: the second one's block is thrown away.
        if (blocks_[at.block].compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
            expected = made.release();
        }
        return expected[at.offset];
    }

    // One more than there can be, which stays null: what `no_place` finds.
    std::array<std::atomic<Cell*>, block_count + 1> blocks_{};
};

}  // namespace levee::detail
