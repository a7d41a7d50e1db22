// How the store asks the server: by threads and by coroutines, the server's time, and what it can do.
#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <string_view>
#include <utility>

#include "levee/redis/error.hpp"
#include "redis/not_now.hpp"
#include "redis/store_core.hpp"

namespace levee::redis::detail {
namespace {

namespace asio = boost::asio;

struct to_raw {
    using type = raw_answer;
    type operator()(request& done) const { return {std::move(done.answer), std::move(done.parts)}; }
};

// Not for a key that an access list withholds: that says nothing about the command.
bool is_unsupported(const std::string& said) noexcept {
    return said.starts_with("ERR unknown command") || said.starts_with("ERR unsupported command") ||
           (said.starts_with("NOPERM") && said.find("command") != std::string::npos);
}

bool is_no_script(const reply& answer) noexcept {
    return answer.is_error() && code_of(answer.text()) == errc::no_script;
}

std::string_view field_of(std::string_view info, std::string_view name) noexcept {
    const std::size_t at = info.find(name);
    if (at == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = info.substr(at + name.size());
    return rest.substr(0, rest.find_first_of("\r\n"));
}

}  // namespace

template <class From>
raw_answer store_core::send(From from, time_point until) {
    try {
        return call<to_raw>(*connections_->pick(), std::move(from), until);
    } catch (const error& why) {
        rethrow_as_unavailable(why);
    }
}

template <class From>
asio::awaitable<raw_answer> store_core::async_send(std::shared_ptr<store_core> self, From from,
                                                   time_point until) {
    std::shared_ptr<request_sink> to = self->connections_->pick();
    std::optional<error> failed;
    try {
        auto pending =
            asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, raw_answer)>(
                async_operation<to_raw>{}, asio::use_awaitable, std::move(from), std::string(),
                std::uint64_t{0}, until, to_raw{}, std::move(to));
        co_return co_await std::move(pending);
    } catch (const error& why) {
        failed = why;
    }
    rethrow_as_unavailable(*failed);
}

void store_core::check(const reply& answer) {
    if (!answer.is_error()) {
        return;
    }
    if (is_not_now(code_of(answer.text()))) {
        throw error(make_error_code(levee::errc::unavailable), answer.text(), false);
    }
    answer.throw_if_error();
}

reply store_core::ask(const store_call& call) {
    const time_point asked = clock::precise().now();
    const time_point until = blocking_deadline();
    reply answer = send(call.by_name(), until).one;
    if (is_no_script(answer)) {
        answer = send(call.in_full(), until).one;
    }
    learn(asked, answer, !call.instead);
    return answer;
}

asio::awaitable<reply> store_core::async_ask(std::shared_ptr<store_core> self, store_call call) {
    const time_point asked = clock::precise().now();
    const time_point until = self->deadline();
    auto by_name = async_send(self, call.by_name(), until);
    raw_answer answer = co_await std::move(by_name);
    if (is_no_script(answer.one)) {
        auto in_full = async_send(self, call.in_full(), until);
        answer = co_await std::move(in_full);
    }
    self->learn(asked, answer.one, !call.instead);
    co_return std::move(answer.one);
}

// With one connection, the default, it comes behind what it is about; on a new one, after whatever the old
// one brought. It waits for a connection as long as the lease would have lasted.
void store_core::abandon(const std::string& key, std::uint64_t token, duration lease) {
    const store_call call = release(key, token);
    command one = call.by_name();
    const duration patience = (std::min)(lease, duration(std::chrono::minutes(1)));
    auto nobody =
        asio::bind_executor(over_->options().executor, [](const std::exception_ptr&, raw_answer) {});
    async_operation<to_raw>{}(std::move(nobody), std::move(one), call.in_full().wire(), std::uint64_t{0},
                              connections_->deadline(patience), to_raw{}, connections_->pick());
}

std::vector<reply> store_core::ask_all(pipeline all) {
    auto answers = send(std::move(all), blocking_deadline()).parts;
    for (const reply& each : answers) {
        check(each);
    }
    return answers;
}

asio::awaitable<std::vector<reply>> store_core::async_ask_all(std::shared_ptr<store_core> self,
                                                              pipeline all) {
    auto pending = async_send(self, std::move(all), self->deadline());
    raw_answer answer = co_await std::move(pending);
    for (const reply& each : answer.parts) {
        self->check(each);
    }
    co_return std::move(answer.parts);
}

// The first part is the time, if it was asked for.
raw_answer store_core::ask_read(const read_plan& plan) {
    if (plan.one) {
        return send(*plan.one, blocking_deadline());
    }
    const time_point asked = clock::precise().now();
    raw_answer answer = send(plan.many, blocking_deadline());
    if (plan.has_time) {
        static_cast<void>(learn_time(asked, answer.parts.at(0)));
    }
    return answer;
}

asio::awaitable<raw_answer> store_core::async_ask_read(std::shared_ptr<store_core> self,
                                                       std::shared_ptr<const read_plan> plan) {
    if (plan->one) {
        auto pending = async_send(self, *plan->one, self->deadline());
        co_return co_await std::move(pending);
    }
    const time_point asked = clock::precise().now();
    auto pending = async_send(self, plan->many, self->deadline());
    raw_answer answer = co_await std::move(pending);
    if (plan->has_time) {
        static_cast<void>(self->learn_time(asked, answer.parts.at(0)));
    }
    co_return answer;
}

// A script's answer: an array, whose second element is the time.
void store_core::learn(time_point asked, const reply& answer, bool is_script) {
    if (answer.is_error()) {
        if (is_script && is_unsupported(answer.text())) {
            has_scripts_.store(false, std::memory_order_release);
            throw error(make_error_code(levee::errc::unavailable), answer.text(), false);
        }
        check(answer);
    }
    if (answer.is_array() && answer.elements().size() > 1) {
        clock_.learn(asked, clock::precise().now(), answer[1].integer(), connections_->generations());
    }
}

// The answer of TIME. False: it is none.
bool store_core::learn_time(time_point asked, const reply& answer) {
    if (answer.is_error()) {
        if (is_unsupported(answer.text())) {
            has_time_.store(false, std::memory_order_relaxed);
            take_own_time();
            return true;
        }
        return false;
    }
    const std::int64_t shown = answer[0].integer() * 1'000'000 + answer[1].integer();
    clock_.learn(asked, clock::precise().now(), shown, connections_->generations());
    return true;
}

// For servers without TIME: this machine's wall clock has to do.
void store_core::take_own_time() {
    const auto shown = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const time_point now = clock::precise().now();
    clock_.learn(now, now, shown.count(), connections_->generations());
}

void store_core::ask_time() {
    if (!has_time_.load(std::memory_order_relaxed)) {
        take_own_time();
        return;
    }
    const time_point asked = clock::precise().now();
    command time("TIME");
    const raw_answer answer = send(std::move(time.idempotent()), blocking_deadline());
    if (!learn_time(asked, answer.one)) {
        check(answer.one);
    }
}

asio::awaitable<void> store_core::async_ask_time(std::shared_ptr<store_core> self) {
    if (!self->has_time_.load(std::memory_order_relaxed)) {
        self->take_own_time();
        co_return;
    }
    const time_point asked = clock::precise().now();
    command time("TIME");
    time.idempotent();
    auto pending = async_send(self, std::move(time), self->deadline());
    const raw_answer answer = co_await std::move(pending);
    if (!self->learn_time(asked, answer.one)) {
        self->check(answer.one);
    }
}

namespace {

pipeline probing() {
    pipeline all;
    all.add("TIME").add("INFO", "server").add("EVAL", probe_script, 0).idempotent();
    return all;
}

}  // namespace

void store_core::judge_probe(time_point asked, const std::vector<reply>& answers) {
    for (const reply& each : answers) {
        if (each.is_error() && is_not_now(code_of(each.text()))) {
            check(each);
        }
    }
    static_cast<void>(learn_time(asked, answers.at(0)));
    bool is_old = false;
    if (!answers.at(1).is_error()) {
        const std::string& info = answers[1].text();
        const std::string_view version = field_of(info, "redis_version:");
        int major = 0;
        if (std::from_chars(version.data(), version.data() + version.size(), major).ec == std::errc()) {
            is_old = major < 5;  // scripts that read the time may not write
        }
        is_cluster_.store(field_of(info, "redis_mode:") == "cluster", std::memory_order_release);
    }
    const reply& ran = answers.at(2);
    const bool runs = ran.kind() == reply_kind::string && ran.text() == "levee";
    has_scripts_.store(runs && !is_old, std::memory_order_release);
    is_probed_.store(true, std::memory_order_release);
}

void store_core::probe() {
    const time_point asked = clock::precise().now();
    judge_probe(asked, send(probing(), blocking_deadline()).parts);
}

asio::awaitable<void> store_core::async_probe(std::shared_ptr<store_core> self) {
    const time_point asked = clock::precise().now();
    auto pending = async_send(self, probing(), self->deadline());
    const raw_answer answer = co_await std::move(pending);
    self->judge_probe(asked, answer.parts);
}

void store_core::need_scripts(const char* for_what) const {
    if (!has_scripts()) {
        throw error(make_error_code(levee::errc::unavailable),
                    std::string("redis::store: the server runs no scripts, so no ") + for_what, false);
    }
}

}  // namespace levee::redis::detail
