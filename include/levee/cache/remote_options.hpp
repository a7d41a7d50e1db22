/// How a cache deals with its remote level and its peers.
#pragma once

#include <chrono>
#include <cstddef>

#include "levee/core/clock.hpp"
#include "levee/resilience/circuit_breaker.hpp"

namespace levee {

/// Defaults protect the callers: a remote level that is slow or down costs 250 ms five times, and then
/// nothing but a probe every 5 s.
struct remote_options {
    /// How long one command may take. Asynchronous ones are cancelled then; the blocking ones of a store end
    /// by themselves, as its documentation says. Above zero.
    duration timeout = std::chrono::milliseconds(250);

    /// When it is left alone, and for how long.
    circuit_breaker_options breaker{};

    /// How long the loader of a key may be silent before others may load it; prolonged each third of it
    /// while the load runs. 10 s, as memcached's at Facebook (Nishtala et al. 2013). Above zero.
    duration lease = std::chrono::seconds(10);

    /// How long another process' load is waited for; then an expired value answers, or errc::timeout. Zero:
    /// not at all.
    duration lease_wait = std::chrono::seconds(10);

    /// How long values that an invalidation may have missed still answer when the remote level cannot be
    /// asked about them. 30 s: a failover's length. Zero: not at all.
    duration suspect_grace = std::chrono::seconds(30);

    /// Loads at a time when the remote level does not answer, so that its outage is not the source's, too;
    /// more wait their turn within their `load_timeout`. Loads begun inside other loads are not held up.
    /// Zero: no limit.
    std::size_t max_concurrent_loads = 64;

    /// Bigger values are not stored remotely. 1 MiB. Above zero.
    std::size_t max_value_bytes = std::size_t{1} << 20U;

    /// Longer keys, name and version included, are kept in L1 only. 512. At least 16.
    std::size_t max_key_bytes = 512;

    /// Keys whose removal the remote level has not confirmed yet; with more, the whole name is invalidated
    /// instead. At least 1.
    std::size_t max_queued = 10'000;

    /// How often marks (tags, prefixes, `clear`) are read when no backplane tells of them. Above zero.
    duration marks_interval = std::chrono::seconds(2);
};

namespace cache_detail {
/// Throws std::invalid_argument naming the field, its value and its range.
void validate(const remote_options& options);
}  // namespace cache_detail

}  // namespace levee
