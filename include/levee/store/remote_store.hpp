/// The shared level behind the caches of several processes (L2): entries, leases, and what invalidates many.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/async/blocking.hpp"
#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"

namespace levee {

/// What a remote store holds for a key. Times are what is left of them by the store's own clock, so that
/// the clocks of processes need not agree; `duration::max()` is for ever.
struct remote_entry {
    bytes payload{};            ///< As `codec` made it; empty for a negative entry.
    bool is_negative = false;   ///< The source is known not to have the key.
    duration fresh_left{};      ///< Zero or less: no longer fresh.
    duration stale_left{};      ///< How long it may be served as stale, from now; at least `fresh_left`.
    std::uint64_t version = 0;  ///< The source's version of the value; 0: it has none.
    std::uint64_t stamp = 0;    ///< The namespace's count that its filler had seen: `remote_marks`.
    std::vector<std::string> tags{};
};

/// A key to look up or, if nothing fresh is there, to be the one who loads it.
struct lease_request {
    std::string key{};
    duration lease{};            ///< How long the load may be silent; `extend` prolongs it. Above zero.
    bool even_if_fresh = false;  ///< For refreshing before the end: a fresh entry does not answer.
};

enum class lease_outcome : std::uint8_t {
    entry,    ///< It is there and fresh.
    granted,  ///< The caller is to load it, and to `fill` or `release` with the token.
    busy,     ///< Somebody else loads or writes it.
};

struct lease_answer {
    lease_outcome what = lease_outcome::busy;
    std::optional<remote_entry> entry{};  ///< `entry`: fresh. Otherwise a stale one, if there is one.
    std::uint64_t token = 0;              ///< `granted`: never 0, and never given for this key before.
    duration lease_left{};                ///< `busy`: when the other's lease ends, unless it is extended.
};

/// What invalidates many entries at once, without clocks: each namespace has a counter, and whatever
/// invalidates (a tag, a prefix, all) marks itself with the counter's next value. An entry is valid if its
/// stamp is at least the mark of each of its tags, of its prefixes and of all.
///
/// A counter that is made, for a new namespace or after the store lost its data, begins above all that it
/// may have given before, and marks all ("") with that first value: so what was stamped before a loss is
/// invalid, and `count` is always the highest mark.
struct remote_marks {
    /// The counter: the highest of `marks`. Above 0 in what a store answers.
    std::uint64_t count = 0;

    /// What was marked, and with what, each name once; "" is all, and always there.
    std::vector<std::pair<std::string, std::uint64_t>> marks{};
};

/// What a store can do; what it cannot, the caches do without, as each field says.
struct remote_capabilities {
    bool has_leases = true;    ///< False: one load per process, not per cluster; late fills are not refused.
    bool has_versions = true;  ///< False: `put_if_newer` is refused with errc::unavailable.
    bool has_marks = true;     ///< False: tags, prefixes and `clear` are refused with errc::unavailable.
    std::size_t max_value_bytes = SIZE_MAX;
};

/// A store shared by caches: one entry a key, and one lease or write under way on it.
///
/// Implement the awaitable forms; override the blocking ones where the backend has a shorter way than to
/// drive those. Arguments are owned by the callee, answers stand in the order of the keys. The rules, which
/// `testing::remote_store_contract` checks:
///
/// - A token stands from `get_or_lease` or `begin_write` until its lease ends, or until any of `put`,
///   `put_if_newer` that wrote, `begin_write`, `erase`, `expire`, `release` or `fill` on its key; a lease
///   that ended does not come back. What a token that does not stand brings is refused, without an error.
/// - Granting a lease keeps a stale entry where it is; `begin_write` drops it.
/// - The store may forget any entry, lease or mark at any time. A lost mark loses the counter, too.
///
/// Thread safety: every function is called from any thread, concurrently.
/// Errors: levee::error for what could not be done; with errc::timeout or errc::unavailable the outcome of
/// a write is not known.
class remote_store {
public:
    virtual ~remote_store() = default;

    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    [[nodiscard]] virtual remote_capabilities capabilities() const = 0;

    /// Empty: nothing there that is fresh or may be served as stale.
    [[nodiscard]] virtual awaitable<std::vector<std::optional<remote_entry>>> async_get(
        std::vector<std::string> keys) = 0;

    [[nodiscard]] virtual awaitable<lease_answer> async_get_or_lease(lease_request request) = 0;

