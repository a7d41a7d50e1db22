/// How long what a cache holds is good for, what may stand in for it afterwards, and how long a load may
/// take.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"

namespace levee {

/// When a value is loaded anew before its life has ended, so that no caller ever waits for a hot key.
struct refresh_ahead {
    /// Refresh once this share of the life has passed, in (0, 1). Zero: not by share.
    double fraction = 0.0;

    /// Refresh at random, sooner the longer loads of this value take: XFetch (Vattani, Chierichetti,
    /// Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015), whose β this is; 1 is their
    /// optimum, above it is earlier. Processes that share nothing then do not refresh together. Zero: off.
    double beta = 0.0;

    [[nodiscard]] static constexpr refresh_ahead after_fraction(double of_life) noexcept {
        return {.fraction = of_life};
    }
    [[nodiscard]] static constexpr refresh_ahead probabilistic(double beta = 1.0) noexcept {
        return {.beta = beta};
    }
};

/// The life of one entry. A cache has defaults; single operations may bring their own.
struct entry_options {
    /// How long a value is served after it was loaded or put. 5 min: long enough to take the load off a
    /// source, short enough that a forgotten invalidation heals within a coffee break. Zero: for ever.
    duration ttl = std::chrono::minutes(5);

    /// How long L1 serves it before it asks the remote level again; never longer than `ttl`. Zero: 5 s where
    /// there is a remote level without a backplane, since nobody tells of changes there; else `ttl`.
    duration local_ttl{};

    /// True: each hit lets the value live another `ttl` from then on; in the remote level it is prolonged
    /// once a quarter of `ttl` has passed. False: a life ends when it ends.
    bool sliding = false;

    /// The share of `ttl` that is taken off at random, each entry its own, in [0, 1): entries that were
    /// filled together do not expire together. Never lengthens a life. 0.1: enough to spread a burst of
    /// fills over half a minute. Zero: none.
    double ttl_jitter = 0.1;

    /// How long after its life a value is still served at once, while one load fetches the next. The load
    /// runs in the background if the loader is `detachable` or a source; with any other loader one caller
    /// waits for it. Zero: expired values are not served.
    duration stale_while_revalidate{};

    /// How long after its life a value still answers when loading fails. Zero: the failure is the answer.
    duration stale_if_error{};

    /// After a failed load for which an expired value stood in: how long it does so without another load.
    /// 10 s: a source that is down is left alone. Zero: each call tries.
    duration error_backoff = std::chrono::seconds(10);

    /// How long callers wait for a load when an expired value could answer; then they get that one, and the
    /// load goes on. It does so for a caller whose own loader runs only if that is `detachable` or a source.
    /// Zero: they wait for the load.
    duration soft_timeout{};

    /// How long "the source does not have this key" is remembered. 5 s: shields the source from repeated
    /// look-ups of what is not there, and a key that is created meanwhile shows soon. Zero: not remembered.
    duration negative_ttl = std::chrono::seconds(5);

    /// How long callers wait for a load; then they get errc::timeout, the loader is asked to stop and the
    /// next caller starts anew. 30 s: above what a healthy source needs, below what clients wait. Zero is
    /// refused: every wait has a deadline.
    duration load_timeout = std::chrono::seconds(30);

    /// Loading anew before the end of a life. Off. The load runs as for `stale_while_revalidate`.
    refresh_ahead ahead{};

    /// Names under which the value can be dropped together with others: `cache::invalidate_tag`. Those that
    /// a loader answers (`loaded::tags`) come in addition.
    std::vector<std::string> tags{};
};

namespace cache_detail {
/// Throws std::invalid_argument naming the field, its value and its range.
void validate(const entry_options& options);
}  // namespace cache_detail

}  // namespace levee
