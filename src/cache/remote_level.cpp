#include "levee/cache/detail/remote_level.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <random>
#include <utility>
#include <variant>

#include "cache/remote_ask.hpp"
#include "levee/core/hash.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;

namespace {

// The version of the layout of names; entries of another version are other keys.
constexpr std::string_view layout = ":v1:";

std::uint64_t draw_sender() {
    static_assert(sizeof(std::random_device::result_type) == 4);
    std::random_device random;
    return (std::uint64_t{random()} << 32U | random()) | 1U;
}

}  // namespace

remote_level::remote_level(remote_level_setup setup, std::shared_ptr<trust> trusted,
                           std::shared_ptr<cache_counters> counters)
    : setup_(std::move(setup)),
      trust_(std::move(trusted)),
      counters_(std::move(counters)),
      prefix_(setup_.name + std::string(layout)),
      sender_(setup_.seed != 0 ? hash_mix(setup_.seed) | 1U : draw_sender()),
      has_marks_(setup_.store != nullptr && setup_.store->capabilities().has_marks),
      breaker_(setup_.options.breaker),
      outbox_(setup_.options.max_queued),
      marks_read_at_((time_point::min)().time_since_epoch().count()) {}

std::string remote_level::name_of(std::string_view key) const {
    if (prefix_.size() + key.size() > setup_.options.max_key_bytes) {
        return {};
    }
    return prefix_ + std::string(key);
}

bool remote_level::may_read(const std::string& key) {
    if (!has_store() || key.empty()) {
        return false;
    }
    if (!setup_.holes.replay && outbox_.holds(key)) {
        count(counters_->remote_refused);
        return false;
    }
    return true;
}

bool remote_level::marks_are_due() const noexcept {
    if (!has_marks_) {
        return false;
    }
    const time_point read_at{duration(marks_read_at_.load(std::memory_order_acquire))};
    if (read_at == (time_point::min)()) {
        return true;
    }
    const time_point at = now();
    return (!has_peers() || !trust_->is_linked(at)) && at >= after(read_at, setup_.options.marks_interval);
}

// Only an answer makes them known: whoever comes while another asks has to ask, too. What was read before a
// gap was noticed does not count.
bool remote_level::read_marks() {
    if (!marks_are_due()) {
        return true;
    }
    const std::uint64_t gaps = gaps_.load(std::memory_order_acquire);
    const time_point began = now();
    return learn(ask([&] { return setup_.store->marks(setup_.name); }), began, gaps);
}

asio::awaitable<bool> remote_level::async_read_marks() {
    if (!marks_are_due()) {
        co_return true;
    }
    const std::uint64_t gaps = gaps_.load(std::memory_order_acquire);
    const time_point began = now();
    auto read = [this] { return setup_.store->async_marks(setup_.name); };
    const auto answer = co_await async_ask<remote_marks>(read);
    co_return learn(answer, began, gaps);
}

bool remote_level::learn(const std::optional<remote_marks>& read, time_point began, std::uint64_t gaps) {
    if (!read) {
        return false;
    }
    trust_->marks().learn(*read);
    const std::lock_guard lock(marks_mutex_);
    if (gaps == gaps_.load(std::memory_order_relaxed)) {
        marks_read_at_.store(began.time_since_epoch().count(), std::memory_order_release);
    }
    return true;
}

void remote_level::forget_marks() noexcept {
    const std::lock_guard lock(marks_mutex_);
    gaps_.fetch_add(1, std::memory_order_acq_rel);
    marks_read_at_.store((time_point::min)().time_since_epoch().count(), std::memory_order_release);
}

void remote_level::on_gap() noexcept {
    count(counters_->gaps);
    forget_marks();
    if (!setup_.holes.epoch) {
        trust_->on_gap(now());
    }
}

std::optional<std::optional<remote_entry>> remote_level::get(const std::string& key) {
    if (!may_read(key) || !read_marks()) {
        return std::nullopt;
    }
    auto answers = ask([&] { return setup_.store->get({key}); });
    if (!answers || answers->size() != 1) {
        return std::nullopt;
    }
    return std::move(answers->front());
}

