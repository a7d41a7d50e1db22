/// What a cache is made from.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "levee/async/scheduler.hpp"
#include "levee/cache/entry_options.hpp"
#include "levee/cache/remote_options.hpp"
#include "levee/local/local_cache_options.hpp"
#include "levee/store/backplane.hpp"
#include "levee/store/remote_store.hpp"

namespace levee {

namespace cache_detail {
struct defences_off;
}

template <class K, class V>
struct cache_options {
    /// For people who read statistics and errors; with a remote level or peers also the namespace of the
    /// keys, so caches that are to share have the same name, and others another. Empty: "cache".
    std::string name{};

    /// The in-process level: its bounds, and what else it offers. One of its bounds must be set. Its
    /// `time_to_live` caps `entry_options::ttl`; its `ttl_jitter` is not used (the entry's own is).
    local_cache_options<K, V> local{};

    /// The level that processes share. Null: there is none. Needs a `codec` for V, a `key_codec` for K, and
    /// an executor.
    std::shared_ptr<remote_store> remote{};

    /// How this cache and its peers tell each other what changed. Null: peers learn of changes when their
    /// `local_ttl` ends. Needs a `key_codec` for K and an executor.
    std::shared_ptr<levee::backplane> backplane{};

    /// How the two above are dealt with.
    levee::remote_options remote_options{};

    /// Where coroutine loaders and timers run. Needed by the async forms, by coroutine loaders, and with a
    /// remote level or a backplane; empty: only blocking calls with plain loaders work, the others say
    /// std::invalid_argument.
    boost::asio::any_io_executor executor{};

    /// Where plain (blocking) loaders run for asynchronous callers, who must not be blocked, and in the
    /// background. Needed for just that.
    boost::asio::any_io_executor blocking_executor{};

    /// Lives and timeouts where a call brings none.
    entry_options defaults{};

    /// Where time comes from for whoever waits. Null: real time on `executor`.
    std::shared_ptr<async::scheduler> scheduler{};

    /// Of jitter and of this cache's number among its peers. Zero: from the system. Tests set it.
    std::uint64_t seed = 0;

    /// Holes in the protocol, for the tests that must find them. Null: none.
    const cache_detail::defences_off* holes = nullptr;
};

}  // namespace levee
