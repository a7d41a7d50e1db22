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

    /// The slot's cell, or null if its block has not been made.
    [[nodiscard]] Cell* find(std::uint32_t slot) const noexcept {
        const unsigned block = block_of(slot);
        Cell* const cells = blocks_[block].load(std::memory_order_acquire);  // pairs with `get`
        return cells == nullptr ? nullptr : cells + (slot - first_slot(block));
    }

    /// The slot's cell, made with its block if it is not there: value-initialised.
    /// Errors: std::bad_alloc, or what `Cell()` throws; nothing has changed then.
    [[nodiscard]] Cell& get(std::uint32_t slot) {
        if (Cell* const cell = find(slot)) [[likely]] {
            return *cell;
        }
        return make(slot);
    }

private:
    static constexpr unsigned first_bits = 3;    // the first block: 8 slots
    static constexpr unsigned block_count = 14;  // 8 × (2^14 − 1) slots, more than 2^16

    static constexpr unsigned block_of(std::uint32_t slot) noexcept {
        return static_cast<unsigned>(std::bit_width((slot >> first_bits) + 1)) - 1;
    }
    static constexpr std::uint32_t block_size(unsigned block) noexcept {
        return std::uint32_t{1} << (block + first_bits);
    }
    static constexpr std::uint32_t first_slot(unsigned block) noexcept {
        return block_size(block) - block_size(0);
    }

    Cell& make(std::uint32_t slot) {
        const unsigned block = block_of(slot);
        std::unique_ptr<Cell[]> made(new Cell[block_size(block)]());
        Cell* expected = nullptr;
        // Two threads of one block may both come here: the second one's block is thrown away.
        if (blocks_[block].compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
            expected = made.release();
        }
        return expected[slot - first_slot(block)];
    }

    std::array<std::atomic<Cell*>, block_count> blocks_{};
};

}  // namespace levee::detail
