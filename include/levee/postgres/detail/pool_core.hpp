/// What a pool has behind it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "levee/pool/connection_pool.hpp"
#include "levee/postgres/connection.hpp"
#include "levee/postgres/pool_options.hpp"

namespace levee::postgres::detail {

class session;
struct session_config;
class shared_sessions;

class pool_core : public std::enable_shared_from_this<pool_core> {
public:
    explicit pool_core(const pool_options& options);
    ~pool_core();
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    /// A connection until it is destroyed; then it is cleaned and goes back, or is closed.
    class lease {
    public:
        lease(std::shared_ptr<pool_core> core, pooled<connection> held, reset_policy policy) noexcept
            : core_(std::move(core)), held_(std::move(held)), policy_(policy) {}
        lease(lease&&) noexcept = default;
        lease& operator=(lease&&) = delete;
        ~lease();

        [[nodiscard]] connection& operator*() const noexcept { return *held_; }
        [[nodiscard]] connection* operator->() const noexcept { return &*held_; }

    private:
        std::shared_ptr<pool_core> core_;
        pooled<connection> held_;
        reset_policy policy_;
    };

    /// Errors: pool_error. Blocks: until then.
    [[nodiscard]] lease acquire(time_point until, holder_label label, reset_policy policy);
    [[nodiscard]] static boost::asio::awaitable<lease> async_acquire(std::shared_ptr<pool_core> core,
                                                                     time_point until, holder_label label,
                                                                     reset_policy policy);

    [[nodiscard]] result ask(statement what);
    [[nodiscard]] static boost::asio::awaitable<result> async_ask(std::shared_ptr<pool_core> core,
                                                                  statement what, time_point until);

    /// A connection that many use at the same time; null: there is none, or the statement needs one of its
    /// own.
    [[nodiscard]] std::shared_ptr<session_access> shared_for(std::string_view sql);

    [[nodiscard]] time_point deadline(duration timeout) const noexcept;
    [[nodiscard]] time_point acquire_deadline() const noexcept;
    [[nodiscard]] connection_pool<connection>& connections() noexcept { return connections_; }
    [[nodiscard]] const pool_options& options() const noexcept { return options_; }
    void close() noexcept;

private:
    class factory;

    /// A connection was condemned: what does that say of the others?
    void look_at(const session_facts& condemned) noexcept;

    const pool_options options_;
    const std::shared_ptr<const session_config> config_;
    connection_pool<connection> connections_;
    const std::shared_ptr<shared_sessions> shared_;  // null: none
};

}  // namespace levee::postgres::detail
