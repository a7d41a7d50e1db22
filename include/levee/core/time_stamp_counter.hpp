/// A stopwatch at a third of the price of two clock reads: the CPU's time-stamp counter, where it can be
/// trusted.
#pragma once

#include "levee/core/clock.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

namespace levee {

namespace detail {

/// Decides how long a tick of a counter lasts, from readings of the counter beside a clock, and whether
/// the counter can be trusted at all. Without I/O: readings are handed in.
///
/// Trusted is a counter that agrees with itself: over every interval between two readings it ran as fast
/// as before, within 0.1 % and what the readings leave open. One that once did not is not trusted again: it
/// stopped, was set, the machine moved to another one, or somebody slews the clock by more than that.
class tick_rate {
public:
    struct reading {
        std::uint64_t ticks;
        time_point time;
        duration uncertainty;  ///< The clock was read within this long of the counter.
    };

    /// Takes a reading. Those too close to the one before to tell anything are passed over.
    void add(const reading& now) noexcept;

    /// Nanoseconds a tick, times 2^32; 0: not known yet, or not trusted any more.
    [[nodiscard]] std::uint64_t nanoseconds_x32() const noexcept { return is_trusted_ ? rate_ : 0; }
    [[nodiscard]] bool is_trusted() const noexcept { return is_trusted_; }

private:
    std::optional<reading> first_{}, last_{};
    std::uint64_t rate_ = 0;
    bool is_trusted_ = true;
};

/// The counter; always 0 on machines whose counter levee does not know.
[[nodiscard]] inline std::uint64_t read_counter() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

}  // namespace detail

/// Measures how long something takes, for about 13 ns where two reads of `std::chrono::steady_clock` take 70.
///
/// It reads the time-stamp counter of x86-64 if the CPU says that it is invariant (CPUID 8000_0007h, EDX bit
/// 8: it runs at one speed in all power states), Linux keeps its own time by it (so that it agrees among the
/// cores), and the readings agree with the clock; else the clock. Calibrated by its constructor against the
/// clock, over 200 µs or a little more, and more finely by each `recheck`.
///
/// Error: the speed is right within 0.1 %, usually 0.01 %; either end may be read some 20 ns early or late,
/// since compiler and CPU may move instructions across it. A measurement is never negative.
///
/// It gives durations, not points in time: those, as the caches need them, are `clock::coarse()`'s, for 8 ns.
///
/// Thread safety: safe on a shared object.
class time_stamp_counter {
public:
    /// When something began; for `elapsed` of the same object.
    struct mark {
        std::uint64_t start;  ///< Ticks, or the clock's nanoseconds.
        std::uint64_t rate;   ///< As in `detail::tick_rate`; 0: it is the clock's.
    };

    /// Calibrates against `clock::precise()`. Blocks: 200 µs, 2 ms at most, spinning, if there is a counter
    /// to use. Does without it if that was not enough, until a `recheck`.
    time_stamp_counter();

    /// Reads `clock` and nothing else, as for virtual time in tests. It must outlive this object.
    explicit time_stamp_counter(const levee::clock& clock) noexcept : clock_(clock) {}

    time_stamp_counter(const time_stamp_counter&) = delete;
    time_stamp_counter& operator=(const time_stamp_counter&) = delete;

    /// Cost: a third of a read of `clock::precise()`.
    [[nodiscard]] mark now() const noexcept {
        const std::uint64_t rate = rate_.load(std::memory_order_relaxed);
        return rate != 0 ? mark{detail::read_counter(), rate} : mark{read_clock(), 0};
    }

    /// The time since `begun`, zero at least. Cost: as `now`.
    [[nodiscard]] duration elapsed(const mark& begun) const noexcept {
        // The rate is the mark's, so that a recheck in between changes neither the unit nor the source.
        if (begun.rate == 0) [[unlikely]] {
            const auto passed = static_cast<std::int64_t>(read_clock() - begun.start);
            return passed > 0 ? duration(passed) : duration::zero();
        }
        const std::uint64_t ticks = detail::read_counter() - begun.start;
        if ((ticks | begun.rate) >> 32U == 0) [[likely]] {  // about a second, at 1 GHz or more
            return duration(static_cast<duration::rep>(ticks * begun.rate >> 32U));
        }
        return scaled(ticks, begun.rate);
    }

    /// Compares the counter with the clock again: makes the rate more precise, or gives the counter up for
    /// good if it did not run evenly. Call it every second or so; `percentile_monitor::tick` does.
    /// Blocks: on a mutex, shortly. Cost: some clock reads.
    void recheck() noexcept;

    /// False: it reads the clock.
    [[nodiscard]] bool uses_counter() const noexcept { return rate_.load(std::memory_order_relaxed) != 0; }

private:
    [[nodiscard]] static duration scaled(std::uint64_t ticks, std::uint64_t rate) noexcept;
    [[nodiscard]] std::uint64_t read_clock() const noexcept {
        return static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
    }

    const levee::clock& clock_;
    std::atomic<std::uint64_t> rate_{0};
    std::mutex mutex_{};                              // guards calibration_
    std::optional<detail::tick_rate> calibration_{};  // empty: the clock is all that is read
};

}  // namespace levee
