/// The shared level of several processes' caches in Redis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "levee/redis/client.hpp"
#include "levee/store/remote_store.hpp"

namespace levee::redis {

namespace detail {
class store_core;
}

struct store_options {
    /// Payloads of more bytes than this are compressed, where that makes them smaller. By zstd, if levee was
    /// built with it; std::invalid_argument otherwise. Zero: none, as most values are small.
    std::size_t compress_above = 0;

    /// Larger payloads are not stored (what was there is removed) nor returned. 64 MiB. At least 1; at most
    /// 512 MiB, which is Redis' own limit.
    std::size_t max_value_bytes = 64U << 20U;

    /// Names that one namespace may have marked; with more, all is marked instead, which invalidates more
    /// than was asked for and begins anew. 10,000. At least 1.
    std::size_t max_marks = 10'000;

    /// Of the hashes that hold marks: the namespace comes behind it. An access list must allow these keys,
    /// too.
    std::string marks_prefix = "levee:marks:";

    /// How many keys `erase_prefix` looks at, and removes at most, in one step. 500. At least 1.
    std::size_t scan_count = 500;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const store_options& options);

/// What a store has met so far. Counts never go back.
struct store_stats {
    std::uint64_t corrupt = 0;     ///< Entries that were damaged, or of another key: misses.
    std::uint64_t foreign = 0;     ///< Bytes or types that are not levee's, or of another version: misses.
    std::uint64_t oversized = 0;   ///< Payloads above `max_value_bytes`: not returned, or not stored.
    std::uint64_t compressed = 0;  ///< Payloads that were stored compressed.
};

/// Entries, leases and marks of `remote_store` in Redis 5 or later, Valkey or what speaks like them.
///
///     const auto db = std::make_shared<redis::client>(redis::client_options{.executor = rt.get_executor()});
///     const auto shared = std::make_shared<redis::store>(db);
///     levee::cache<std::string, product> products({.name = "products", .remote = shared, …});
///
/// One string for each key, by the key's own name, so that a plain DEL by anybody invalidates it, and voids
/// the lease on it: a load that is under way is refused when it wants to fill. Its layout is
/// src/redis/entry_layout.hpp. `get` is a GET or an MGET; everything else is one Lua script on one key, which
/// reads the server's clock. Each call is one round trip (a second one after NOSCRIPT, and where the entry
/// that a lease found is damaged). The server's time for reading lives comes along with a GET once a second.
/// A life ends early rather than late, by the time that an answer takes; not by the wall clocks of processes.
///
/// Tokens are drawn at random, 64 bits, by the process that asks: so they do not repeat when the server
/// restarts or loses its data. Two are equal once in 2^64.
///
/// A lease or a write that was asked for and not answered in time may have been given after all: its release
/// is sent behind it, so that nobody waits for the end of a lease that nobody has.
///
/// What the server cannot do is asked of it once, at the first `capabilities`, and shows there:
///
/// | server | what is left |
/// |---|---|
/// | before 5.0, or without EVAL, TIME or struct (a proxy, an access list) | no leases, versions or marks: GET, SET and DEL; `expire` removes, `touch` does nothing; lives by TIME, and where that is missing by this machine's wall clock |
/// | Cluster | all; bulk reads are pipelined GETs in place of an MGET; keys that another node has fail with errc::moved |
/// | does not answer | all is assumed; asked again the next time |
///
/// Redis evicts leases and marks like entries when its `maxmemory-policy` says so: that costs a load or makes
/// a namespace's entries invalid, and nothing else.
///
/// Thread safety: safe. Blocks: the blocking forms, for the client's `command_timeout` at most, once more
/// where the server's time has to be asked for first or afterwards, or a damaged entry asked for again; as
/// the client's they refuse on threads of its executor (levee::errc::would_deadlock).
///
/// Errors: levee::errc::timeout, and errc::connection_lost: the outcome of a write is not known;
/// levee::errc::unavailable if there is no connection, too many commands wait, or the server says that it
/// cannot now; redis::error with what else it says (out of memory, read only). std::invalid_argument for a
/// lease that is not above zero; more than a day is a day.
class store final : public remote_store {
public:
    explicit store(std::shared_ptr<client> over, const store_options& options = {});
    ~store() override;
    store(const store&) = delete;
    store& operator=(const store&) = delete;

