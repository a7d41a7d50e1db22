#include "levee/postgres/pool.hpp"

#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>
#include <utility>

#include "postgres/canceller.hpp"
#include "postgres/establish.hpp"
#include "postgres/session.hpp"
#include "postgres/session_traces.hpp"
#include "postgres/shared_sessions.hpp"

namespace levee::postgres {

void validate(const pool_options& options) {
    validate(options.connection);
    if (options.multiplexed > 1024) {
        throw std::invalid_argument("pool_options::multiplexed is " + std::to_string(options.multiplexed) +
                                    "; it must be at most 1024");
    }
}

void validate(const transaction_options& options) {
    if (options.attempts < 1 || options.attempts > 1000) {
        throw std::invalid_argument("transaction_options::attempts is " + std::to_string(options.attempts) +
                                    "; it must be in [1, 1000]");
    }
    validate(options.backoff);
}

pool::pool(const pool_options& options) : core_(std::make_shared<detail::pool_core>(options)) {}

pool::~pool() {
    core_->close();
}

namespace detail {
namespace {

namespace asio = boost::asio;

pool_options completed(pool_options options) {
    validate(options);
    const bool is_real_time = options.connection.scheduler == nullptr && options.pool.scheduler == nullptr;
    if (options.connection.scheduler == nullptr) {
        options.connection.scheduler = options.pool.scheduler != nullptr
                                           ? options.pool.scheduler
                                           : async::steady_scheduler(options.connection.executor);
    }
    if (!options.pool.executor) {
        options.pool.executor = options.connection.executor;
    }
    if (options.pool.scheduler == nullptr) {
        options.pool.scheduler = options.connection.scheduler;
    }
    if (is_real_time && options.pool.clock == nullptr) {
        options.pool.clock = &clock::coarse();  // the same time, and cheaper
    }
    if (options.pool.name.empty()) {
        options.pool.name = "postgres";
    }
    return options;
}

std::shared_ptr<const session_config> config_of(const pool_options& options) {
    auto config = std::make_shared<session_config>(options.connection);
    config->cancels = std::make_shared<canceller>(config->options);
    return config;
}

}  // namespace

/// Makes, tests and cleans connections for the pool.
class pool_core::factory final : public connection_factory<connection> {
public:
    factory(std::shared_ptr<const session_config> config, duration reset_timeout, duration validation_timeout)
        : config_(std::move(config)),
          reset_timeout_(reset_timeout),
          validation_timeout_(validation_timeout) {}

    asio::awaitable<std::unique_ptr<connection>> async_connect() override {
        const time_point deadline =
            after(config_->options.scheduler->now(), config_->options.connect_timeout);
        auto work = establish(config_, deadline, false, std::nullopt);
        std::shared_ptr<session> made = co_await std::move(work);
        co_return std::make_unique<connection>(std::move(made));
    }

    asio::awaitable<bool> async_is_valid(connection& one) override {
        const auto session = one.session();
        if (!session->looks_alive()) {
            co_return false;
        }
        statement nothing("");
        auto work = detail::async_ask(session, std::move(nothing), after(session->now(), validation_timeout_),
                                      asio::use_awaitable);
        static_cast<void>(co_await std::move(work));
        co_return session->looks_alive();
    }

    asio::awaitable<void> async_reset(connection& one) override {
        const auto session = one.session();
        question asked;
        asked.is_reset = true;
        asked.deadline = after(session->now(), reset_timeout_);
        auto work = start<to_true>(session, std::move(asked), asio::use_awaitable);
        static_cast<void>(co_await std::move(work));
        one.needs_examination = false;
        if (!one.is_usable()) {
            throw error(errc::connection_lost, "a connection is not used further", false);
        }
    }

