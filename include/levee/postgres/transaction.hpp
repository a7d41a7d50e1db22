/// A transaction that a pool runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "levee/postgres/connection.hpp"
#include "levee/resilience/backoff.hpp"

namespace levee::postgres {

enum class isolation_level : std::uint8_t {
    server_default,  ///< default_transaction_isolation: read committed, unless set otherwise.
    read_committed,
    repeatable_read,
    serializable,
};

struct transaction_options {
    isolation_level isolation = isolation_level::server_default;
    bool is_read_only = false;
    /// With serializable and read only: waits until it can run without being refused. Else without effect.
    bool is_deferrable = false;

    /// How often it is run, the first time included, when the server refuses it for a conflict with others:
    /// serialisation failure (40001) and deadlock (40P01). In [1, 1000]. 1: it is not repeated, because the
    /// function may have done more than SQL.
    std::size_t attempts = 1;

    /// Waits before repetitions.
    backoff_options backoff{};
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const transaction_options& options);

/// What the function of `pool::transaction` works with. Only while that runs.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe. Errors: as `connection::query`.
class transaction {
public:
    template <class... T>
    result query(std::string_view sql, const T&... values) {
        return on_.query(sql, values...);
    }
    result query(statement what) { return on_.query(std::move(what)); }
    template <class Token>
    auto async_query(statement what, Token&& token) {
        return on_.async_query(std::move(what), std::forward<Token>(token));
    }

    template <class... T>
    std::uint64_t execute(std::string_view sql, const T&... values) {
        return on_.execute(sql, values...);
    }
    std::uint64_t execute(statement what) { return on_.execute(std::move(what)); }
    template <class Token>
    auto async_execute(statement what, Token&& token) {
        return on_.async_execute(std::move(what), std::forward<Token>(token));
    }

    /// Which run of the function this is; the first is 1.
    [[nodiscard]] std::size_t attempt() const noexcept { return attempt_; }

    /// For COPY and what else there is.
    [[nodiscard]] postgres::connection& connection() noexcept { return on_; }

    /// For the pool.
    transaction(postgres::connection& on, std::size_t attempt) : on_(on), attempt_(attempt) {}
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

private:
    postgres::connection& on_;
    std::size_t attempt_;
};

namespace detail {

/// "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"
[[nodiscard]] std::string begin_text(const transaction_options& options);
/// COMMIT of a failed transaction is answered with ROLLBACK, and no error: then this throws one (25P02).
void check_commit(const result& answer);
/// True: it was refused for a conflict with others.
[[nodiscard]] bool is_conflict(const std::exception_ptr& failed) noexcept;
/// True: ROLLBACK can be sent, and answered without delay.
[[nodiscard]] bool can_roll_back(const connection& on);
/// Sends it, if so; what goes wrong is the pool's business.
void roll_back(connection& on) noexcept;
/// Blocks for so long.
void pause(duration wait);

}  // namespace detail
}  // namespace levee::postgres