    /// Blocks: the first time, for the client's `command_timeout` at most; never on its executor's threads,
    /// where all is assumed until another thread has asked.
    [[nodiscard]] remote_capabilities capabilities() const override;

    [[nodiscard]] store_stats stats() const;

    [[nodiscard]] std::vector<std::optional<remote_entry>> get(std::vector<std::string> keys) override;
    [[nodiscard]] lease_answer get_or_lease(lease_request request) override;
    [[nodiscard]] bool fill(std::string key, std::uint64_t token, remote_entry entry) override;
    [[nodiscard]] bool extend(std::string key, std::uint64_t token, duration lease) override;
    void release(std::string key, std::uint64_t token) override;
    void put(std::string key, remote_entry entry) override;
    [[nodiscard]] bool put_if_newer(std::string key, remote_entry entry) override;
    [[nodiscard]] std::uint64_t begin_write(std::string key, duration lease) override;
    void erase(std::vector<std::string> keys) override;
    void expire(std::string key) override;
    [[nodiscard]] bool touch(std::string key, duration fresh_left, duration stale_left) override;
    [[nodiscard]] remote_marks marks(std::string name_space) override;
    [[nodiscard]] std::uint64_t mark(std::string name_space, std::string what) override;

    [[nodiscard]] awaitable<std::vector<std::optional<remote_entry>>> async_get(
        std::vector<std::string> keys) override;
    [[nodiscard]] awaitable<lease_answer> async_get_or_lease(lease_request request) override;
    [[nodiscard]] awaitable<bool> async_fill(std::string key, std::uint64_t token,
                                             remote_entry entry) override;
    [[nodiscard]] awaitable<bool> async_extend(std::string key, std::uint64_t token, duration lease) override;
    [[nodiscard]] awaitable<void> async_release(std::string key, std::uint64_t token) override;
    [[nodiscard]] awaitable<void> async_put(std::string key, remote_entry entry) override;
    [[nodiscard]] awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override;
    [[nodiscard]] awaitable<std::uint64_t> async_begin_write(std::string key, duration lease) override;
    [[nodiscard]] awaitable<void> async_erase(std::vector<std::string> keys) override;
    [[nodiscard]] awaitable<void> async_expire(std::string key) override;
    [[nodiscard]] awaitable<bool> async_touch(std::string key, duration fresh_left,
                                              duration stale_left) override;
    [[nodiscard]] awaitable<remote_marks> async_marks(std::string name_space) override;
    [[nodiscard]] awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override;

    /// Frees the memory of keys that begin with `prefix`, whose entries have a stamp below `below`: what a
    /// mark made invalid. By SCAN and UNLINK in steps, while others go on; how many were removed. What is
    /// filled between a look and its removal may go as well, which costs a load. An empty prefix is every key
    /// of the database: only levee's entries are removed.
    std::size_t sweep(std::string prefix, std::uint64_t below);
    [[nodiscard]] awaitable<std::size_t> async_sweep(std::string prefix, std::uint64_t below);

    /// Invalidates all keys of a cache's namespace whose text begins with `part`, which is empty or ends at a
    /// ':' (`category:7:`; one is added if it does not): marks it, so that they are invalid once this
    /// returns, and frees their memory in the background, on the client's executor. Answers the mark's count:
    /// caches that do not read marks by themselves are told through `cache::invalidate_prefix` instead.
    std::uint64_t erase_prefix(std::string name_space, std::string part);
    [[nodiscard]] awaitable<std::uint64_t> async_erase_prefix(std::string name_space, std::string part);

private:
    std::shared_ptr<detail::store_core> core_;
};

}  // namespace levee::redis
