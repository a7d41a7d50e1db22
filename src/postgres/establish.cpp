#include "postgres/establish.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/deadline_guard.hpp"
#include "levee/postgres/error.hpp"

namespace levee::postgres::detail {
namespace {

namespace asio = boost::asio;
using servers = std::vector<server_address>;

// Names.

struct address_freer {
    void operator()(addrinfo* freed) const noexcept { ::freeaddrinfo(freed); }
};

/// Every address of every name. Blocks.
servers look_up(const servers& all) {
    servers found;
    std::string complaint;
    for (const server_address& each : all) {
        if (!is_name(each)) {
            found.push_back(each);
            continue;
        }
        addrinfo wanted{};
        wanted.ai_family = AF_UNSPEC;
        wanted.ai_socktype = SOCK_STREAM;
        addrinfo* first = nullptr;
        const int failed = ::getaddrinfo(each.host.c_str(), nullptr, &wanted, &first);
        const std::unique_ptr<addrinfo, address_freer> owner(first);
        if (failed != 0) {
            complaint = "looking up \"" + each.host + "\": " + ::gai_strerror(failed);
            continue;
        }
        for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
            char text[NI_MAXHOST];
            if (::getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) ==
                0) {
                found.push_back({.host = each.host, .address = text, .port = each.port});
            }
        }
    }
    if (found.empty()) {
        throw error(errc::not_connected, complaint, false);
    }
    return found;
}

/// Between a thread that looks names up and the coroutine that waits for it, on the coroutine's strand.
struct look_up_state {
    servers found{};
    std::exception_ptr failed{};
    bool is_over = false;
    asio::cancellation_signal wake{};
};

asio::awaitable<servers> look_up_elsewhere(std::shared_ptr<const session_config> config,
                                           time_point deadline) {
    const auto strand = co_await asio::this_coro::executor;
    const auto state = std::make_shared<look_up_state>();
    asio::post(config->options.blocking_executor, [strand, state, config] {
        servers found;
        std::exception_ptr failed;
        try {
            found = look_up(config->servers);
        } catch (...) {
            failed = std::current_exception();
        }
        asio::post(strand, [state, found = std::move(found), failed]() mutable {
            state->found = std::move(found);
            state->failed = failed;
            state->is_over = true;
            state->wake.emit(asio::cancellation_type::terminal);
        });
    });
    auto sleep = config->options.scheduler->sleep_until(deadline);
    auto token = asio::bind_cancellation_slot(state->wake.slot(), asio::use_awaitable);
    try {
        co_await asio::co_spawn(strand, std::move(sleep), token);
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): woken
    }
    if (!state->is_over) {
        throw error(levee::errc::timeout, "looking up PostgreSQL's name", false);
    }
    if (state->failed) {
        std::rethrow_exception(state->failed);
    }
    co_return std::move(state->found);
}

// Connecting.

