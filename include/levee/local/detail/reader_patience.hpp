/// How long a writer waits for readers that keep it from going on.
#pragma once

#include <chrono>
#include <cstdint>

namespace levee::local_detail {

/// What one writer does between its attempts. First it yields, since most often a reader needs no more than
/// the CPU. Then it waits, since the scheduler may have stopped a reader in the middle of a look-up for a
/// time slice or several; in the end it gives up, since a reader may also stay (a `visit` that blocks).
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class reader_patience {
public:
    enum class step : std::uint8_t { yield, nap, give_up };

    static constexpr unsigned yields = 32;
    static constexpr unsigned naps = 50;
    static constexpr std::chrono::milliseconds a_nap{1};

    /// What to do after one more attempt failed.
    [[nodiscard]] step next() noexcept {
        if (attempts_ == yields + naps) {
            return step::give_up;
        }
        return attempts_++ < yields ? step::yield : step::nap;
    }

private:
    unsigned attempts_ = 0;
};

/// Whether the calling thread is itself a reader, in the middle of a look-up in some cache: then it would
/// wait for itself.
[[nodiscard]] bool is_reading() noexcept;

/// Does it. Blocks: for about `a_nap` if it is one.
void take(reader_patience::step step) noexcept;

}  // namespace levee::local_detail
