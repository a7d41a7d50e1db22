/// A few connections shared by many threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "levee/sqlite/table_options.hpp"
#include "sqlite/connection.hpp"

namespace levee::sqlite::detail {

/// Lends connections of one kind, opening them when first needed. (The general `connection_pool<C>` of pool/
/// is for connections worth managing; a local file's cost tens of microseconds.)
///
/// Thread safety: safe; outlives its leases. Waiters are served in no particular order.
class connection_pool {
public:
    /// A connection in use by one thread; returned, or dropped if it is no longer usable, by the destructor.
    class lease {
    public:
        lease(connection_pool& from, std::unique_ptr<connection> held)
            : from_(from), held_(std::move(held)) {}
        ~lease() { from_.give_back(std::move(held_)); }
        lease(const lease&) = delete;
        lease& operator=(const lease&) = delete;

        [[nodiscard]] connection& operator*() const noexcept { return *held_; }

    private:
        connection_pool& from_;
        std::unique_ptr<connection> held_;
    };

    /// `options` outlives the pool.
    connection_pool(const table_options& options, access mode, std::size_t most);

    /// Blocks: at most `busy_timeout`, then errc::timeout. Errors: those of opening.
    [[nodiscard]] lease acquire();

private:
    void give_back(std::unique_ptr<connection> returned) noexcept;
    [[nodiscard]] std::unique_ptr<connection> take();

    const table_options& options_;
    const access mode_;
    const std::size_t most_;

    std::mutex mutex_;  // guards what follows; no connection is opened, used or closed under it
    std::condition_variable returned_;
    std::vector<std::unique_ptr<connection>> idle_;  // the last returned is the next lent: its cache is warm
    std::size_t open_ = 0;                           // lent, idle or being opened
};

}  // namespace levee::sqlite::detail
