#include "redis/establish.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "async/deadline_guard.hpp"
#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;
using socket_type = asio::generic::stream_protocol::socket;
using wait_type = asio::posix::descriptor_base;

asio::awaitable<socket_type> connect_tcp(const client_options& options, std::function<void()>& stop) {
    using asio::ip::tcp;
    const auto executor = co_await asio::this_coro::executor;
    tcp::socket socket(executor);
    tcp::resolver resolver(executor);
    stop = [&] {
        resolver.cancel();
        boost::system::error_code ignored;
        socket.close(ignored);
    };
    boost::system::error_code not_an_address;
    const auto address = asio::ip::make_address(options.host, not_an_address);
    if (!not_an_address) {
        const tcp::endpoint there(address, options.port);
        co_await socket.async_connect(there, asio::use_awaitable);
    } else {
        const std::string port = std::to_string(options.port);
        const auto found = co_await resolver.async_resolve(options.host, port, asio::use_awaitable);
        co_await asio::async_connect(socket, found, asio::use_awaitable);
    }
    stop = nullptr;
    socket.set_option(tcp::no_delay(true));
    socket.set_option(asio::socket_base::keep_alive(true));
    co_return socket_type(std::move(socket));
}

asio::awaitable<socket_type> connect_unix(const client_options& options, std::function<void()>& stop) {
    asio::local::stream_protocol::socket socket(co_await asio::this_coro::executor);
    stop = [&] {
        boost::system::error_code ignored;
        socket.close(ignored);
    };
    const asio::local::stream_protocol::endpoint there(options.unix_socket);
    co_await socket.async_connect(there, asio::use_awaitable);
    stop = nullptr;
    co_return socket_type(std::move(socket));
}

[[noreturn]] void fail(const failure& why) {
    throw error(why.code, why.what, false);
}

asio::awaitable<void> send_all(link& at) {
    failure why;
    for (;;) {
        const io_status status = at.send(why);
        if (status == io_status::done) {
            co_return;
        }
        if (status == io_status::failed) {
            fail(why);
        }
        co_await at.attached().async_wait(wait_type::wait_write, asio::use_awaitable);
    }
}

asio::awaitable<void> shake_hands(socket_type& socket, tls_session& tls) {
    failure why;
    std::string out;
    char buffer[4096];
    for (;;) {
        const tls_session::progress made = tls.handshake(why);
        tls.take_output(out);  // an alert, too, if it failed
        for (std::size_t sent = 0; sent < out.size();) {
            sent += co_await socket.async_write_some(asio::buffer(out.data() + sent, out.size() - sent),
                                                     asio::use_awaitable);
        }
        out.clear();
        if (made == tls_session::progress::done) {
            co_return;
        }
        if (made == tls_session::progress::failed) {
            fail(why);
        }
        boost::system::error_code failed;
        auto token = asio::redirect_error(asio::use_awaitable, failed);
        const std::size_t size = co_await socket.async_read_some(asio::buffer(buffer), token);
        if (failed) {
            throw error(errc::tls_failed, "beginning TLS: the peer closed the connection", false);
        }
        tls.put_input(buffer, size);
    }
}

/// A server that does not know AUTH may repeat what it was told.
std::string without(std::string text, const std::string& secret) {
    for (std::size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos;) {
        text.replace(at, secret.size(), "***");
        at += 3;
    }
    return text;
}

asio::awaitable<void> greet(link& at, const client_options& options) {
    pipeline words = greeting(options);
    const std::size_t expected = words.size();
    if (expected == 0) {
        co_return;
    }
    at.output = std::move(words).wire();
    co_await send_all(at);
    std::vector<reply> answers;
    failure why;
    while (answers.size() < expected) {
        const io_status status = at.receive(answers, why);
        if (status == io_status::failed) {
            fail(why);
        }
        if (status == io_status::would_block) {
            co_await at.attached().async_wait(wait_type::wait_read, asio::use_awaitable);
        }
    }
    if (answers.size() > expected) {
        throw error(errc::protocol_error, "greeting Redis: more answers than questions", false);
    }
    for (const reply& each : answers) {
        if (each.is_error()) {
            throw error(code_of(each.text()),
                        "greeting Redis: it answered \"" + without(each.text(), options.password) + '"',
                        false);
        }
    }
}

}  // namespace

pipeline greeting(const client_options& options) {
    pipeline words;
    if (!options.password.empty()) {
        if (options.user.empty()) {
            words.add("AUTH", options.password);
        } else {
            words.add("AUTH", options.user, options.password);
        }
    }
    if (!options.client_name.empty()) {
        words.add("CLIENT", "SETNAME", options.client_name);
    }
    if (options.database != 0) {
        words.add("SELECT", options.database);
    }
    if (words.empty()) {
        words.add("PING");  // tells LOADING, NOAUTH and what is no Redis at once
    }
    return words;
}

asio::awaitable<std::shared_ptr<link>> establish(const client_options& options, const tls_context* tls,
                                                 std::shared_ptr<async::scheduler> time) {
    const auto executor = co_await asio::this_coro::executor;
    std::function<void()> stop;  // closes whatever is being waited for now
    const time_point until = after(time->now(), options.connect_timeout);
    const async::deadline_guard guard(executor, std::move(time), until, [&stop] {
        if (stop) {
            stop();
        }
    });
    std::string doing = options.unix_socket.empty()
                            ? "connecting to Redis at " + options.host + ':' + std::to_string(options.port)
                            : "connecting to Redis at " + options.unix_socket;
    std::exception_ptr failed;
    try {
        auto connecting =
            options.unix_socket.empty() ? connect_tcp(options, stop) : connect_unix(options, stop);
        socket_type socket = co_await std::move(connecting);
        std::unique_ptr<tls_session> session;
        if (tls != nullptr) {
            stop = [&socket] {
                boost::system::error_code ignored;
                socket.close(ignored);
            };
            session = std::make_unique<tls_session>(*tls);
            co_await shake_hands(socket, *session);
            stop = nullptr;
        }
        const reply_limits limits{options.max_reply_bytes, options.max_reply_elements};
        auto made = std::make_shared<link>(executor, socket.release(), limits, std::move(session));
        stop = [&made] { made->shut_down(); };
        co_await greet(*made, options);
        stop = nullptr;
        co_return made;
    } catch (const boost::system::system_error& e) {
        failed = std::make_exception_ptr(error(std::error_code(e.code()), doing, false));
    } catch (const error& e) {
        failed = std::current_exception();
    }
    stop = nullptr;
    if (guard.has_passed()) {
        throw error(levee::errc::timeout, doing, false);
    }
    std::rethrow_exception(failed);
}

}  // namespace levee::redis::detail
