/// A Redis client: one connection that all threads and coroutines of a program share.
#pragma once

#include <boost/asio/async_result.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/redis/client_options.hpp"
#include "levee/redis/client_stats.hpp"
#include "levee/redis/command.hpp"
#include "levee/redis/detail/async_request.hpp"
#include "levee/redis/detail/client_core.hpp"
#include "levee/redis/detail/convert.hpp"
#include "levee/redis/error.hpp"
#include "levee/redis/reply.hpp"
#include "levee/redis/scanner.hpp"
#include "levee/redis/script.hpp"
#include "levee/redis/transaction.hpp"

namespace levee::redis {

/// When SET sets.
enum class set_when : std::uint8_t { always, absent, present };

struct set_options {
    duration time_to_live{};  ///< In whole milliseconds, rounded up. Zero: for ever.
    set_when when = set_when::always;
};

/// Sends commands and gives their answers, to any number of callers over one connection (or a few).
///
///     levee::runtime rt;
///     redis::client db({.executor = rt.get_executor()});
///     db.set("greeting", "hello");                                           // a thread
///     auto word = co_await db.async_get("greeting", asio::use_awaitable);    // a coroutine
///     auto type = db.execute("TYPE", "greeting").text();                     // any command
///
/// Commands that come while a write is under way are joined into the next one; answers are matched by their
/// order. A lone blocking caller reads and writes by itself, and wakes nobody. Connecting begins with the
/// first command; a connection that broke is made anew when the next command needs it.
///
/// Deadlines: each call ends by its own, `command_timeout` unless the command brings one. A late answer is
/// dropped. When a connection breaks, commands that were sent fail with errc::connection_lost and
/// `error::may_have_been_executed()`, unless they are marked idempotent: those are sent again. Commands not
/// sent yet wait for the next connection, or fail, as `while_disconnected` says.
///
/// Commands that block the server's side (BLPOP, WAIT) or change the connection (SELECT, MULTI, SUBSCRIBE,
/// CLIENT REPLY) would do so for everybody: use `begin` or `subscriber` instead.
///
/// Every call has an `async_` twin that takes any completion token, of signature
/// void(std::exception_ptr, T). It completes on the handler's executor, never inside the call. Cancellation
/// (any type) ends it with errc::cancelled; a command that was sent may be executed all the same.
///
/// Errors, of every call: redis::error with the server's answer, by its first word; levee::errc::timeout;
/// errc::connection_lost, not_connected, queue_full, protocol_error, reply_too_large;
/// levee::errc::would_deadlock for a blocking call on a thread that runs the client's executor;
/// levee::errc::closed. `levee::errc::invalid_data` if the answer is of an unexpected kind.
///
/// Thread safety: safe on a shared object, apart from destruction, which ends what waits with
/// levee::errc::closed. The executor must outlive the client.
class client {
public:
    /// Connects to nothing yet. Errors: std::invalid_argument; errc::tls_failed for unusable files.
    explicit client(const client_options& options);
    ~client();
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    // Any command.

    reply execute(command one) { return call<detail::to_reply>(std::move(one)); }
    template <command_word... Words>
    reply execute(std::string_view name, const Words&... words) {
        return execute(command(name, words...));
    }
    /// One reply for each command; error replies stand among them and do not throw.
    std::vector<reply> execute(pipeline all) { return call<detail::to_replies>(std::move(all)); }

    template <class Token>
    auto async_execute(command one, Token&& token) {
        return start<detail::to_reply>(std::move(one), token);
    }
    template <class Token>
    auto async_execute(pipeline all, Token&& token) {
        return start<detail::to_replies>(std::move(all), token);
    }

    // Strings.

    /// Empty: there is no such key.
    std::optional<std::string> get(std::string_view key) {
        return call<detail::to_optional_text>(reading("GET", key));
    }
    template <class Token>
    auto async_get(std::string_view key, Token&& token) {
        return start<detail::to_optional_text>(reading("GET", key), token);
    }

    /// The values in the order of the keys, any range of text. No keys: nothing is sent.
    template <class Keys>
    std::vector<std::optional<std::string>> get_many(const Keys& keys) {
        return call<detail::to_optional_texts>(reading("MGET").add_all(keys));
    }
    template <class Keys, class Token>
    auto async_get_many(const Keys& keys, Token&& token) {
        return start<detail::to_optional_texts>(reading("MGET").add_all(keys), token);
    }

