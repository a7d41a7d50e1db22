#include "levee/store/memory_store.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

namespace levee {
namespace {

// An entry with points in time in place of what is left.
struct stored_entry {
    remote_entry entry;
    time_point fresh_until, stale_until;

    stored_entry(remote_entry given, time_point now)
        : entry(std::move(given)),
          fresh_until(after(now, entry.fresh_left)),
          stale_until(after(now, std::max(entry.stale_left, entry.fresh_left))) {}

    [[nodiscard]] remote_entry at(time_point now) const {
        remote_entry copy = entry;
        copy.fresh_left = fresh_until == time_point::max() ? duration::max() : fresh_until - now;
        copy.stale_left = stale_until == time_point::max() ? duration::max() : stale_until - now;
        return copy;
    }
};

struct record {
    std::optional<stored_entry> held{};
    std::uint64_t token = 0;  // 0: none
    time_point lease_until{};
    std::list<std::string>::iterator use{};

    [[nodiscard]] bool is_leased(time_point now) const noexcept { return token != 0 && now < lease_until; }
    [[nodiscard]] bool stands(std::uint64_t asked, time_point now) const noexcept {
        return asked != 0 && token == asked && now < lease_until;
    }
    [[nodiscard]] bool is_held(time_point now) const noexcept { return held && now < held->stale_until; }
    [[nodiscard]] bool is_fresh(time_point now) const noexcept { return held && now < held->fresh_until; }
};

void check_lease(duration lease) {
    if (lease <= duration::zero()) {
        throw std::invalid_argument("memory_store: a lease is " + std::to_string(lease.count()) +
                                    " ns; it must be above zero");
    }
}

}  // namespace

struct memory_store::state {
    explicit state(const memory_store_options& options)
        : max_entries(options.max_entries), clock(options.clock ? *options.clock : clock::coarse()) {}

    const std::size_t max_entries;
    const levee::clock& clock;

    std::mutex mutex{};  // guards all below
    std::unordered_map<std::string, record> records{};
    std::list<std::string> uses{};  // the latest first
    std::uint64_t last_token = 0;
    struct space {
        std::uint64_t count = 0;
        std::map<std::string, std::uint64_t> marks{};
    };
    std::unordered_map<std::string, space> spaces{};
    // Counters of lost data do not begin anew: an entry stamped before must not look valid by chance.
    std::uint64_t first_count = 1;

    record* find(const std::string& key) {
        const auto found = records.find(key);
        if (found == records.end()) {
            return nullptr;
        }
        uses.splice(uses.begin(), uses, found->second.use);
        return &found->second;
    }

    record& find_or_make(const std::string& key) {
        if (record* const found = find(key)) {
            return *found;
        }
        while (records.size() >= max_entries) {
            records.erase(uses.back());
            uses.pop_back();
        }
        uses.push_front(key);
        try {
            record& made = records[key];
            made.use = uses.begin();
            return made;
        } catch (...) {
            uses.pop_front();
            throw;
        }
    }

    void remove(const std::string& key) {
        const auto found = records.find(key);
        if (found != records.end()) {
            uses.erase(found->second.use);
            records.erase(found);
        }
    }

    // What nobody could ever see again goes.
    void remove_if_spent(const std::string& key, const record& found, time_point now) {
        if (!found.is_held(now) && !found.is_leased(now)) {
            remove(key);
        }
    }

    space& space_of(const std::string& name) {
        space& found = spaces[name];
        if (found.count == 0) {
            found.marks[""] = first_count;  // all that was stamped before is invalid
            found.count = first_count;
        }
        return found;
    }
};

memory_store::memory_store(const memory_store_options& options) {
    if (options.max_entries == 0) {
        throw std::invalid_argument("memory_store_options::max_entries is 0; it must be at least 1");
    }
    state_ = std::make_unique<state>(options);
}

memory_store::~memory_store() = default;

std::vector<std::optional<remote_entry>> memory_store::get(std::vector<std::string> keys) {
    std::vector<std::optional<remote_entry>> answers(keys.size());
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (const record* const found = state_->find(keys[i])) {
            if (found->is_held(now)) {
                answers[i] = found->held->at(now);
            } else {
                state_->remove_if_spent(keys[i], *found, now);
            }
        }
    }
    return answers;
}

lease_answer memory_store::get_or_lease(lease_request request) {
    check_lease(request.lease);
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    record& found = state_->find_or_make(request.key);
    lease_answer answer;
    if (found.is_held(now)) {
        answer.entry = found.held->at(now);
    }
    if (found.is_fresh(now) && !request.even_if_fresh) {
        answer.what = lease_outcome::entry;
    } else if (found.is_leased(now)) {
        answer.what = lease_outcome::busy;
        answer.lease_left = found.lease_until - now;
    } else {
        answer.what = lease_outcome::granted;
        answer.token = found.token = ++state_->last_token;
        found.lease_until = after(now, request.lease);
    }
    return answer;
}

bool memory_store::fill(std::string key, std::uint64_t token, remote_entry entry) {
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    record* const found = state_->find(key);
    if (found == nullptr || !found->stands(token, now)) {
        return false;
    }
    found->held.emplace(std::move(entry), now);
    found->token = 0;
    return true;
}

