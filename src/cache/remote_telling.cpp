// How a remote level tells its peers, marks, and repeats what could not be told.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "cache/remote_ask.hpp"
#include "levee/cache/detail/remote_level.hpp"
#include "levee/core/error.hpp"
#include "levee/resilience/backoff.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

backplane_message remote_level::message(change what, std::string name, std::uint64_t count) const {
    return {
        .what = what, .name_space = setup_.name, .name = std::move(name), .count = count, .sender = sender_};
}

bool remote_level::announce(change what, std::string_view key) {
    if (!has_peers()) {
        return true;
    }
    try {
        setup_.peers->publish(message(what, std::string(key), 0));
        return true;
    } catch (...) {
        if (what != change::filled) {
            outbox_.add_announcement(prefix_ + std::string(key));
            keep_telling();
        }
        return false;
    }
}

asio::awaitable<bool> remote_level::async_publish(backplane_message told) {
    if (!has_peers()) {
        co_return true;
    }
    attempt_of<bool> made;
    try {
        auto work = keeping(shared_from_this(), ended(setup_.peers->async_publish(std::move(told))));
        made = co_await with_timeout<bool>(setup_.time, setup_.options.timeout, std::move(work));
    } catch (...) {
        made.error = std::current_exception();
    }
    co_return made.error == nullptr;
}

asio::awaitable<bool> remote_level::async_announce(change what, std::string key) {
    auto told = message(what, key, 0);
    const bool is_told = co_await async_publish(std::move(told));
    if (!is_told && what != change::filled) {
        outbox_.add_announcement(prefix_ + key);
        keep_telling();
    }
    co_return is_told;
}

void remote_level::check_marks() const {
    if (has_store() && !has_marks_) {
        throw error(errc::unavailable, setup_.name + ": its remote store has no marks, so no tags or clear");
    }
}

bool remote_level::mark(const std::string& what) {
    check_marks();
    std::uint64_t number = 0;
    if (has_store()) {
        const auto answer = ask([&] { return setup_.store->mark(setup_.name, what); });
        if (!answer) {
            outbox_.add_mark(what);
            keep_telling();
            return false;
        }
        number = *answer;
        learn_mark(what, number);
    } else {
        trust_->marks().mark(what);
    }
    if (has_peers()) {
        try {
            setup_.peers->publish(message(change::marked, what, number));
        } catch (...) {
            outbox_.add_mark(what);  // marked again with a higher number, which then is told
            keep_telling();
            return false;
        }
    }
    return true;
}

asio::awaitable<bool> remote_level::async_mark(std::string what) {
    check_marks();
    std::uint64_t number = 0;
    if (has_store()) {
        auto mark = [this, &what] { return setup_.store->async_mark(setup_.name, what); };
        const auto answer = co_await async_ask<std::uint64_t>(mark);
        if (!answer) {
            outbox_.add_mark(what);
            keep_telling();
            co_return false;
        }
        number = *answer;
        learn_mark(what, number);
    } else {
        trust_->marks().mark(what);
    }
    auto told = message(change::marked, what, number);
    const bool is_told = co_await async_publish(std::move(told));
    if (!is_told) {
        outbox_.add_mark(what);
        keep_telling();
    }
    co_return is_told;
}

// A counter that has jumped was marked by others, or has begun anew after a loss: what with, the store says.
void remote_level::learn_mark(const std::string& what, std::uint64_t number) {
    const bool has_jumped = number > trust_->marks().count() + 1;
    trust_->marks().learn(what, number);
    if (has_jumped) {
        forget_marks();
    }
}

void remote_level::hear_mark(const backplane_message& heard) {
    if (has_marks_) {
        learn_mark(heard.name, heard.count);
    } else {
        trust_->marks().mark(heard.name);
    }
}

// One coroutine at a time, begun by what is queued first, ended by an empty box.
void remote_level::keep_telling() {
    if (is_telling_.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    try {
        asio::co_spawn(setup_.time->executor(), tell_until_empty(shared_from_this()), asio::detached);
    } catch (...) {
        is_telling_.store(false, std::memory_order_release);  // the next to be queued tries again
    }
}

asio::awaitable<bool> remote_level::tell(outbox::letter letter) {
    if (letter.is_mark) {
        std::uint64_t number = 0;
        if (has_store()) {
            auto mark = [this, &letter] { return setup_.store->async_mark(setup_.name, letter.name); };
            const auto answer = co_await async_ask<std::uint64_t>(mark);
            if (!answer) {
                co_return false;
            }
            number = *answer;
            learn_mark(letter.name, number);
        }
        auto told = message(change::marked, letter.name, number);
        const bool is_told = co_await async_publish(std::move(told));
        co_return is_told;
    }
    if (letter.erases && has_store()) {
        auto erase = [this, &letter] { return ended(setup_.store->async_erase({letter.name})); };
        const auto answer = co_await async_ask<bool>(erase);
        if (!answer) {
            co_return false;
        }
    }
    auto told = message(change::invalidated, letter.name.substr(prefix_.size()), 0);
    const bool is_told = co_await async_publish(std::move(told));
    co_return is_told;
}

asio::awaitable<void> remote_level::tell_until_empty(std::shared_ptr<remote_level> self) {
    backoff wait({.initial = std::chrono::milliseconds(100), .max = std::chrono::seconds(5)}, self->sender_);
    while (!self->is_closed_.load(std::memory_order_acquire)) {
        const auto letters = self->outbox_.next(64);
        if (letters.empty()) {
            self->is_telling_.store(false, std::memory_order_release);
            if (self->outbox_.is_empty() || self->is_telling_.exchange(true, std::memory_order_acq_rel)) {
                co_return;
            }
            continue;  // something came in between, and nobody else has taken it up
        }
        bool all_told = true;
        for (const auto& letter : letters) {
            const bool is_told = co_await self->tell(letter);
            if (!is_told) {
                all_told = false;
                break;
            }
            self->outbox_.confirm(letter);
        }
        if (all_told) {
            wait.reset();
        } else {
            co_await self->setup_.time->sleep_until(after(self->setup_.time->now(), wait.next()));
        }
    }
}

}  // namespace levee::cache_detail
