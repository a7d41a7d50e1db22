/// MULTI and EXEC, with WATCH, on a connection of one's own.
#pragma once

#include <boost/asio/async_result.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "levee/pool/pooled.hpp"
#include "levee/redis/command.hpp"
#include "levee/redis/detail/async_request.hpp"
#include "levee/redis/detail/client_core.hpp"
#include "levee/redis/reply.hpp"

namespace levee::redis {

/// Commands that the server executes as one: nobody else's come between them, and with `watch` none at all
/// are executed if somebody changed a watched key meanwhile.
///
///     auto tx = client.begin();
///     tx.watch("balance");
///     const auto old = tx.execute("GET", "balance").integer();
///     tx.add("SET", "balance", old - 10).add("LPUSH", "log", "-10");
///     if (!tx.commit()) { … somebody else was faster: once more … }
///
/// Nothing is sent by `add`; `commit` sends MULTI, the commands and EXEC at once. A command that fails while
/// it is executed does not undo the others: its error stands among the replies, as Redis has it. It can be
/// used again after `commit`.
///
/// If the connection breaks after `watch`, all that follows fails with errc::connection_lost, unexecuted.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe. It may outlive its client, but is of no
/// use then. Blocks, Errors: as `client::execute`.
class transaction {
public:
    transaction(transaction&&) = default;
    transaction& operator=(transaction&& other) noexcept;
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    /// A connection that still watches is closed, any other goes back for the next transaction.
    ~transaction();

    /// The transaction will be refused if one of these keys is changed from now on.
    template <command_word... Keys>
    void watch(std::string_view key, const Keys&... keys) {
        detail::call(sink(), command("WATCH", key, keys...), blocking_deadline({}),
                     detail::to_watched{&generation_}, {}, generation_);
    }
    /// void(std::exception_ptr, bool): true. It must not be moved or destroyed before that completes.
    template <class Token>
    auto async_watch(std::string_view key, Token&& token) {
        return start(command("WATCH", key), {}, detail::to_watched{&generation_}, token);
    }

    /// Executes a command now, outside of the transaction: to read what is watched.
    template <command_word... Words>
    reply execute(std::string_view name, const Words&... words) {
        return execute(command(name, words...));
    }
    reply execute(command one) {
        const duration timeout = one.timeout();
        return detail::call<detail::to_reply>(sink(), std::move(one), blocking_deadline(timeout), {}, {},
                                              generation_);
    }
    /// void(std::exception_ptr, reply)
    template <class Token>
    auto async_execute(command one, Token&& token) {
        const duration timeout = one.timeout();
        return start(std::move(one), timeout, detail::to_reply{}, token);
    }

    /// Appends a command to what `commit` sends.
    template <command_word... Words>
    transaction& add(std::string_view name, const Words&... words) {
        queued_.add(name, words...);
        return *this;
    }
    transaction& add(const command& one) {
        queued_.add(one);
        return *this;
    }

    /// The replies, one for each command added; empty if a watched key was changed, and nothing executed.
    /// Errors: as `client::execute`; what the server said of the first command that it refused to queue, and
    /// then nothing was executed either.
    std::optional<std::vector<reply>> commit(duration timeout = {}) {
        pipeline all = take_queued();
        const std::uint64_t generation = std::exchange(generation_, 0);
        return detail::call<detail::to_commit>(sink(), std::move(all), blocking_deadline(timeout), {}, {},
                                               generation);
    }
    /// void(std::exception_ptr, std::optional<std::vector<reply>>)
    template <class Token>
    auto async_commit(Token&& token) {
        return start_commit(take_queued(), token);
    }

private:
    friend class client;
    using lease = pooled<detail::exclusive_connection>;

    transaction(std::shared_ptr<detail::client_core> core, lease connection)
        : core_(std::move(core)), connection_(std::move(connection)) {}

    [[nodiscard]] detail::request_sink& sink() const { return *connection_->sink(); }
    [[nodiscard]] time_point deadline(duration timeout) const { return core_->deadline(timeout); }
    [[nodiscard]] time_point blocking_deadline(duration timeout) const {
        return core_->blocking_deadline(timeout);
    }
    [[nodiscard]] pipeline take_queued();
    void leave() noexcept;

    template <class From, class Convert, class Token>
    auto start(From from, duration timeout, Convert convert, Token& token) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, typename Convert::type)>(
            detail::async_operation<Convert>{}, token, std::move(from), std::string(), generation_,
            deadline(timeout), convert, connection_->sink());
    }
    template <class Token>
    auto start_commit(pipeline all, Token& token) {
        const std::uint64_t generation = std::exchange(generation_, 0);
        return boost::asio::async_initiate<Token,
                                           void(std::exception_ptr, std::optional<std::vector<reply>>)>(
            detail::async_operation<detail::to_commit>{}, token, std::move(all), std::string(), generation,
            deadline({}), detail::to_commit{}, connection_->sink());
    }

    std::shared_ptr<detail::client_core> core_;
    lease connection_;
    pipeline queued_{};
    std::uint64_t generation_ = 0;  // of the connection that watches; zero: none does
};

}  // namespace levee::redis
