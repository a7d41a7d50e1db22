/// What a client has behind it: its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "levee/pool/connection_pool.hpp"
#include "levee/redis/client_options.hpp"
#include "levee/redis/client_stats.hpp"
#include "levee/redis/detail/convert.hpp"
#include "levee/redis/detail/request_sink.hpp"

namespace levee::redis::detail {

class connection;
class tls_context;

/// A connection for one user at a time, as a pool lends it. Its end closes it.
class exclusive_connection {
public:
    explicit exclusive_connection(std::shared_ptr<connection> owned);
    ~exclusive_connection();
    exclusive_connection(const exclusive_connection&) = delete;
    exclusive_connection& operator=(const exclusive_connection&) = delete;

    [[nodiscard]] const std::shared_ptr<request_sink>& sink() const noexcept { return sink_; }

private:
    std::shared_ptr<connection> connection_;
    std::shared_ptr<request_sink> sink_;  // the same
};

class client_core {
public:
    explicit client_core(const client_options& options);
    ~client_core();
    client_core(const client_core&) = delete;
    client_core& operator=(const client_core&) = delete;

    /// The shared connection with the fewest bytes waiting, the first of those alike.
    [[nodiscard]] const std::shared_ptr<request_sink>& pick() const noexcept;

    /// Always the same of the shared connections, for what must stay in order.
    [[nodiscard]] const std::shared_ptr<request_sink>& first() const noexcept { return sinks_.front(); }

    /// Another number whenever one of the shared connections is made or lost; zero: none stands.
    [[nodiscard]] std::uint64_t generations() const noexcept;

    /// Zero: the client's own timeout.
    [[nodiscard]] time_point deadline(duration timeout) const noexcept;
    /// Of a call that blocks its thread: by the exact steady clock, which the waits of threads keep, whatever
    /// the scheduler has for time.
    [[nodiscard]] time_point blocking_deadline(duration timeout) const noexcept;

    /// Made when first asked for: a pool keeps its executor busy.
    [[nodiscard]] connection_pool<exclusive_connection>& exclusive();
    [[nodiscard]] const client_options& options() const noexcept { return *options_; }
    [[nodiscard]] const std::shared_ptr<const client_options>& shared_options() const noexcept {
        return options_;
    }
    [[nodiscard]] const std::shared_ptr<const tls_context>& tls() const noexcept { return tls_; }
    [[nodiscard]] client_stats stats() const;
    void close() noexcept;

private:
    std::shared_ptr<const client_options> options_;
    std::shared_ptr<const tls_context> tls_;
    std::vector<std::shared_ptr<connection>> shared_;
    std::vector<std::shared_ptr<request_sink>> sinks_;  // the same

    std::mutex mutex_;  // guards exclusive_'s making; taken alone
    std::unique_ptr<connection_pool<exclusive_connection>> exclusive_;
};

/// Executes what `from` says on the calling thread, and converts the answer.
template <class Convert, class From>
typename Convert::type call(request_sink& to, From&& from, time_point until, const Convert& convert = {},
                            std::string fallback = {}, std::uint64_t generation = 0) {
    const bool is_empty = is_nothing<Convert>(from);
    blocking_request waiting(std::forward<From>(from), until);
    if (is_empty) {
        answer_with_nothing<Convert>(waiting);
        return convert(waiting);
    }
    waiting.fallback = std::move(fallback);
    waiting.generation = generation;
    to.execute(waiting);
    if (waiting.cause.code) {
        std::rethrow_exception(waiting.cause.to_exception());
    }
    return convert(waiting);
}

}  // namespace levee::redis::detail
