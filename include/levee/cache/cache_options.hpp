/// What a cache is made from.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "levee/async/scheduler.hpp"
#include "levee/cache/entry_options.hpp"
#include "levee/local/local_cache_options.hpp"

namespace levee {

template <class K, class V>
struct cache_options {
    /// For people who read statistics and errors. Empty: "cache".
    std::string name{};

    /// The in-process level: its bounds, and what else it offers. One of its bounds must be set. Its
    /// `time_to_live` caps `entry_options::ttl`; its `ttl_jitter` is not used (the entry's own is).
    local_cache_options<K, V> local{};

    /// Where coroutine loaders and timers run. Needed by the async forms and by coroutine loaders; empty:
    /// only blocking calls with plain loaders work, the others say std::invalid_argument.
    boost::asio::any_io_executor executor{};

    /// Where plain (blocking) loaders run for asynchronous callers, who must not be blocked. Needed for
    /// just that.
    boost::asio::any_io_executor blocking_executor{};

    /// Lives and timeouts where a call brings none.
    entry_options defaults{};

    /// Where time comes from for whoever waits. Null: real time on `executor`.
    std::shared_ptr<async::scheduler> scheduler{};
};

}  // namespace levee
