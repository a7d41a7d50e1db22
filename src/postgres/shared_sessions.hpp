/// The connections of a pool that many callers use at the same time.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "levee/resilience/backoff.hpp"
#include "postgres/session.hpp"

namespace levee::postgres::detail {

/// Keeps a number of sessions, and makes those anew that broke, with waits between attempts.
///
/// Thread safety: safe on a shared object.
class shared_sessions : public std::enable_shared_from_this<shared_sessions> {
public:
    shared_sessions(std::shared_ptr<const session_config> config, const backoff_options& waits,
                    std::size_t count);
    ~shared_sessions();
    shared_sessions(const shared_sessions&) = delete;
    shared_sessions& operator=(const shared_sessions&) = delete;

    /// The one on which the fewest wait; null: none is up. Begins to make those that are missing.
    [[nodiscard]] std::shared_ptr<session> pick();

    void close() noexcept;

private:
    struct slot {
        std::shared_ptr<session> at{};
        bool is_connecting = false;
        time_point next_attempt{};
        backoff waits;
    };

    [[nodiscard]] std::shared_ptr<session> least_loaded();
    void connect_locked(std::size_t index);
    static boost::asio::awaitable<void> connect(std::shared_ptr<shared_sessions> self, std::size_t index);

    const std::shared_ptr<const session_config> config_;
    std::mutex mutex_;  // guards what follows; taken alone
    std::vector<slot> slots_{};
    bool is_closed_ = false;
};

}  // namespace levee::postgres::detail
