/// What may be done with what L1 holds for a key: the decisions, without I/O and without the value.
///
///   what is held                       in error back-off    answer
///   ─────────────────────────────────────────────────────────────────────────────────────────
///   nothing, or past stale_until       -                    absent
///   suspect, within life and grace     -                    reserve   (the remote level is asked; stands in
///                                                                      if that does not answer)
///   suspect, within life, beyond grace -                    absent
///   suspect, past its life             -                    reserve   (loaded; answers if that fails)
///   negative, within its life          -                    fresh
///   negative, past it                  -                    absent
///   value, within its life             -                    fresh
///   … refresh-ahead due                no                   ahead     (answered at once, loaded anew)
///   value, past it                     yes                  back_off  (answered at once, as stale)
///   … within stale_while_revalidate    no                   stale     (answered at once, loaded anew)
///   … beyond that, kept for errors     no                   reserve   (loaded; answers if that fails)
///
/// A value in any of these states may be "refreshing": a flight for its key is under way. That changes who
/// loads, not what is answered.
#pragma once

#include <cstdint>

#include "levee/cache/entry_options.hpp"
#include "levee/core/clock.hpp"

namespace levee::cache_detail {

enum class freshness : std::uint8_t { fresh, ahead, stale, back_off, reserve, absent };

/// The times of an entry. `never` is time_point::max().
struct entry_times {
    time_point fresh_until = (time_point::max)();
    time_point stale_until = (time_point::max)();  ///< At least `fresh_until`.
    time_point retry_at = (time_point::min)();     ///< After a failed load: not loaded again before this.
    duration life{};                               ///< From storing to `fresh_until`; zero: for ever.
    duration cost{};                               ///< How long its load took.
};

struct held_entry {
    entry_times times{};
    bool is_negative = false;
    bool is_suspect = false;
    time_point suspect_until{};  ///< Of a suspect one: when its grace ends.

    /// It is not known to be out of date, only not known to be right. What has expired, or was made to, has
    /// no grace: its source is asked.
    [[nodiscard]] bool has_grace(time_point now) const noexcept {
        return is_suspect && now < times.fresh_until && now < suspect_until;
    }
};

/// `draw` in [0, 1) is the chance for probabilistic refreshing.
[[nodiscard]] freshness judge(const held_entry& held, const entry_options& options, time_point now,
                              double draw) noexcept;

/// Until when an expired value may stand in for a failed load.
[[nodiscard]] time_point reserve_until(const entry_times& times, const entry_options& options) noexcept;

/// How long an expired value is kept: the longer of its two uses.
[[nodiscard]] duration reserve_life(const entry_options& options) noexcept;

/// The first moment at which a hit has to think about refreshing; from storing until then a hit is a hit.
[[nodiscard]] time_point calm_until(const entry_times& times, const entry_options& options) noexcept;

/// How long an entry lives: `ttl` (zero: for ever) less a random share of up to `jitter`, and no longer than
/// `most` (zero: no limit). `draw` is any number; each one is mixed into a share of its own.
[[nodiscard]] duration life_of(duration ttl, double jitter, duration most, std::uint64_t draw) noexcept;

}  // namespace levee::cache_detail
