/// What an endpoint's answers say about its next one: peak EWMA of latency, and a share of errors.
#pragma once

#include "levee/core/clock.hpp"

#include <atomic>
#include <bit>
#include <cstdint>

namespace levee::detail {

/// 2^-x for x >= 0, within 0.02 %: a polynomial for the fraction, the exponent's bits for the rest.
[[nodiscard]] inline float exp2_minus(float x) noexcept {
    if (!(x < 120.0F)) {
        return 0.0F;
    }
    const auto whole = static_cast<std::uint32_t>(x);
    const float f = x - static_cast<float>(whole);  // [0, 1)
    const float power = 1.0F + f * (-0.692905F + f * (0.237716F + f * -0.044811F));
    return power * std::bit_cast<float>((127U - whole) << 23U);
}

/// Time in ticks of about 1/8192 of tau, in 32 bits: cheap to store beside a float. Wraps after 2^19 tau.
class decay_scale {
public:
    explicit decay_scale(duration tau) noexcept
        : shift_(
              static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>((tau.count() >> 13) + 1)) - 1)),
          halvings_a_tick_(static_cast<float>(1.4426950408889634 * static_cast<double>(1ULL << shift_) /
                                              static_cast<double>(tau.count()))) {}

    [[nodiscard]] std::uint32_t tick(time_point at) const noexcept {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(at.time_since_epoch().count()) >>
                                          shift_);
    }
    /// e^(-ticks / tau); 1 for ticks of zero, and for the small negative ones of threads a little behind.
    /// `times` as fast, if that is not 1.
    [[nodiscard]] float kept(std::uint32_t ticks, float times = 1.0F) const noexcept {
        if (ticks == 0 || ticks > ~std::uint32_t{0} >> 4) {
            return 1.0F;
        }
        return exp2_minus(static_cast<float>(ticks) * halvings_a_tick_ * times);
    }
    /// Nanoseconds in `ticks`; 0 for negative ones.
    [[nodiscard]] float nanoseconds(std::uint32_t ticks) const noexcept {
        return ticks > ~std::uint32_t{0} >> 4 ? 0.0F : static_cast<float>(std::uint64_t{ticks} << shift_);
    }

private:
    unsigned shift_;
    float halvings_a_tick_;
};

/// A float and the tick at which it was true, in one atomic word: never torn, decayed when read.
class decaying_float {
public:
    struct reading {
        float value;
        std::uint32_t tick;
    };

    [[nodiscard]] reading load() const noexcept { return unpack(word_.load(std::memory_order_relaxed)); }
    void store(reading r) noexcept { word_.store(pack(r), std::memory_order_relaxed); }

    /// False, with `expected` refreshed, if somebody else wrote meanwhile.
    bool replace(reading& expected, reading desired) noexcept {
        std::uint64_t word = pack(expected);
        const bool done = word_.compare_exchange_weak(word, pack(desired), std::memory_order_relaxed);
        expected = done ? expected : unpack(word);
        return done;
    }

private:
    static std::uint64_t pack(reading r) noexcept {
        return std::uint64_t{std::bit_cast<std::uint32_t>(r.value)} << 32U | r.tick;
    }
    static reading unpack(std::uint64_t word) noexcept {
        return {std::bit_cast<float>(static_cast<std::uint32_t>(word >> 32U)),
                static_cast<std::uint32_t>(word)};
    }

    std::atomic<std::uint64_t> word_{0};
};

/// Peak EWMA (after Finagle's, Ruggiero 2015): a slower answer counts at once, faster ones as time passes.
///
/// *Pauses.* Who looks slow is not asked, so nothing corrects one bad sample. Without requests a latency
/// therefore fades 8 times as fast, so that it is soon tried again; each time that the answer proves the
/// latency right, it fades half as fast, down to tau, so that what is slow for good is seldom tried. So
/// does what answers with errors.
///
/// A negative latency means that nothing is known yet. Writers of successes may overwrite each other
/// (an estimate survives that); errors are never lost.
///
/// Thread safety: safe. Cost: a load, and a relaxed store when a tick has passed or a peak came.
class latency_score {
public:
    latency_score() noexcept { latency_.store({-1.0F, 0}); }

    /// An answer. `nanoseconds` below zero: how long it took is not known.
    void on_success(float nanoseconds, std::uint32_t now, const decay_scale& scale) noexcept;

    /// An error, a time-out or "too busy": `nanoseconds` counts if it is worse than what is known.
    void on_error(float nanoseconds, std::uint32_t now, const decay_scale& scale) noexcept;

    /// The first request after a pause was sent now: from here on silence is a sign.
    void on_busy(std::uint32_t now) noexcept { busy_since_.store(now, std::memory_order_relaxed); }

    /// The latency to expect, in nanoseconds; below zero if nothing is known. With nothing in flight it
    /// decays towards zero, so that a bad mark wears off; with something in flight it is at least as long
    /// as nothing has been answered.
    [[nodiscard]] float latency(std::uint32_t in_flight, std::uint32_t now,
                                const decay_scale& scale) const noexcept;

    /// How many times tau's pace a latency fades with nothing in flight.
    [[nodiscard]] float idle_pace() const noexcept {
        return static_cast<float>(8U >> confirmed_.load(std::memory_order_relaxed));
    }

    /// The share of errors among the last answers, in [0, 1], decayed until now.
    [[nodiscard]] float errors(std::uint32_t now, const decay_scale& scale) const noexcept {
        const auto seen = errors_.load();
        return seen.value == 0.0F ? 0.0F : seen.value * scale.kept(now - seen.tick);
    }

    /// Everything forgotten.
    void reset() noexcept {
        latency_.store({-1.0F, 0});
        errors_.store({0.0F, 0});
        confirmed_.store(0, std::memory_order_relaxed);
    }

private:
    /// An answer's weight in the share of errors.
    static constexpr float step = 1.0F / 16.0F;

    /// As long without an answer is a pause: tau / 64.
    static constexpr std::uint32_t pause = 128;

    void on_success_after_pause(float nanoseconds, std::uint32_t now, decaying_float::reading seen,
                                const decay_scale& scale) noexcept;

    decaying_float latency_;
    decaying_float errors_;
    std::atomic<std::uint32_t> busy_since_{0};
    std::atomic<std::uint32_t> confirmed_{0};  // at most 3; lost updates do no harm
};

inline float latency_score::latency(std::uint32_t in_flight, std::uint32_t now,
                                    const decay_scale& scale) const noexcept {
    const auto seen = latency_.load();
    if (seen.tick == now || seen.value < 0.0F) {
        return seen.value;  // what is unknown must not decay to a zero that looks known
    }
    if (in_flight == 0) {
        return seen.value * scale.kept(now - seen.tick, idle_pace());
    }
    // The shorter of the two silences; a "negative" one, of a thread a little ahead, is none.
    const float since_answer = scale.nanoseconds(now - seen.tick);
    const float since_busy = scale.nanoseconds(now - busy_since_.load(std::memory_order_relaxed));
    const float silence = since_answer < since_busy ? since_answer : since_busy;
    return silence <= seen.value ? seen.value : silence;
}

}  // namespace levee::detail
