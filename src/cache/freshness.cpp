#include "levee/cache/detail/freshness.hpp"

#include <algorithm>
#include <cmath>

#include "levee/core/random.hpp"

namespace levee::cache_detail {
namespace {

duration scaled(duration by, double factor) noexcept {
    const double scaled = static_cast<double>(by.count()) * factor;
    return scaled >= 9.2e18 ? (duration::max)() : duration(static_cast<duration::rep>(scaled));
}

bool is_refresh_due(const entry_times& times, const refresh_ahead& ahead, time_point now,
                    double draw) noexcept {
    if (times.fresh_until == (time_point::max)()) {
        return false;
    }
    if (ahead.fraction > 0.0 && now >= times.fresh_until - scaled(times.life, 1.0 - ahead.fraction)) {
        return true;
    }
    // XFetch: now − δ·β·ln(u) ≥ expiry, u uniform in (0, 1].
    return ahead.beta > 0.0 &&
           after(now, scaled(times.cost, -ahead.beta * std::log(1.0 - draw))) >= times.fresh_until;
}

}  // namespace

freshness judge(const held_entry& held, const entry_options& options, time_point now, double draw) noexcept {
    const entry_times& times = held.times;
    const time_point stale_until = (std::max)(times.fresh_until, times.stale_until);
    if (now >= stale_until || (held.is_negative && now >= times.fresh_until)) {
        return freshness::absent;
    }
    if (held.is_suspect) {
        const bool is_past_life = now >= times.fresh_until;
        return !held.is_negative && (is_past_life || held.has_grace(now)) ? freshness::reserve
                                                                          : freshness::absent;
    }
    const bool may_load = now >= times.retry_at;
    if (now < times.fresh_until) {
        return !held.is_negative && may_load && is_refresh_due(times, options.ahead, now, draw)
                   ? freshness::ahead
                   : freshness::fresh;
    }
    const bool within_revalidation = now < after(times.fresh_until, options.stale_while_revalidate);
    if (!may_load && (within_revalidation || now < reserve_until(times, options))) {
        return freshness::back_off;
    }
    return within_revalidation ? freshness::stale : freshness::reserve;
}

time_point reserve_until(const entry_times& times, const entry_options& options) noexcept {
    return (std::min)((std::max)(times.fresh_until, times.stale_until),
                      after(times.fresh_until, options.stale_if_error));
}

duration reserve_life(const entry_options& options) noexcept {
    return (std::max)(options.stale_while_revalidate, options.stale_if_error);
}

time_point calm_until(const entry_times& times, const entry_options& options) noexcept {
    time_point calm = times.fresh_until;
    if (calm == (time_point::max)()) {
        return calm;
    }
    if (options.ahead.fraction > 0.0) {
        calm = (std::min)(calm, times.fresh_until - scaled(times.life, 1.0 - options.ahead.fraction));
    }
    if (options.ahead.beta > 0.0) {
        // −ln(u) is below 37 for every u that a double in (0, 1] can be drawn as.
        const duration reach = scaled(times.cost, 37.0 * options.ahead.beta);
        calm = (std::min)(calm, after(times.fresh_until, -reach));
    }
    return calm;
}

duration life_of(duration ttl, double jitter, duration most, std::uint64_t draw) noexcept {
    if (ttl > duration::zero() && jitter > 0.0) {
        splitmix64 generator(draw);
        const double taken = static_cast<double>(ttl.count()) * jitter * uniform_unit(generator);
        // Never down to zero, which would mean for ever.
        ttl = (std::max)(duration(1), ttl - duration(static_cast<duration::rep>(taken)));
    }
    if (most > duration::zero() && (ttl == duration::zero() || ttl > most)) {
        return most;
    }
    return ttl;
}

}  // namespace levee::cache_detail