asio::awaitable<std::optional<std::optional<remote_entry>>> remote_level::async_get(std::string key) {
    if (!may_read(key)) {
        co_return std::nullopt;
    }
    const bool is_read = co_await async_read_marks();
    if (!is_read) {
        co_return std::nullopt;
    }
    auto get = [this, &key] { return setup_.store->async_get({key}); };
    auto answers = co_await async_ask<std::vector<std::optional<remote_entry>>>(get);
    if (!answers || answers->size() != 1) {
        co_return std::nullopt;
    }
    co_return std::move(answers->front());
}

// Those that may be read are asked for, the others emptied.
std::vector<std::string> remote_level::readable(std::vector<std::string>& keys) {
    std::vector<std::string> wanted;
    wanted.reserve(keys.size());
    for (std::string& key : keys) {
        if (may_read(key)) {
            wanted.push_back(key);
        } else {
            key.clear();
        }
    }
    return wanted;
}

std::optional<remote_level::entries> remote_level::in_order(const std::vector<std::string>& keys,
                                                            std::optional<entries> answers,
                                                            std::size_t asked) {
    if (!answers || answers->size() != asked) {
        return std::nullopt;
    }
    if (asked == keys.size()) {
        return answers;
    }
    entries all(keys.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (!keys[i].empty()) {
            all[i] = std::move((*answers)[next++]);
        }
    }
    return all;
}

std::optional<remote_level::entries> remote_level::get_many(std::vector<std::string> keys) {
    const auto wanted = readable(keys);
    if (wanted.empty() || !read_marks()) {
        return std::nullopt;
    }
    auto answers = ask([&] { return setup_.store->get(wanted); });
    return in_order(keys, std::move(answers), wanted.size());
}

asio::awaitable<std::optional<remote_level::entries>> remote_level::async_get_many(
    std::vector<std::string> keys) {
    const auto wanted = readable(keys);
    if (wanted.empty()) {
        co_return std::nullopt;
    }
    const bool is_read = co_await async_read_marks();
    if (!is_read) {
        co_return std::nullopt;
    }
    auto get = [this, &wanted] { return setup_.store->async_get(wanted); };
    auto answers = co_await async_ask<entries>(get);
    co_return in_order(keys, std::move(answers), wanted.size());
}

std::optional<lease_answer> remote_level::lease(const std::string& key, bool even_if_fresh) {
    if (!may_read(key) || !read_marks()) {
        return std::nullopt;
    }
    return ask([&] {
        return setup_.store->get_or_lease(
            {.key = key, .lease = setup_.options.lease, .even_if_fresh = even_if_fresh});
    });
}

asio::awaitable<std::optional<lease_answer>> remote_level::async_lease(std::string key, bool even_if_fresh) {
    if (!may_read(key)) {
        co_return std::nullopt;
    }
    const bool is_read = co_await async_read_marks();
    if (!is_read) {
        co_return std::nullopt;
    }
    auto ask_for_it = [this, &key, even_if_fresh] {
        return setup_.store->async_get_or_lease(
            {.key = key, .lease = setup_.options.lease, .even_if_fresh = even_if_fresh});
    };
    auto answer = co_await async_ask<lease_answer>(ask_for_it);
    co_return answer;
}

std::optional<bool> remote_level::fill(const std::string& key, std::uint64_t token, remote_entry entry) {
    return ask([&] { return setup_.store->fill(key, token, std::move(entry)); });
}

asio::awaitable<std::optional<bool>> remote_level::async_fill(std::string key, std::uint64_t token,
                                                              remote_entry entry) {
    auto fill = [this, &key, token, &entry] {
        return setup_.store->async_fill(key, token, std::move(entry));
    };
    const auto answer = co_await async_ask<bool>(fill);
    co_return answer;
}

void remote_level::release(const std::string& key, std::uint64_t token) {
    static_cast<void>(ask([&] {
        setup_.store->release(key, token);
        return true;
    }));
}

asio::awaitable<void> remote_level::async_release(std::string key, std::uint64_t token) {
    auto release = [this, &key, token] { return ended(setup_.store->async_release(key, token)); };
    co_await async_ask<bool>(release);
}

asio::awaitable<std::optional<bool>> remote_level::async_extend(std::string key, std::uint64_t token) {
    auto extend = [this, &key, token] {
        return setup_.store->async_extend(key, token, setup_.options.lease);
    };
    const auto answer = co_await async_ask<bool>(extend);
    co_return answer;
}

