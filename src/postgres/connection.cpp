#include "levee/postgres/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <mutex>

#include "levee/async/blocking.hpp"
#include "postgres/canceller.hpp"
#include "postgres/establish.hpp"
#include "postgres/quote_name.hpp"
#include "postgres/session.hpp"

namespace levee::postgres {
namespace detail {
namespace {

namespace asio = boost::asio;

/// A session with a canceller of its own, which goes with it.
std::shared_ptr<const session_config> config_of(const connection_options& options) {
    auto config = std::make_shared<session_config>(options);
    config->cancels = std::make_shared<canceller>(config->options);
    return config;
}

asio::awaitable<void> connect(std::shared_ptr<const session_config> config, connected then) {
    std::exception_ptr failed;
    std::unique_ptr<connection> made;
    try {
        const time_point deadline = after(config->options.scheduler->now(), config->options.connect_timeout);
        auto work = establish(config, deadline, false, std::nullopt);
        std::shared_ptr<session> session = co_await std::move(work);
        made = std::make_unique<connection>(std::move(session));
    } catch (...) {
        failed = std::current_exception();
    }
    then(failed, std::move(made));
}

/// A file of an end, for a writer that nobody finishes.
class abort_request final : public request {
public:
    explicit abort_request(time_point until) {
        kind = request_kind::copy_end;
        is_internal = true;
        aborts = true;
        deadline = until;
    }
    ~abort_request() = default;
    void finish() noexcept override { const std::unique_ptr<abort_request> self(this); }
};

result answer_of(session_access& to, blocking_request& one) {
    to.execute(one);
    if (one.cause) {
        std::rethrow_exception(one.cause);
    }
    return std::move(one.answer);
}

result ask_of_kind(session_access& to, request_kind kind, std::string text, time_point until) {
    blocking_request one;
    one.kind = kind;
    (kind == request_kind::copy_data ? one.bytes : one.sql) = std::move(text);
    one.deadline = until;
    return answer_of(to, one);
}

}  // namespace

result ask(session_access& to, statement what, time_point until) {
    blocking_request one;
    one.sql = std::move(what.sql);
    one.values = std::move(what.values);
    one.deadline = until;
    return answer_of(to, one);
}

void connect_then(const connection_options& options, connected then) {
    auto config = config_of(options);
    const auto strand = asio::make_strand(options.executor);
    auto work = connect(std::move(config), std::move(then));
    asio::co_spawn(strand, std::move(work), asio::detached);
}

}  // namespace detail

connection::connection(const connection_options& options) {
    if (async::runs_on_this_thread(options.executor)) {
        throw error(levee::errc::would_deadlock, "connecting to PostgreSQL on a thread of its executor",
                    false);
    }
    struct waiting {
        std::mutex mutex{};  // guards what follows; taken alone
        std::condition_variable changed{};
        bool is_over = false;
        std::exception_ptr failed{};
        std::unique_ptr<connection> made{};
    };
    const auto state = std::make_shared<waiting>();
    detail::connect_then(options, [state](std::exception_ptr failed, std::unique_ptr<connection> made) {
        const std::lock_guard lock(state->mutex);
        state->is_over = true;
        state->failed = std::move(failed);
        state->made = std::move(made);
        state->changed.notify_one();
    });
    std::unique_lock lock(state->mutex);
    // A little longer than those who connect wait: they know why.
    const auto limit =
        after(clock::precise().now(), options.connect_timeout + std::chrono::milliseconds(500));
    if (!state->changed.wait_until(lock, limit, [&] { return state->is_over; })) {
        throw error(levee::errc::timeout, "connecting to PostgreSQL", false);
    }
    if (state->failed) {
        std::rethrow_exception(state->failed);
    }
    session_ = std::move(state->made->session_);
}

connection::~connection() {
    close();
}

connection& connection::operator=(connection&& other) noexcept {
    if (this != &other) {
        close();
        session_ = std::move(other.session_);
        needs_examination = other.needs_examination;
    }
    return *this;
}

void connection::close() noexcept {
    if (session_ != nullptr) {
        session_->close();
    }
}

bool connection::is_usable() const noexcept {
    if (session_ == nullptr) {
        return false;
    }
    const auto known = session_->facts();
    return known.is_usable && !known.is_condemned;
}

result connection::run_script(std::string sql, duration timeout) {
    return detail::ask_of_kind(*session_, detail::request_kind::script, std::move(sql),
                               blocking_deadline(timeout));
}

copy_writer connection::begin_copy(std::string sql, duration timeout) {
    static_cast<void>(detail::ask_of_kind(*session_, detail::request_kind::copy_begin, std::move(sql),
                                          blocking_deadline(timeout)));
    return copy_writer(session_);
}

void connection::listen(std::string_view channel) {
    static_cast<void>(query("LISTEN " + quoted(channel)));
}

void connection::unlisten(std::string_view channel) {
    static_cast<void>(query("UNLISTEN " + quoted(channel)));
}

void connection::notify(std::string_view channel, std::string_view payload) {
    static_cast<void>(query("SELECT pg_notify($1, $2)", channel, payload));
}

notification connection::wait_notification(duration timeout) {
    detail::blocking_request one;
    one.kind = detail::request_kind::notification;
    one.deadline = after(clock::precise().now(), timeout);
    session_->execute(one);
    if (one.cause) {
        std::rethrow_exception(one.cause);
    }
    return std::move(one.note);
}

std::string connection::quoted(std::string_view name) {
    constexpr std::size_t longest = 63;
    if (name.empty() || name.size() > longest || name.find('\0') != std::string_view::npos) {
        throw error(levee::errc::invalid_data,
                    "a name of " + std::to_string(name.size()) + " bytes; it must have 1 to 63, and no NUL",
                    false);
    }
    return detail::quote_name(name);
}

// COPY.

copy_writer& copy_writer::operator=(copy_writer&& other) noexcept {
    if (this != &other) {
        abort();
        session_ = std::move(other.session_);
    }
    return *this;
}

copy_writer::~copy_writer() {
    abort();
}

void copy_writer::abort() noexcept {
    if (const auto session = std::exchange(session_, nullptr)) {
        try {
            auto made = std::make_unique<detail::abort_request>(
                after(session->now(), session->options().cancel_timeout));
            session->submit(*made.release());
        } catch (const std::exception&) {
            session->close();
        }
    }
}

detail::question copy_writer::piece(detail::request_kind kind, std::string bytes) const {
    detail::question asked;
    asked.kind = kind;
    asked.text = std::move(bytes);
    asked.deadline = after(session_->now(), session_->options().statement_timeout);
    return asked;
}

void copy_writer::write(std::string_view bytes, duration timeout) {
    if (!bytes.empty()) {
        const time_point until = detail::blocking_deadline(timeout, session_->options().statement_timeout);
        static_cast<void>(
            detail::ask_of_kind(*session_, detail::request_kind::copy_data, std::string(bytes), until));
    }
}

std::uint64_t copy_writer::finish(duration timeout) {
    const auto session = std::exchange(session_, nullptr);
    const time_point until = detail::blocking_deadline(timeout, session->options().statement_timeout);
    return detail::ask_of_kind(*session, detail::request_kind::copy_end, {}, until).affected_rows();
}

}  // namespace levee::postgres
