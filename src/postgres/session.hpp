/// One session with a server: the state machine, libpq's connection, and whoever drives them.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/postgres/detail/blocking_request.hpp"
#include "levee/postgres/detail/session_access.hpp"
#include "postgres/backend.hpp"
#include "postgres/connect_plan.hpp"
#include "postgres/link.hpp"
#include "postgres/pipeline_state.hpp"
#include "postgres/session_config.hpp"
#include "postgres/statement_cache.hpp"

namespace levee::postgres::detail {

/// libpq's connection is used under the mutex, by whichever thread has something to send or is told that
/// there is something to read; nothing there blocks. *Reading* is a role: a thread that waits for an answer
/// and finds it free waits on the socket itself (poll), reads for everybody meanwhile, and leaves the role to
/// the executor if others still wait when its own answer has come. Asynchronous callers leave it to the
/// executor.
///
/// A session on which no answer is owed has no reader. It is always in libpq's pipeline mode, apart from COPY
/// and scripts.
class session final : public session_access, public std::enable_shared_from_this<session> {
public:
    /// `connected`: connected, as `where` says. `served_by`: empty if that is not known; then what is given
    /// up cannot be cancelled. `is_shared`: by callers who know nothing of each other.
    session(std::shared_ptr<const session_config> config, std::unique_ptr<link> connected,
            server_address where, const std::optional<backend>& served_by, bool is_shared);
    ~session() override;
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    void execute(blocking_request& one) override;
    void submit(request& one) override;
    void cancel(request& one) noexcept override;
    void close() noexcept override;
    [[nodiscard]] const std::shared_ptr<cancel_gate>& gate() const noexcept override { return gate_; }
    [[nodiscard]] session_facts facts() const override;
    [[nodiscard]] bool looks_alive() noexcept override;
    [[nodiscard]] return_verdict come_back(reset_policy policy) noexcept override;
    void begin_reset(request& one) override;
    void condemn() noexcept override;
    [[nodiscard]] time_point now() const noexcept override { return config_->options.scheduler->now(); }
    [[nodiscard]] const connection_options& options() const noexcept override { return config_->options; }

    /// The server was asked to cancel what this session is at; false: it could not be asked.
    void cancel_ended(bool was_asked) noexcept;

    /// Statements that wait here.
    [[nodiscard]] std::size_t load() const noexcept { return load_.load(std::memory_order_relaxed); }
    /// False: closed, or the server said that it goes away. A look without the lock.
    [[nodiscard]] bool is_fit() const noexcept { return is_fit_.load(std::memory_order_relaxed); }

private:
    /// Part of a handler that will run unless its executor is destroyed before: then all requests end, as
    /// what waits for them may be what keeps this session.
    class last_will {
    public:
        explicit last_will(std::weak_ptr<session> of) noexcept : of_(std::move(of)) {}
        last_will(last_will&&) noexcept = default;
        last_will& operator=(last_will&&) = delete;
        ~last_will() {
            if (const auto left = of_.lock()) {
                left->close();
            }
        }
        [[nodiscard]] const std::weak_ptr<session>& of() const noexcept { return of_; }
        void revoke() noexcept { of_.reset(); }

    private:
        std::weak_ptr<session> of_;
    };

    class reset_request;
    class deallocation;
    enum class reader_kind : std::uint8_t { nobody, thread, executor };

    /// What is to be done after the mutex is let go.
    struct errands {
        finished_list done{};
        std::vector<server_message> notices{};
        bool watches = false;
    };

    // With the mutex held.
    [[nodiscard]] bool accept_locked(request& one, errands& then);
    void pump_locked(errands& then, bool caller_reads = false);
    void condemn_locked(bool is_condemned) noexcept;
    [[nodiscard]] bool send_locked(request& one);
    [[nodiscard]] bool send_statement_locked(request& one);
    void forget_dropped_locked(errands& then);
    void read_locked(errands& then);
    void take_results_locked(errands& then);
    void take_result_locked(pg_result came, errands& then);
    void take_refusal_locked(const PGresult* came, errands& then);
    void end_of_outside_locked(errands& then);
    void end_of_reset_locked() noexcept;
    void drop_notifications_locked() noexcept;
    void take_notifications_locked(errands& then);
    void abandon_locked(request& one, std::error_code code, errands& then);
    [[nodiscard]] std::exception_ptr cause_of(const request& one, std::error_code code) const;
    void after_change_locked(errands& then);
    void lose_locked(const std::string& why, std::error_code code, errands& then, bool cuts = true);
    void note_load_locked() noexcept;
    void read_as_executor_locked();
    void write_as_executor_locked();
    void watch_until_locked(time_point when, errands& then) noexcept;
    [[nodiscard]] bool is_on_locked(const char* parameter) const noexcept;
    [[nodiscard]] bool matches_role_locked() const noexcept;
    [[nodiscard]] bool owes_anybody_locked() const noexcept {
        return state_.has_unanswered() || !listeners_.empty();
    }

    // Without it.
    void run(errands& then) noexcept;
    [[nodiscard]] bool run(errands& then, const request& own) noexcept;
    void read_as_thread(std::unique_lock<std::mutex>& lock, blocking_request& one, errands& then);
    void on_readable();
    void on_writable();
    void on_pump();
    void begin_watching(last_will will);
    static boost::asio::awaitable<void> watch(last_will will, std::shared_ptr<async::scheduler> time,
                                              std::shared_ptr<boost::asio::cancellation_signal> stop);
    [[nodiscard]] std::optional<time_point> expire(
        const std::shared_ptr<boost::asio::cancellation_signal>& watch);
    static void on_notice(void* self, const PGresult* notice) noexcept;

    const std::shared_ptr<const session_config> config_;
    const server_address where_;
    const std::optional<backend> served_by_;
    const bool is_shared_;
    const bool is_encrypted_;
    const int process_;  // the server's, as it said when it was connected to
    const boost::asio::strand<boost::asio::any_io_executor> strand_;
    const std::shared_ptr<cancel_gate> gate_ = std::make_shared<cancel_gate>(*this);
    std::atomic<bool> is_fit_ = true;
    std::atomic<std::size_t> load_ = 0;  // of state_, for a look without the lock

    mutable std::mutex mutex_;  // guards what follows
    const std::unique_ptr<link> link_;
    pipeline_state state_;
    statement_cache cache_;
    std::deque<request*> listeners_{};
    std::deque<notification> mailbox_{};
    std::vector<server_message> notices_{};
    std::vector<const char*> value_data_{};  // kept for their memory
    std::vector<int> value_lengths_{}, value_formats_{};
    std::vector<Oid> value_types_{};
    reader_kind reader_ = reader_kind::nobody;
    std::uint8_t traces_ = 0;  // what statements may have left behind
    std::size_t resets_ = 0;   // under way
    bool is_condemned_ = false;
    bool was_standby_ = false;  // the server, when this was closed
    bool owes_output_ = false;
    bool reader_writes_ = false;    // the thread that reads waits for writing, too
    bool executor_writes_ = false;  // the executor waits for writing
    bool is_pump_posted_ = false;
    time_point last_used_{};
    time_point watched_until_ = (time_point::max)();
    time_point drained_until_ = (time_point::max)();  // when what was given up must be over
    time_point cancel_again_at_ =
        (time_point::max)();            // when it should have been, if the server had been asked in time
    std::uint64_t drained_number_ = 0;  // what that is about

    std::shared_ptr<boost::asio::cancellation_signal> stop_watching_{};  // on the strand only
};

}  // namespace levee::postgres::detail