asio::awaitable<void> remote_level::async_touch(std::string key, duration fresh_left, duration stale_left) {
    if (may_read(key)) {
        auto touch = [this, &key, fresh_left, stale_left] {
            return setup_.store->async_touch(key, fresh_left, stale_left);
        };
        co_await async_ask<bool>(touch);
    }
}

bool remote_level::confirmed(bool was_told, const std::string& key) {
    if (!was_told && !setup_.holes.replay) {
        outbox_.add_erasure(key);
        keep_telling();
    }
    return was_told;
}

bool remote_level::put(const std::string& key, remote_entry entry) {
    if (!has_store() || key.empty()) {
        return true;
    }
    const auto answer = ask([&] {
        setup_.store->put(key, std::move(entry));
        return true;
    });
    return confirmed(answer.has_value(), key);
}

asio::awaitable<bool> remote_level::async_put(std::string key, remote_entry entry) {
    if (!has_store() || key.empty()) {
        co_return true;
    }
    auto put = [this, &key, &entry] { return ended(setup_.store->async_put(key, std::move(entry))); };
    const auto answer = co_await async_ask<bool>(put);
    co_return confirmed(answer.has_value(), key);
}

std::optional<bool> remote_level::put_if_newer(const std::string& key, remote_entry entry) {
    const auto answer = ask([&] { return setup_.store->put_if_newer(key, std::move(entry)); });
    confirmed(answer.has_value(), key);
    return answer;
}

asio::awaitable<std::optional<bool>> remote_level::async_put_if_newer(std::string key, remote_entry entry) {
    auto put = [this, &key, &entry] { return setup_.store->async_put_if_newer(key, std::move(entry)); };
    const auto answer = co_await async_ask<bool>(put);
    confirmed(answer.has_value(), key);
    co_return answer;
}

bool remote_level::erase(const std::string& key) {
    if (!has_store() || key.empty()) {
        return true;
    }
    const auto answer = ask([&] {
        setup_.store->erase({key});
        return true;
    });
    return confirmed(answer.has_value(), key);
}

asio::awaitable<bool> remote_level::async_erase(std::string key) {
    if (!has_store() || key.empty()) {
        co_return true;
    }
    auto erase = [this, &key] { return ended(setup_.store->async_erase({key})); };
    const auto answer = co_await async_ask<bool>(erase);
    co_return confirmed(answer.has_value(), key);
}

bool remote_level::confirmed(bool was_told, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
        confirmed(was_told, key);
    }
    return was_told;
}

bool remote_level::erase_many(const std::vector<std::string>& keys) {
    if (!has_store() || keys.empty()) {
        return true;
    }
    const auto answer = ask([&] {
        setup_.store->erase(keys);
        return true;
    });
    return confirmed(answer.has_value(), keys);
}

asio::awaitable<bool> remote_level::async_erase_many(std::vector<std::string> keys) {
    if (!has_store() || keys.empty()) {
        co_return true;
    }
    auto erase = [this, &keys] { return ended(setup_.store->async_erase(keys)); };
    const auto answer = co_await async_ask<bool>(erase);
    co_return confirmed(answer.has_value(), keys);
}

bool remote_level::expire(const std::string& key) {
    if (!has_store() || key.empty()) {
        return true;
    }
    const auto answer = ask([&] {
        setup_.store->expire(key);
        return true;
    });
    return confirmed(answer.has_value(), key);
}

asio::awaitable<bool> remote_level::async_expire(std::string key) {
    if (!has_store() || key.empty()) {
        co_return true;
    }
    auto expire = [this, &key] { return ended(setup_.store->async_expire(key)); };
    const auto answer = co_await async_ask<bool>(expire);
    co_return confirmed(answer.has_value(), key);
}

std::optional<std::uint64_t> remote_level::begin_write(const std::string& key) {
    if (!may_read(key)) {
        return std::nullopt;
    }
    return ask([&] { return setup_.store->begin_write(key, setup_.options.lease); });
}

asio::awaitable<std::optional<std::uint64_t>> remote_level::async_begin_write(std::string key) {
    if (!may_read(key)) {
        co_return std::nullopt;
    }
    auto begin = [this, &key] { return setup_.store->async_begin_write(key, setup_.options.lease); };
    const auto answer = co_await async_ask<std::uint64_t>(begin);
    co_return answer;
}

}  // namespace levee::cache_detail
