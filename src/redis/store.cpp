#include "levee/redis/store.hpp"

#include <stdexcept>
#include <string_view>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/redis/error.hpp"
#include "redis/compression.hpp"
#include "redis/store_core.hpp"

namespace levee::redis {
namespace {

using detail::raw_answer;
using detail::read_plan;
using detail::scripts;
using detail::store_call;
using detail::store_core;

// Of a script, or of the command in its place.
bool is_done(const reply& answer) {
    return !answer.is_array() || answer[0].integer() != 0;
}

void abandon_if_executed(store_core& core, const error& why, const std::string& key, std::uint64_t token,
                         duration lease) {
    if (why.may_have_been_executed() && core.has_scripts()) {
        core.abandon(key, token, lease);
    }
}

}  // namespace

void validate(const store_options& options) {
    const auto refuse = [](const char* field, std::size_t value, const char* range) {
        throw std::invalid_argument(std::string("store_options::") + field + " is " + std::to_string(value) +
                                    "; it must be " + range);
    };
    constexpr std::size_t most = 512U << 20U;
    if (options.compress_above != 0 && !detail::can_compress()) {
        refuse("compress_above", options.compress_above, "0, as levee was built without zstd");
    }
    if (options.max_value_bytes == 0 || options.max_value_bytes > most) {
        refuse("max_value_bytes", options.max_value_bytes, "between 1 and 536870912");
    }
    if (options.max_marks == 0) {
        refuse("max_marks", 0, "at least 1");
    }
    if (options.scan_count == 0) {
        refuse("scan_count", 0, "at least 1");
    }
}

store::store(std::shared_ptr<client> over, const store_options& options) {
    validate(options);
    if (over == nullptr) {
        throw std::invalid_argument("redis::store: the client is null; it must be set");
    }
    auto connections = over->core_;
    core_ = std::make_shared<store_core>(std::move(over), std::move(connections), options);
}

store::~store() {
    core_->close();
}

remote_capabilities store::capabilities() const {
    if (!core_->is_probed() && !async::runs_on_this_thread(core_->over().options().executor)) {
        try {
            core_->probe();
        } catch (const levee::error&) {
            // It does not answer now: all is assumed, and the next one asks again.
        }
    }
    const bool all = core_->has_scripts();
    return {.has_leases = all,
            .has_versions = all,
            .has_marks = all,
            .max_value_bytes = core_->options().max_value_bytes};
}

store_stats store::stats() const {
    return core_->stats();
}

// The two forms of each operation differ in how they ask.

std::vector<std::optional<remote_entry>> store::get(std::vector<std::string> keys) {
    if (keys.empty()) {
        return {};
    }
    for (;;) {
        const read_plan plan = core_->plan_read(keys);
        raw_answer answer = core_->ask_read(plan);
        if (!core_->knows_time()) {
            core_->ask_time();
        }
        try {
            return core_->read(plan, std::move(answer), keys);
        } catch (const error& why) {
            if (!core_->learns_cluster(why, plan.is_bulk)) {
                throw;
            }
        }
    }
}

remote_store::awaitable<std::vector<std::optional<remote_entry>>> store::async_get(
    std::vector<std::string> keys) {
    const auto core = core_;
    std::vector<std::optional<remote_entry>> found;
    bool is_over = keys.empty();
    while (!is_over) {
        const auto plan = std::make_shared<const read_plan>(core->plan_read(keys));
        auto pending = store_core::async_ask_read(core, plan);
        raw_answer answer = co_await std::move(pending);
        if (!core->knows_time()) {
            co_await store_core::async_ask_time(core);
        }
        try {
            found = core->read(*plan, std::move(answer), keys);
            is_over = true;
        } catch (const error& why) {
            if (!core->learns_cluster(why, plan->is_bulk)) {
                throw;
            }
        }
    }
    co_return found;
}

lease_answer store::get_or_lease(lease_request request) {
    for (;;) {
        const std::uint64_t token = core_->new_token();
        const store_call call = core_->lease(request, token);
        if (!core_->has_scripts()) {
            auto found = get({request.key});
            return store_core::leased_plainly(std::move(found.front()), request, token);
        }
        reply answer;
        try {
            answer = core_->ask(call);
        } catch (const error& why) {
            abandon_if_executed(*core_, why, request.key, token, request.lease);
            throw;
        }
        if (!core_->knows_time()) {
            core_->ask_time();
        }
        if (auto what = core_->leased(answer, request, token)) {
            return std::move(*what);
        }
        request.even_if_fresh = true;
    }
}

remote_store::awaitable<lease_answer> store::async_get_or_lease(lease_request request) {
    const auto core = core_;
    for (;;) {
        const std::uint64_t token = core->new_token();
        store_call call = core->lease(request, token);
        if (!core->has_scripts()) {
            std::vector<std::string> keys{request.key};
            auto pending = async_get(std::move(keys));
            auto found = co_await std::move(pending);
            co_return store_core::leased_plainly(std::move(found.front()), request, token);
        }
        auto pending = store_core::async_ask(core, std::move(call));
        reply answer;
        try {
            answer = co_await std::move(pending);
        } catch (const error& why) {
            abandon_if_executed(*core, why, request.key, token, request.lease);
            throw;
        }
        if (!core->knows_time()) {
            co_await store_core::async_ask_time(core);
        }
        if (auto what = core->leased(answer, request, token)) {
            co_return std::move(*what);
        }
        request.even_if_fresh = true;
    }
}

bool store::fill(std::string key, std::uint64_t token, remote_entry entry) {
    if (token == 0) {
        return false;
    }
    if (core_->needs_time()) {
        core_->ask_time();
    }
    return is_done(core_->ask(core_->fill(key, token, entry)));
}

remote_store::awaitable<bool> store::async_fill(std::string key, std::uint64_t token, remote_entry entry) {
    const auto core = core_;
    if (token == 0) {
        co_return false;
    }
    if (core->needs_time()) {
        co_await store_core::async_ask_time(core);
    }
    auto pending = store_core::async_ask(core, core->fill(key, token, entry));
    const reply answer = co_await std::move(pending);
    co_return is_done(answer);
}

bool store::extend(std::string key, std::uint64_t token, duration lease) {
    const store_call call = core_->extend(key, token, lease);
    return token != 0 && (!core_->has_scripts() || is_done(core_->ask(call)));
}

remote_store::awaitable<bool> store::async_extend(std::string key, std::uint64_t token, duration lease) {
    const auto core = core_;
    store_call call = core->extend(key, token, lease);
    if (token == 0 || !core->has_scripts()) {
        co_return token != 0;
    }
    auto pending = store_core::async_ask(core, std::move(call));
    const reply answer = co_await std::move(pending);
    co_return is_done(answer);
}

void store::release(std::string key, std::uint64_t token) {
    if (token != 0 && core_->has_scripts()) {
        static_cast<void>(core_->ask(core_->release(key, token)));
    }
}

remote_store::awaitable<void> store::async_release(std::string key, std::uint64_t token) {
    const auto core = core_;
    if (token != 0 && core->has_scripts()) {
        auto pending = store_core::async_ask(core, core->release(key, token));
        static_cast<void>(co_await std::move(pending));
    }
}

void store::put(std::string key, remote_entry entry) {
    if (core_->needs_time()) {
        core_->ask_time();
    }
    static_cast<void>(core_->ask(core_->put(key, entry)));
}

remote_store::awaitable<void> store::async_put(std::string key, remote_entry entry) {
    const auto core = core_;
    if (core->needs_time()) {
        co_await store_core::async_ask_time(core);
    }
    auto pending = store_core::async_ask(core, core->put(key, entry));
    static_cast<void>(co_await std::move(pending));
}

bool store::put_if_newer(std::string key, remote_entry entry) {
    const store_call call = core_->put_if_newer(key, entry);
    const reply answer = core_->ask(call);
    return !call.instead && is_done(answer);
}

remote_store::awaitable<bool> store::async_put_if_newer(std::string key, remote_entry entry) {
    const auto core = core_;
    store_call call = core->put_if_newer(key, entry);
    const bool is_kept = !call.instead;  // it is too large otherwise, and removes what there is
    auto pending = store_core::async_ask(core, std::move(call));
    const reply answer = co_await std::move(pending);
    co_return is_kept&& is_done(answer);
}

std::uint64_t store::begin_write(std::string key, duration lease) {
    const std::uint64_t token = core_->new_token();
    try {
        static_cast<void>(core_->ask(core_->begin_write(key, token, lease)));
    } catch (const error& why) {
        abandon_if_executed(*core_, why, key, token, lease);
        throw;
    }
    return token;
}

remote_store::awaitable<std::uint64_t> store::async_begin_write(std::string key, duration lease) {
    const auto core = core_;
    const std::uint64_t token = core->new_token();
    auto pending = store_core::async_ask(core, core->begin_write(key, token, lease));
    try {
        static_cast<void>(co_await std::move(pending));
    } catch (const error& why) {
        abandon_if_executed(*core, why, key, token, lease);
        throw;
    }
    co_return token;
}

void store::erase(std::vector<std::string> keys) {
    for (bool is_over = keys.empty(); !is_over;) {
        pipeline all = core_->erase(keys);
        const bool is_bulk = all.size() < keys.size();
        try {
            static_cast<void>(core_->ask_all(std::move(all)));
            is_over = true;
        } catch (const error& why) {
            if (!core_->learns_cluster(why, is_bulk)) {
                throw;
            }
        }
    }
}

remote_store::awaitable<void> store::async_erase(std::vector<std::string> keys) {
    const auto core = core_;
    for (bool is_over = keys.empty(); !is_over;) {
        pipeline all = core->erase(keys);
        const bool is_bulk = all.size() < keys.size();
        auto pending = store_core::async_ask_all(core, std::move(all));
        try {
            static_cast<void>(co_await std::move(pending));
            is_over = true;
        } catch (const error& why) {
            if (!core->learns_cluster(why, is_bulk)) {
                throw;
            }
        }
    }
}

void store::expire(std::string key) {
    static_cast<void>(core_->ask(core_->expire(key)));
}

remote_store::awaitable<void> store::async_expire(std::string key) {
    const auto core = core_;
    auto pending = store_core::async_ask(core, core->expire(key));
    static_cast<void>(co_await std::move(pending));
}

bool store::touch(std::string key, duration fresh_left, duration stale_left) {
    return core_->has_scripts() && is_done(core_->ask(core_->touch(key, fresh_left, stale_left)));
}

remote_store::awaitable<bool> store::async_touch(std::string key, duration fresh_left, duration stale_left) {
    const auto core = core_;
    if (!core->has_scripts()) {
        co_return false;
    }
    auto pending = store_core::async_ask(core, core->touch(key, fresh_left, stale_left));
    const reply answer = co_await std::move(pending);
    co_return is_done(answer);
}

remote_marks store::marks(std::string name_space) {
    return core_->marks_of(name_space, core_->ask(core_->marks(name_space)));
}

remote_store::awaitable<remote_marks> store::async_marks(std::string name_space) {
    const auto core = core_;
    auto pending = store_core::async_ask(core, core->marks(name_space));
    const reply answer = co_await std::move(pending);
    co_return core->marks_of(name_space, answer);
}

std::uint64_t store::mark(std::string name_space, std::string what) {
    return core_->mark_of(name_space, core_->ask(core_->mark(name_space, what)));
}

remote_store::awaitable<std::uint64_t> store::async_mark(std::string name_space, std::string what) {
    const auto core = core_;
    auto pending = store_core::async_ask(core, core->mark(name_space, what));
    const reply answer = co_await std::move(pending);
    co_return core->mark_of(name_space, answer);
}

}  // namespace levee::redis
