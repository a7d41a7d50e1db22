/// A connection to Redis that makes itself anew: the state machine, a socket and whoever drives them.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "levee/redis/client_options.hpp"
#include "levee/redis/detail/request_sink.hpp"
#include "levee/resilience/backoff.hpp"
#include "redis/connection_state.hpp"
#include "redis/link.hpp"

namespace levee::redis::detail {

class tls_context;

/// Two roles go around among those who use a link. The *writer* sends what is queued, until nothing is: what
/// comes meanwhile is joined into its next write. The *reader* receives for everybody. A thread that finds
/// either role free takes it, so that a lone caller does all by itself, without waking anybody; a reading
/// thread whose own answer has come appoints another thread that waits, or else the executor. Asynchronous
/// callers leave both to the executor.
///
/// A link on which no answer is owed has no reader. Whoever uses it next, after some time, looks first
/// whether it has been closed.
class connection final : public request_sink, public std::enable_shared_from_this<connection> {
public:
    connection(std::shared_ptr<const client_options> options, std::shared_ptr<const tls_context> tls,
               std::uint64_t seed);
    ~connection() override;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    void execute(blocking_request& one) override;
    void submit(request& one) override;
    void cancel(request& one) noexcept override;
    [[nodiscard]] const std::shared_ptr<cancel_gate>& gate() const noexcept override { return gate_; }
    [[nodiscard]] std::uint64_t generation() const noexcept override;

    /// Ends all requests with errc::closed, and everything that runs.
    void close() noexcept;

    /// Bytes that wait to be sent, in KiB.
    [[nodiscard]] std::size_t load() const noexcept { return load_.load(std::memory_order_relaxed); }
    [[nodiscard]] connection_state::counts totals() const;
    [[nodiscard]] bool is_connected() const;
    [[nodiscard]] std::size_t pending() const;

private:
    /// Part of a handler that will run unless its executor is destroyed before: then all requests end, as
    /// what waits for them may be what keeps this connection.
    class last_will {
    public:
        explicit last_will(std::shared_ptr<connection> of) noexcept : of_(std::move(of)) {}
        last_will(last_will&&) noexcept = default;
        last_will& operator=(last_will&&) = delete;
        ~last_will() {
            if (of_ != nullptr) {
                of_->close();
            }
        }
        [[nodiscard]] const std::shared_ptr<connection>& of() const noexcept { return of_; }
        void revoke() noexcept { of_ = nullptr; }

    private:
        std::shared_ptr<connection> of_;
    };

    using strand = boost::asio::strand<boost::asio::any_io_executor>;
    enum class reader_kind : std::uint8_t { nobody, thread, executor };

    /// What is to be done after the lock is let go.
    struct errands {
        std::shared_ptr<link> at{};
        bool writes = false;
        bool reads = false;
        bool connects = false;
        bool watches = false;
        bool detaches = false;
        bool is_crowded = false;
        finished_list done{};
    };

    // With the mutex held; `_locked`.
    [[nodiscard]] bool submit_locked(request& one, errands& then);
    void take_roles_locked(bool for_thread, errands& then);
    void pass_reading_on_locked(const std::shared_ptr<link>& at, errands& then);
    void lose_locked(link& at, const failure& why, errands& then);
    void want_connection_locked(errands& then);
    void note_load_locked() noexcept;

    // Without it.
    void run_for_executor(errands& then);
    void finish_all(finished_list& done);
    void lose(link& at, const failure& why);
    [[nodiscard]] bool flush(link& at);
    [[nodiscard]] bool deliver(const std::shared_ptr<link>& at, std::vector<reply>& replies, request* own);
    void read_for_thread(const std::shared_ptr<link>& at, blocking_request& own);

    // On the strand.
    void flush_on_strand(const std::shared_ptr<link>& at);
    void detach(link& at);
    void wait_readable(const std::shared_ptr<link>& at);
    void on_readable(const std::shared_ptr<link>& at);
    void begin_connecting();
    void begin_watching(last_will will);
    boost::asio::awaitable<void> connect_until_done();
    static boost::asio::awaitable<void> watch(last_will will,
                                              std::shared_ptr<boost::asio::cancellation_signal> stop);
    [[nodiscard]] std::optional<time_point> expire(
        const std::shared_ptr<boost::asio::cancellation_signal>& watch);

    [[nodiscard]] time_point now() const noexcept { return scheduler_->now(); }

    const std::shared_ptr<const client_options> options_;
    const std::shared_ptr<const tls_context> tls_;
    const std::shared_ptr<async::scheduler> scheduler_;
    const strand strand_;
    const std::shared_ptr<cancel_gate> gate_ = std::make_shared<cancel_gate>(*this);
    std::atomic<std::size_t> load_ = 0;  // of state_, for a look without the lock
    std::atomic<std::uint64_t> generation_ = 0;

    mutable std::mutex mutex_;  // guards what follows; a blocking request's is taken under it
    connection_state state_;
    std::shared_ptr<link> link_{};  // the roles below are about this one
    reader_kind reader_ = reader_kind::nobody;
    blocking_request* reading_thread_ = nullptr;  // if a thread reads
    std::uint64_t reads_by_threads_ = 0;
    bool has_writer_ = false;
    bool is_connecting_ = false;  // the coroutine that does it is under way
    time_point next_attempt_{};
    time_point last_used_{};
    time_point watched_until_ = (time_point::max)();  // when the watch on deadlines wakes
    backoff waits_;

    // Used on the strand only.
    std::shared_ptr<boost::asio::cancellation_signal> stop_watching_{};
    std::shared_ptr<boost::asio::cancellation_signal> stop_connecting_{};
};

}  // namespace levee::redis::detail