bool is_state_character(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

/// libpq does not tell the SQLSTATE of a refused connection, but in its verbose messages:
/// "connection to server at "db", port 5432 failed: FATAL:  28P01: password authentication failed …".
/// Takes it out of the text; empty: there is none.
std::string take_sqlstate(std::string& text) {
    for (std::size_t at = text.find(":  "); at != std::string::npos; at = text.find(":  ", at + 1)) {
        const std::string_view rest = std::string_view(text).substr(at + 3);
        if (rest.size() > 6 && rest[5] == ':' &&
            std::all_of(rest.begin(), rest.begin() + 5, is_state_character)) {
            std::string found(rest.substr(0, 5));
            text.erase(at + 2, 7);
            return found;
        }
    }
    return {};
}

[[noreturn]] void fail(const session_config& config, PGconn* connection) {
    const std::string_view said = PQerrorMessage(connection);
    std::string text = without_password(config, std::string(said.substr(0, said.find('\n'))));
    const std::string state = take_sqlstate(text);
    if (!state.empty()) {
        throw sql_error({.sqlstate = state, .severity = "FATAL", .message = std::move(text)}, {});
    }
    for (const char* role : {"session is read-only", "session is not read-only", "in hot standby mode"}) {
        if (text.find(role) != std::string::npos) {
            throw error(errc::wrong_role, text, false);
        }
    }
    throw error(errc::not_connected, text, false);
}

using wait_type = asio::posix::descriptor_base;

/// An attempt to connect, with its deadline.
struct connecting {
    link& at;
    const server_address& where;
    const async::deadline_guard& guard;

    /// Until the socket is ready. Errors: levee::errc::timeout, cancelled.
    [[nodiscard]] asio::awaitable<void> wait(wait_type::wait_type what) const {
        boost::system::error_code stopped;
        auto token = asio::redirect_error(asio::use_awaitable, stopped);
        if (!guard.has_passed()) {
            co_await at.attached().async_wait(what, token);
        }
        if (guard.has_passed()) {
            throw error(levee::errc::timeout, "connecting to PostgreSQL at " + where.host + ':' + where.port,
                        false);
        }
        if (stopped == asio::error::operation_aborted) {
            throw error(levee::errc::cancelled, "connecting to PostgreSQL", false);
        }
    }
};

/// Empty: the server does not say, or says another one than it said when it was connected to. Then a pooler
/// is between, and whoever serves this connection may serve a stranger the next moment.
asio::awaitable<std::optional<backend>> identify(connecting to) {
    PGconn* const connection = to.at.get();
    PQsetnonblocking(connection, 1);
    bool is_alive = PQsendQuery(connection, who_serves) == 1;
    int left = is_alive ? PQflush(connection) : -1;
    while (left == 1) {
        co_await to.wait(wait_type::wait_write);
        left = PQflush(connection);
    }
    is_alive = left == 0;
    std::optional<backend> said;
    for (bool is_over = false; is_alive && !is_over;) {
        while (is_alive && PQisBusy(connection) == 1) {
            co_await to.wait(wait_type::wait_read);
            is_alive = PQconsumeInput(connection) == 1;
        }
        if (is_alive) {
            const pg_result came(PQgetResult(connection));
            is_over = came == nullptr;
            if (PQresultStatus(came.get()) == PGRES_TUPLES_OK && PQntuples(came.get()) == 1 &&
                PQgetisnull(came.get(), 0, 1) == 0) {
                said = {.process = std::atoi(PQgetvalue(came.get(), 0, 0)),
                        .started = std::atoll(PQgetvalue(came.get(), 0, 1))};
            }
        }
    }
    to.at.let_go();
    co_return said && said->process == PQbackendPID(connection) ? said : std::nullopt;
}

asio::awaitable<std::shared_ptr<session>> connect_one(std::shared_ptr<const session_config> config,
                                                      connect_plan::attempt to, bool is_shared) {
    const auto strand = co_await asio::this_coro::executor;
    auto made = std::make_unique<link>(config->options.executor, begin_connecting(*config, to));
    link* const at = made.get();
    PGconn* const connection = at->get();
    if (PQstatus(connection) == CONNECTION_BAD) {
        fail(*config, connection);
    }
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    const async::deadline_guard guard(strand, config->options.scheduler, to.deadline, [at] { at->let_go(); });
    const connecting now{.at = *at, .where = to.where, .guard = guard};
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
        if (!at->follow()) {
            fail(*config, connection);
        }
        co_await now.wait(next == PGRES_POLLING_READING ? wait_type::wait_read : wait_type::wait_write);
        at->let_go();
        next = PQconnectPoll(connection);
        if (next == PGRES_POLLING_FAILED) {
            fail(*config, connection);
        }
    }
    if (!at->follow()) {
        fail(*config, connection);
    }
    std::optional<backend> served_by;
    if (config->cancels != nullptr) {
        auto asking = identify(now);
        served_by = co_await std::move(asking);
        if (PQstatus(connection) == CONNECTION_BAD) {
            fail(*config, connection);
        }
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    co_return std::make_shared<session>(config, std::move(made), to.where, served_by, is_shared);
}

/// True: another server would say the same.
bool is_final(const std::error_code& code) {
    return code == sqlstate_class::invalid_authorization || code == levee::errc::cancelled;
}

}  // namespace

asio::awaitable<std::shared_ptr<session>> establish(std::shared_ptr<const session_config> config,
                                                    time_point deadline, bool is_shared,
                                                    std::optional<server_address> only) {
    const std::shared_ptr<async::scheduler> time = config->options.scheduler;
    servers all = config->servers;
    if (only) {
        all.assign(1, *only);
    } else if (std::any_of(all.begin(), all.end(), is_name)) {
        auto looking = look_up_elsewhere(config, deadline);
        all = co_await std::move(looking);
    }
    connect_plan plan(std::move(all), only ? server_role::any : config->role);
    std::exception_ptr last;
    while (const auto to = plan.next(time->now(), deadline)) {
        try {
            auto one = connect_one(config, *to, is_shared);
            co_return co_await std::move(one);
        } catch (const std::system_error& e) {
            if (is_final(e.code())) {
                throw;
            }
            last = std::current_exception();
        }
        if (time->now() >= deadline) {
            break;
        }
    }
    std::rethrow_exception(last);
}

}  // namespace levee::postgres::detail