    /// False: `options.when` was not met.
    template <command_word Value>
    bool set(std::string_view key, const Value& value, set_options options = {}) {
        return call<detail::to_was_set>(set_command(command("SET", key, value), options));
    }
    template <command_word Value, class Token>
    auto async_set(std::string_view key, const Value& value, Token&& token)
        requires(!std::same_as<std::remove_cvref_t<Token>, set_options>)
    {
        return start<detail::to_was_set>(set_command(command("SET", key, value), {}), token);
    }
    template <command_word Value, class Token>
    auto async_set(std::string_view key, const Value& value, const set_options& options, Token&& token) {
        return start<detail::to_was_set>(set_command(command("SET", key, value), options), token);
    }

    /// The value afterwards.
    std::int64_t increment(std::string_view key, std::int64_t by = 1) {
        return call<detail::to_integer>(command("INCRBY", key, by));
    }
    template <class Token>
    auto async_increment(std::string_view key, std::int64_t by, Token&& token) {
        return start<detail::to_integer>(command("INCRBY", key, by), token);
    }

    // Keys.

    /// Removes keys, their memory freed in the background (UNLINK). How many there were.
    bool erase(std::string_view key) { return call<detail::to_bool>(command("UNLINK", key)); }
    template <class Token>
    auto async_erase(std::string_view key, Token&& token) {
        return start<detail::to_bool>(command("UNLINK", key), token);
    }
    template <class Keys>
    std::size_t erase_many(const Keys& keys) {
        return call<detail::to_count>(command("UNLINK").add_all(keys));
    }
    template <class Keys, class Token>
    auto async_erase_many(const Keys& keys, Token&& token) {
        return start<detail::to_count>(command("UNLINK").add_all(keys), token);
    }

    bool exists(std::string_view key) { return call<detail::to_bool>(reading("EXISTS", key)); }
    template <class Token>
    auto async_exists(std::string_view key, Token&& token) {
        return start<detail::to_bool>(reading("EXISTS", key), token);
    }

    /// False: there is no such key. Rounded up to whole milliseconds; zero or less removes it.
    bool expire(std::string_view key, duration life) {
        return call<detail::to_bool>(expire_command(key, life));
    }
    template <class Token>
    auto async_expire(std::string_view key, duration life, Token&& token) {
        return start<detail::to_bool>(expire_command(key, life), token);
    }

    /// Empty: there is no such key; `duration::max()`: it lives for ever.
    std::optional<duration> time_to_live(std::string_view key) {
        return call<detail::to_life>(reading("PTTL", key));
    }
    template <class Token>
    auto async_time_to_live(std::string_view key, Token&& token) {
        return start<detail::to_life>(reading("PTTL", key), token);
    }

    /// Walks through the keys; never KEYS, which stops the server.
    [[nodiscard]] scanner scan(scan_options options = {}) { return {core_, std::move(options)}; }

    // Hashes.

    std::optional<std::string> get_field(std::string_view key, std::string_view field) {
        return call<detail::to_optional_text>(reading("HGET", key, field));
    }
    template <class Token>
    auto async_get_field(std::string_view key, std::string_view field, Token&& token) {
        return start<detail::to_optional_text>(reading("HGET", key, field), token);
    }
    /// True: the field is new.
    template <command_word Value>
    bool set_field(std::string_view key, std::string_view field, const Value& value) {
        return call<detail::to_bool>(command("HSET", key, field, value));
    }
    template <command_word Value, class Token>
    auto async_set_field(std::string_view key, std::string_view field, const Value& value, Token&& token) {
        return start<detail::to_bool>(command("HSET", key, field, value), token);
    }
    std::vector<std::pair<std::string, std::string>> get_fields(std::string_view key) {
        return call<detail::to_pairs>(reading("HGETALL", key));
    }
    template <class Token>
    auto async_get_fields(std::string_view key, Token&& token) {
        return start<detail::to_pairs>(reading("HGETALL", key), token);
    }

    // Messages, scripts, transactions.

