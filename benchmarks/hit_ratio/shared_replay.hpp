/// What shards and threads cost: the README's traces, replayed by several threads at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>

#include "hit_ratio/trace.hpp"

namespace levee::lab {

/// The hits of one `local_cache` of `capacity` entries in `shards` shards (fewer if it is small), asked by
/// `threads` threads; each takes the next 64 requests that nobody has taken, and puts what it missed.
///
/// Blocks. Errors: std::invalid_argument for zero capacity, threads or shards; std::bad_alloc.
[[nodiscard]] std::uint64_t count_shared_hits(const trace& input, std::uint64_t capacity, unsigned threads,
                                              std::size_t shards);

/// The same of an LRU behind a mutex: what differs with the number of threads is owed to their order alone.
[[nodiscard]] std::uint64_t count_shared_lru_hits(const trace& input, std::uint64_t capacity,
                                                  unsigned threads);

/// Replays the pairs of `golden_traces` with caches of one shard and of as many as by default, and those of
/// 100,000 requests and more by two and four threads beside an LRU. Prints hit ratios in per cent, the means
/// of `runs` replays each, as the cache draws another seed each time.
///
/// Blocks: minutes. Errors: levee::error for a trace that is not in `folder`.
void print_shared(std::ostream& out, const std::string& folder, unsigned runs);

}  // namespace levee::lab