    /// Stores what was loaded, or written since `begin_write`, and ends the lease. False: refused.
    [[nodiscard]] virtual awaitable<bool> async_fill(std::string key, std::uint64_t token,
                                                     remote_entry entry) = 0;

    /// Lets the lease end `lease` from now. False: the token does not stand.
    [[nodiscard]] virtual awaitable<bool> async_extend(std::string key, std::uint64_t token,
                                                       duration lease) = 0;

    /// Ends the lease without an entry; a stale one stays.
    [[nodiscard]] virtual awaitable<void> async_release(std::string key, std::uint64_t token) = 0;

    /// Stores the entry whatever was there.
    [[nodiscard]] virtual awaitable<void> async_put(std::string key, remote_entry entry) = 0;

    /// Stores it unless one of the same or a higher version is there. False: there was.
    [[nodiscard]] virtual awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) = 0;

    /// Drops the entry and holds the key for a write to the source: until the token's `fill`, or until
    /// `lease` ends, all others find it busy. Each later one voids the token of the one before.
    [[nodiscard]] virtual awaitable<std::uint64_t> async_begin_write(std::string key, duration lease) = 0;

    /// Removes entries and leases.
    [[nodiscard]] virtual awaitable<void> async_erase(std::vector<std::string> keys) = 0;

    /// Makes the entry, if there is one, stale from now on: `fresh_left` 0, `stale_left` as it was. Ends a
    /// lease, too, as `erase` does.
    [[nodiscard]] virtual awaitable<void> async_expire(std::string key) = 0;

    /// Lengthens the life of an entry that is fresh to at least these, from now; never shortens it, and
    /// leaves leases alone. False: nothing fresh is there.
    [[nodiscard]] virtual awaitable<bool> async_touch(std::string key, duration fresh_left,
                                                      duration stale_left) = 0;

    /// The namespace's counter and marks; makes the counter if there is none.
    [[nodiscard]] virtual awaitable<remote_marks> async_marks(std::string name_space) = 0;

    /// Raises the namespace's counter and marks `what` with it; "" is all. Answers the count. Makes the
    /// counter if there is none.
    [[nodiscard]] virtual awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) = 0;

    /// The same for threads that may block.
    [[nodiscard]] virtual std::vector<std::optional<remote_entry>> get(std::vector<std::string> keys) {
        return async::run_on_this_thread(async_get(std::move(keys)));
    }
    [[nodiscard]] virtual lease_answer get_or_lease(lease_request request) {
        return async::run_on_this_thread(async_get_or_lease(std::move(request)));
    }
    [[nodiscard]] virtual bool fill(std::string key, std::uint64_t token, remote_entry entry) {
        return async::run_on_this_thread(async_fill(std::move(key), token, std::move(entry)));
    }
    [[nodiscard]] virtual bool extend(std::string key, std::uint64_t token, duration lease) {
        return async::run_on_this_thread(async_extend(std::move(key), token, lease));
    }
    virtual void release(std::string key, std::uint64_t token) {
        async::run_on_this_thread(async_release(std::move(key), token));
    }
    virtual void put(std::string key, remote_entry entry) {
        async::run_on_this_thread(async_put(std::move(key), std::move(entry)));
    }
    [[nodiscard]] virtual bool put_if_newer(std::string key, remote_entry entry) {
        return async::run_on_this_thread(async_put_if_newer(std::move(key), std::move(entry)));
    }
    [[nodiscard]] virtual std::uint64_t begin_write(std::string key, duration lease) {
        return async::run_on_this_thread(async_begin_write(std::move(key), lease));
    }
    virtual void erase(std::vector<std::string> keys) {
        async::run_on_this_thread(async_erase(std::move(keys)));
    }
    virtual void expire(std::string key) { async::run_on_this_thread(async_expire(std::move(key))); }
    [[nodiscard]] virtual bool touch(std::string key, duration fresh_left, duration stale_left) {
        return async::run_on_this_thread(async_touch(std::move(key), fresh_left, stale_left));
    }
    [[nodiscard]] virtual remote_marks marks(std::string name_space) {
        return async::run_on_this_thread(async_marks(std::move(name_space)));
    }
    [[nodiscard]] virtual std::uint64_t mark(std::string name_space, std::string what) {
        return async::run_on_this_thread(async_mark(std::move(name_space), std::move(what)));
    }

protected:
    remote_store() = default;
    remote_store(const remote_store&) = default;
    remote_store& operator=(const remote_store&) = default;
};

}  // namespace levee