    /// How many subscribers of this server got it.
    template <command_word Payload>
    std::int64_t publish(std::string_view channel, const Payload& payload) {
        return call<detail::to_integer>(command("PUBLISH", channel, payload));
    }
    template <command_word Payload, class Token>
    auto async_publish(std::string_view channel, const Payload& payload, Token&& token) {
        return start<detail::to_integer>(command("PUBLISH", channel, payload), token);
    }

    /// Runs a script, by name; if the server does not know it, with its source, which the server keeps.
    template <class Keys, class Arguments>
    reply run(const script& what, const Keys& keys, const Arguments& arguments) {
        return call<detail::to_reply>(named(what, keys, arguments), in_full(what, keys, arguments));
    }
    template <class Keys, class Arguments, class Token>
    auto async_run(const script& what, const Keys& keys, const Arguments& arguments, Token&& token) {
        return start<detail::to_reply>(named(what, keys, arguments), token, in_full(what, keys, arguments));
    }

    /// Begins a transaction: waits for one of `max_exclusive` connections, for `command_timeout` at most.
    /// Errors: levee::pool_error.
    [[nodiscard]] transaction begin() { return {core_, core_->exclusive().acquire("redis::transaction")}; }
    /// void(std::exception_ptr, std::optional<transaction>): never empty without an error.
    template <class Token>
    auto async_begin(Token&& token) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, std::optional<transaction>)>(
            [core = core_](auto handler) {
                core->exclusive().async_acquire(with_transaction<decltype(handler)>{std::move(handler), core},
                                                "redis::transaction");
            },
            token);
    }

    [[nodiscard]] client_stats stats() const { return core_->stats(); }
    [[nodiscard]] const client_options& options() const noexcept { return core_->options(); }

private:
    friend class subscriber;
    friend class store;
    friend class backplane;

    template <class Convert, class From>
    typename Convert::type call(From from, std::string fallback = {}) {
        const time_point until = core_->blocking_deadline(from.timeout());
        return detail::call<Convert>(*core_->pick(), std::move(from), until, {}, std::move(fallback));
    }

    template <class Convert, class From, class Token>
    auto start(From from, Token& token, std::string fallback = {}) {
        const time_point until = core_->deadline(from.timeout());
        return boost::asio::async_initiate<Token, void(std::exception_ptr, typename Convert::type)>(
            detail::async_operation<Convert>{}, token, std::move(from), std::move(fallback), std::uint64_t{0},
            until, Convert{}, core_->pick());
    }

    template <command_word... Words>
    static command reading(std::string_view name, const Words&... words) {
        return std::move(command(name, words...).idempotent());
    }
    static command set_command(command begun, const set_options& options);
    static command expire_command(std::string_view key, duration life);

    template <class Keys, class Arguments>
    static command script_command(const char* name, const std::string& what, const Keys& keys,
                                  const Arguments& arguments) {
        command one(name, what, std::size(keys));
        return std::move(one.add_all(keys).add_all(arguments));
    }
    template <class Keys, class Arguments>
    static command named(const script& what, const Keys& keys, const Arguments& arguments) {
        command one = script_command("EVALSHA", what.sha1(), keys, arguments);
        return std::move(one.idempotent(what.is_idempotent()));
    }
    template <class Keys, class Arguments>
    static std::string in_full(const script& what, const Keys& keys, const Arguments& arguments) {
        return script_command("EVAL", what.source(), keys, arguments).wire();
    }

    template <class Handler>
    struct with_transaction;

    std::shared_ptr<detail::client_core> core_;
};

/// Makes of a handler for transactions one for leases; on the same executor, with the same slot.
template <class Handler>
struct client::with_transaction {
    using executor_type = boost::asio::associated_executor_t<Handler>;
    using cancellation_slot_type = boost::asio::associated_cancellation_slot_t<Handler>;

    Handler handler;
    std::shared_ptr<detail::client_core> core;

    [[nodiscard]] executor_type get_executor() const noexcept {
        return boost::asio::get_associated_executor(handler);
    }
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
        return boost::asio::get_associated_cancellation_slot(handler);
    }
    void operator()(std::exception_ptr failed, transaction::lease connection) {
        std::optional<transaction> begun;
        if (!failed) {
            begun = transaction(std::move(core), std::move(connection));
        }
        std::move(handler)(std::move(failed), std::move(begun));
    }
};

}  // namespace levee::redis
