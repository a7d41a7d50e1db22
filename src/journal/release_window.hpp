/// Which records are released, when they are released in any order.
#pragma once

#include <cstdint>
#include <deque>

namespace levee::journal_detail {

/// A bit for each sequence above the mark; words that are all ones leave at the front.
class release_window {
public:
    /// Everything up to `mark` is released; the next sequence is `mark + 1`.
    explicit release_window(std::uint64_t mark = 0) noexcept : mark_(mark), last_(mark), base_(mark) {}

    /// The next sequence, pending. Answers it.
    std::uint64_t add() {
        if (last_ - base_ == words_.size() * bits) {
            words_.push_back(0);
        }
        ++pending_;
        return ++last_;
    }

    /// False if it was released before. Above zero, and at most `last`.
    bool release(std::uint64_t sequence) noexcept {
        if (sequence <= mark_ || (word(sequence) & bit(sequence)) != 0) {
            return false;
        }
        word(sequence) |= bit(sequence);
        --pending_;
        if (sequence == mark_ + 1) {
            advance();
        }
        return true;
    }

    [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    [[nodiscard]] std::uint64_t pending() const noexcept { return pending_; }

private:
    static constexpr std::uint64_t bits = 64;

    std::uint64_t& word(std::uint64_t sequence) noexcept { return words_[(sequence - base_ - 1) / bits]; }
    std::uint64_t bit(std::uint64_t sequence) const noexcept {
        return std::uint64_t{1} << ((sequence - base_ - 1) % bits);
    }

    void advance() noexcept {
        while (mark_ < last_) {
            if (word(mark_ + 1) == ~std::uint64_t{0} && (mark_ - base_) % bits == 0) {
                mark_ += bits;
            } else if ((word(mark_ + 1) & bit(mark_ + 1)) != 0) {
                ++mark_;
            } else {
                break;
            }
        }
        while (!words_.empty() && mark_ - base_ >= bits) {
            words_.pop_front();
            base_ += bits;
        }
    }

    std::uint64_t mark_;
    std::uint64_t last_;
    std::uint64_t base_;  // the first word's first bit is base_ + 1
    std::uint64_t pending_ = 0;
    std::deque<std::uint64_t> words_{};
};

}  // namespace levee::journal_detail