    [[nodiscard]] bool needs_reset(const connection& one) const noexcept override {
        return one.needs_examination;
    }

private:
    std::shared_ptr<const session_config> config_;
    duration reset_timeout_;
    duration validation_timeout_;
};

pool_core::pool_core(const pool_options& options)
    : options_(completed(options)),
      config_(config_of(options_)),
      connections_(
          std::make_shared<factory>(config_, options_.pool.reset_timeout, options_.pool.validation_timeout),
          options_.pool),
      shared_(options_.multiplexed == 0
                  ? nullptr
                  : std::make_shared<shared_sessions>(config_, options_.pool.backoff, options_.multiplexed)) {
    if (shared_ != nullptr) {
        static_cast<void>(shared_->pick());
    }
}

pool_core::~pool_core() = default;

void pool_core::close() noexcept {
    try {
        static_cast<void>(connections_.close());
    } catch (
        const std::exception&) {  // NOLINT(bugprone-empty-catch): on the executor: it closes all the same
    }
    if (shared_ != nullptr) {
        shared_->close();
    }
    config_->cancels->close();
}

time_point pool_core::deadline(duration timeout) const noexcept {
    return after(options_.connection.scheduler->now(),
                 timeout > duration::zero() ? timeout : options_.connection.statement_timeout);
}

time_point pool_core::acquire_deadline() const noexcept {
    return after(options_.connection.scheduler->now(), options_.pool.acquire_timeout);
}

pool_core::lease pool_core::acquire(time_point until, holder_label label, reset_policy policy) {
    std::shared_ptr<pool_core> self = shared_from_this();  // the pool may be destroyed while this waits
    for (;;) {
        pooled<connection> held = connections_.acquire(until, label);
        if (held->session()->looks_alive()) {
            return {std::move(self), std::move(held), policy};
        }
        held.discard();
    }
}

asio::awaitable<pool_core::lease> pool_core::async_acquire(std::shared_ptr<pool_core> core, time_point until,
                                                           holder_label label, reset_policy policy) {
    for (;;) {
        pooled<connection> held = core->connections_.try_acquire(label);
        if (!held) {
            auto waiting = core->connections_.async_acquire(until, asio::use_awaitable, label);
            held = co_await std::move(waiting);
        }
        if (held->session()->looks_alive()) {
            co_return lease(core, std::move(held), policy);
        }
        held.discard();
    }
}

pool_core::lease::~lease() {
    if (!held_) {
        return;
    }
    session_access& session = *held_->session();
    const return_verdict verdict = session.come_back(policy_);
    if (verdict == return_verdict::discard) {
        core_->look_at(session.facts());
        held_.discard();
    } else {
        held_->needs_examination = verdict == return_verdict::examine;
        held_.give_back();
    }
}

void pool_core::look_at(const session_facts& condemned) noexcept {
    const server_role role = config_->role;
    if (condemned.is_condemned && condemned.is_standby &&
        (role == server_role::primary || role == server_role::read_write)) {
        connections_.invalidate_all();
    }
}

result pool_core::ask(statement what) {
    const time_point until = blocking_deadline(what.timeout, options_.connection.statement_timeout);
    const time_point acquired_until = (std::min)(deadline(what.timeout), acquire_deadline());
    const lease held = acquire(acquired_until, "a statement", options_.reset_on_return);
    return detail::ask(*held->session(), std::move(what), until);
}

asio::awaitable<result> pool_core::async_ask(std::shared_ptr<pool_core> core, statement what,
                                             time_point until) {
    auto acquiring = async_acquire(core, (std::min)(until, core->acquire_deadline()), "a statement",
                                   core->options_.reset_on_return);
    const lease held = co_await std::move(acquiring);
    auto work = detail::async_ask(held->session(), std::move(what), until, asio::use_awaitable);
    co_return co_await std::move(work);
}

std::shared_ptr<session_access> pool_core::shared_for(std::string_view sql) {
    return shared_ != nullptr && is_shareable(sql) ? shared_->pick() : nullptr;
}

// Transactions.

std::string begin_text(const transaction_options& options) {
    std::string text = "BEGIN";
    switch (options.isolation) {
        case isolation_level::server_default:
            break;
        case isolation_level::read_committed:
            text += " ISOLATION LEVEL READ COMMITTED";
            break;
        case isolation_level::repeatable_read:
            text += " ISOLATION LEVEL REPEATABLE READ";
            break;
        case isolation_level::serializable:
            text += " ISOLATION LEVEL SERIALIZABLE";
            break;
    }
    text += options.is_read_only ? " READ ONLY" : "";
    text += options.is_deferrable ? " DEFERRABLE" : "";
    return text;
}

void check_commit(const result& answer) {
    if (answer.command_tag() == "ROLLBACK") {
        throw sql_error({.sqlstate = "25P02",
                         .severity = "ERROR",
                         .message = "the transaction was rolled back, because a statement of it had failed"},
                        "COMMIT");
    }
}

bool is_conflict(const std::exception_ptr& failed) noexcept {
    try {
        std::rethrow_exception(failed);
    } catch (const std::system_error& e) {
        return e.code() == sqlstate::serialization_failure || e.code() == sqlstate::deadlock_detected;
    } catch (...) {
        return false;
    }
}

bool can_roll_back(const connection& on) {
    const auto known = on.facts();
    return known.is_usable && known.is_in_transaction && known.pending == 0;
}

void roll_back(connection& on) noexcept {
    try {
        if (can_roll_back(on)) {
            static_cast<void>(on.query("ROLLBACK"));
        }
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it is cleaned when it goes back
    }
}

void pause(duration wait) {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    static_cast<void>(never.wait_for(lock, wait, [] { return false; }));
}

repetitions::repetitions(const transaction_options& options)
    : attempts_(options.attempts), waits_(options.backoff, std::random_device{}()) {}

std::optional<duration> repetitions::after_failure(const std::exception_ptr& failed) {
    if (attempt_ >= attempts_ || !is_conflict(failed)) {
        return std::nullopt;
    }
    ++attempt_;
    return waits_.next();
}

}  // namespace detail
}  // namespace levee::postgres