bool memory_store::extend(std::string key, std::uint64_t token, duration lease) {
    check_lease(lease);
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    record* const found = state_->find(key);
    if (found == nullptr || !found->stands(token, now)) {
        return false;
    }
    found->lease_until = after(now, lease);
    return true;
}

void memory_store::release(std::string key, std::uint64_t token) {
    const std::lock_guard lock(state_->mutex);
    record* const found = state_->find(key);
    if (found != nullptr && token != 0 && found->token == token) {
        found->token = 0;
        state_->remove_if_spent(key, *found, state_->clock.now());
    }
}

void memory_store::put(std::string key, remote_entry entry) {
    const std::lock_guard lock(state_->mutex);
    record& found = state_->find_or_make(key);
    found.held.emplace(std::move(entry), state_->clock.now());
    found.token = 0;
}

bool memory_store::put_if_newer(std::string key, remote_entry entry) {
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    record& found = state_->find_or_make(key);
    if (found.is_held(now) && found.held->entry.version >= entry.version) {
        return false;
    }
    found.held.emplace(std::move(entry), now);
    found.token = 0;
    return true;
}

std::uint64_t memory_store::begin_write(std::string key, duration lease) {
    check_lease(lease);
    const std::lock_guard lock(state_->mutex);
    record& found = state_->find_or_make(key);
    found.held.reset();
    found.lease_until = after(state_->clock.now(), lease);
    return found.token = ++state_->last_token;
}

void memory_store::erase(std::vector<std::string> keys) {
    const std::lock_guard lock(state_->mutex);
    for (const std::string& key : keys) {
        state_->remove(key);
    }
}

void memory_store::expire(std::string key) {
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    if (record* const found = state_->find(key)) {
        found->token = 0;
        if (found->is_fresh(now)) {
            found->held->fresh_until = now;
        }
        state_->remove_if_spent(key, *found, now);
    }
}

bool memory_store::touch(std::string key, duration fresh_left, duration stale_left) {
    const std::lock_guard lock(state_->mutex);
    const time_point now = state_->clock.now();
    record* const found = state_->find(key);
    if (found == nullptr || !found->is_fresh(now)) {
        return false;
    }
    stored_entry& held = *found->held;
    held.fresh_until = std::max(held.fresh_until, after(now, fresh_left));
    held.stale_until = std::max({held.stale_until, held.fresh_until, after(now, stale_left)});
    return true;
}

remote_marks memory_store::marks(std::string name_space) {
    const std::lock_guard lock(state_->mutex);
    const auto& found = state_->space_of(name_space);
    return {found.count, {found.marks.begin(), found.marks.end()}};
}

std::uint64_t memory_store::mark(std::string name_space, std::string what) {
    const std::lock_guard lock(state_->mutex);
    auto& found = state_->space_of(name_space);
    found.marks[std::move(what)] = found.count + 1;
    return ++found.count;
}

void memory_store::lose_data() {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [name, space] : state_->spaces) {
        state_->first_count = std::max(state_->first_count, space.count + 1);
    }
    state_->records.clear();
    state_->uses.clear();
    state_->spaces.clear();
}

std::size_t memory_store::size() const {
    const std::lock_guard lock(state_->mutex);
    return state_->records.size();
}

// The awaitable forms have nothing to wait for.

remote_store::awaitable<std::vector<std::optional<remote_entry>>> memory_store::async_get(
    std::vector<std::string> keys) {
    co_return get(std::move(keys));
}

remote_store::awaitable<lease_answer> memory_store::async_get_or_lease(lease_request request) {
    co_return get_or_lease(std::move(request));
}

remote_store::awaitable<bool> memory_store::async_fill(std::string key, std::uint64_t token,
                                                       remote_entry entry) {
    co_return fill(std::move(key), token, std::move(entry));
}

remote_store::awaitable<bool> memory_store::async_extend(std::string key, std::uint64_t token,
                                                         duration lease) {
    co_return extend(std::move(key), token, lease);
}

remote_store::awaitable<void> memory_store::async_release(std::string key, std::uint64_t token) {
    release(std::move(key), token);
    co_return;
}

remote_store::awaitable<void> memory_store::async_put(std::string key, remote_entry entry) {
    put(std::move(key), std::move(entry));
    co_return;
}

remote_store::awaitable<bool> memory_store::async_put_if_newer(std::string key, remote_entry entry) {
    co_return put_if_newer(std::move(key), std::move(entry));
}

remote_store::awaitable<std::uint64_t> memory_store::async_begin_write(std::string key, duration lease) {
    co_return begin_write(std::move(key), lease);
}

remote_store::awaitable<void> memory_store::async_erase(std::vector<std::string> keys) {
    erase(std::move(keys));
    co_return;
}

remote_store::awaitable<void> memory_store::async_expire(std::string key) {
    expire(std::move(key));
    co_return;
}

remote_store::awaitable<bool> memory_store::async_touch(std::string key, duration fresh_left,
                                                        duration stale_left) {
    co_return touch(std::move(key), fresh_left, stale_left);
}

remote_store::awaitable<remote_marks> memory_store::async_marks(std::string name_space) {
    co_return marks(std::move(name_space));
}

remote_store::awaitable<std::uint64_t> memory_store::async_mark(std::string name_space, std::string what) {
    co_return mark(std::move(name_space), std::move(what));
}

}  // namespace levee
