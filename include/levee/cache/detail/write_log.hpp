/// A journal together with the threads that it is lent.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "levee/async/scheduler.hpp"
#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"
#include "levee/journal/journal.hpp"

namespace levee::cache_detail {

/// Thread safety: safe.
class write_log : public std::enable_shared_from_this<write_log> {
public:
    /// Opens, and replays. `runs_on`: where it may block on the disk.
    [[nodiscard]] static std::shared_ptr<write_log> open(journal_options options,
                                                         boost::asio::any_io_executor runs_on,
                                                         std::shared_ptr<async::scheduler> time,
                                                         const journal::visitor& replay);

    [[nodiscard]] std::uint64_t append(bytes_view record) { return journal_->append(record); }

    /// Blocks until the record is safe. Errors: as `journal::wait_durable`.
    void wait_durable(std::uint64_t sequence, time_point deadline) {
        journal_->wait_durable(sequence, deadline);
    }
    void when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done) {
        journal_->when_durable(sequence, std::move(done));
    }
    /// The same for a coroutine, which goes on where it runs.
    [[nodiscard]] static boost::asio::awaitable<void> async_durable(std::shared_ptr<write_log> self,
                                                                    std::uint64_t sequence);

    /// After `close` too: then it is forgotten.
    void release(std::span<const std::uint64_t> sequences) noexcept;

    void close() { journal_->close(); }
    [[nodiscard]] journal_stats stats() const { return journal_->stats(); }
    [[nodiscard]] const journal_recovery& recovery() const noexcept { return journal_->recovery(); }

private:
    write_log(boost::asio::any_io_executor runs_on, std::shared_ptr<async::scheduler> time)
        : runs_on_(std::move(runs_on)), time_(std::move(time)) {}
    void sync_at(time_point when);
    [[nodiscard]] static boost::asio::awaitable<void> sync_later(std::weak_ptr<write_log> of,
                                                                 std::shared_ptr<async::scheduler> time,
                                                                 time_point when);

    const boost::asio::any_io_executor runs_on_;
    const std::shared_ptr<async::scheduler> time_;
    std::unique_ptr<journal> journal_;
};

}  // namespace levee::cache_detail
