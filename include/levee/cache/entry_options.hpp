/// How long what a cache holds is good for, and how long a load may take.
#pragma once

#include <chrono>

#include "levee/core/clock.hpp"

namespace levee {

/// The life of one entry. A cache has defaults; single operations may bring their own.
struct entry_options {
    /// How long a value is served after it was loaded or put. 5 min: long enough to take the load off a
    /// source, short enough that a forgotten invalidation heals within a coffee break. Zero: for ever.
    duration ttl = std::chrono::minutes(5);

    /// The share of `ttl` that is taken off at random, each entry its own, in [0, 1): entries that were
    /// filled together do not expire together. Never lengthens a life. 0.1: enough to spread a burst of
    /// fills over half a minute. Zero: none.
    double ttl_jitter = 0.1;

    /// How long "the source does not have this key" is remembered. 5 s: shields the source from repeated
    /// look-ups of what is not there, and a key that is created meanwhile shows soon. Zero: not remembered.
    duration negative_ttl = std::chrono::seconds(5);

    /// How long callers wait for a load; then they get errc::timeout, the loader is asked to stop and the
    /// next caller starts anew. 30 s: above what a healthy source needs, below what clients wait. Zero is
    /// refused: every wait has a deadline.
    duration load_timeout = std::chrono::seconds(30);
};

namespace cache_detail {
/// Throws std::invalid_argument naming the field, its value and its range.
void validate(const entry_options& options);
}  // namespace cache_detail

}  // namespace levee
