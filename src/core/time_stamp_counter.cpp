#include "levee/core/time_stamp_counter.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace levee {
namespace detail {

void tick_rate::add(const reading& now) noexcept {
    __extension__ using u128 = unsigned __int128;
    if (!is_trusted_) {
        return;
    }
    if (!first_) {
        first_ = last_ = now;
        return;
    }
    const duration interval = now.time - last_->time;
    const duration open = now.uncertainty + last_->uncertainty;
    if (interval < 1'000 * open || interval <= duration::zero()) {
        return;  // it could be off by 0.1 % by the readings alone
    }
    if (now.ticks <= last_->ticks) {
        is_trusted_ = false;  // it stood still or went back
        return;
    }
    const auto speed = [](const reading& from, const reading& to) {
        const auto time = static_cast<std::uint64_t>((to.time - from.time).count());
        return (u128{time} << 32U) / (to.ticks - from.ticks);
    };
    const u128 latest = speed(*last_, now);
    constexpr u128 fastest = u128{1} << 26U;  // 64 GHz
    constexpr u128 slowest = u128{1} << 42U;  // 1 MHz
    if (latest < fastest || latest > slowest) {
        is_trusted_ = false;
        return;
    }
    if (rate_ != 0) {
        const auto expected = static_cast<std::int64_t>((u128{now.ticks - last_->ticks} * rate_) >> 32U);
        const duration difference = duration(expected) - interval;
        if (std::max(difference, -difference) > interval / 1000 + 2 * open) {
            is_trusted_ = false;
            return;
        }
    }
    last_ = now;
    // The longer the time, the less the readings matter.
    rate_ = static_cast<std::uint64_t>(speed(*first_, now));
}

namespace {

// The kernel gives the counter up where cores disagree. Under a hypervisor its own time is made of it.
bool is_used_by_the_kernel() noexcept {
    std::array<char, 64> name{};
    std::FILE* const file =
        std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == nullptr) {
        return false;
    }
    const bool has_name = std::fgets(name.data(), static_cast<int>(name.size()), file) != nullptr;
    std::fclose(file);
    const std::string_view source(name.data());
    return has_name &&
           (source == "tsc\n" || source == "kvm-clock\n" || source == "hyperv_clocksource_tsc_page\n");
}

bool has_invariant_counter() noexcept {
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return ::__get_cpuid(0x8000'0007U, &a, &b, &c, &d) != 0 && (d & (1U << 8U)) != 0 &&
           is_used_by_the_kernel();
#else
    return false;
#endif
}

// The counter beside the clock. The quickest of a few tries, since the thread may be interrupted in between.
tick_rate::reading read_both(const clock& clock) noexcept {
    tick_rate::reading best{};
    duration narrowest = duration::max();
    time_point before = clock.now();
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t ticks = read_counter();
        const time_point after = clock.now();
        if (after - before < narrowest) {
            narrowest = after - before;
            best = {ticks, before + narrowest / 2, narrowest / 2};
        }
        before = after;
    }
    return best;
}

}  // namespace
}  // namespace detail

time_stamp_counter::time_stamp_counter() : clock_(clock::precise()) {
    if (!detail::has_invariant_counter()) {
        return;
    }
    calibration_.emplace();
    const auto first = detail::read_both(clock_);
    calibration_->add(first);
    for (auto wait = std::chrono::microseconds(200); !uses_counter() && wait <= std::chrono::milliseconds(2);
         wait *= 3) {
        while (clock_.now() - first.time < wait) {
        }
        recheck();
    }
}

// What takes long, and what seems to have ended before it began.
duration time_stamp_counter::scaled(std::uint64_t ticks, std::uint64_t rate) noexcept {
    __extension__ using u128 = unsigned __int128;
    if (static_cast<std::int64_t>(ticks) <= 0) {
        return duration::zero();
    }
    const u128 nanoseconds = (u128{ticks} * rate) >> 32U;
    constexpr auto longest = static_cast<u128>(duration::max().count());
    return duration(static_cast<duration::rep>(std::min(nanoseconds, longest)));
}

void time_stamp_counter::recheck() noexcept {
    const std::lock_guard lock(mutex_);
    if (calibration_) {
        calibration_->add(detail::read_both(clock_));
        rate_.store(calibration_->nanoseconds_x32(), std::memory_order_relaxed);
    }
}

}  // namespace levee
