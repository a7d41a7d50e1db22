// The operations: which command each is, and what its answer says.
#include "redis/store_core.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "levee/core/hash.hpp"
#include "levee/redis/error.hpp"
#include "redis/compression.hpp"

namespace levee::redis::detail {
namespace {

constexpr duration longest_lease = std::chrono::hours(24);  // as scripts know it

std::uint64_t draw() {
    std::random_device chance;
    return (std::uint64_t{chance()} << 32U) | chance();
}

std::string microseconds_of(duration lease) {
    if (lease <= duration::zero()) {
        throw std::invalid_argument("redis::store: a lease is " + std::to_string(lease.count()) +
                                    " ns; it must be above zero");
    }
    const auto whole = std::chrono::ceil<std::chrono::microseconds>((std::min)(lease, longest_lease));
    return std::to_string(whole.count());
}

duration left_until(std::int64_t until, std::int64_t now) {
    return until >= for_ever ? (duration::max)() : duration(std::chrono::microseconds(until - now));
}

void count(std::atomic<std::uint64_t>& what) noexcept {
    what.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

command store_call::by_name() const {
    if (instead) {
        return *instead;
    }
    command one("EVALSHA", what->sha1(), 1, key);
    return std::move(one.add_all(arguments).idempotent(what->is_idempotent()));
}

command store_call::in_full() const {
    command one("EVAL", what->source(), 1, key);
    return std::move(one.add_all(arguments).idempotent(what->is_idempotent()));
}

store_core::store_core(std::shared_ptr<client> over, std::shared_ptr<client_core> connections,
                       const store_options& options)
    : over_(std::move(over)), connections_(std::move(connections)), options_(options), first_token_(draw()) {}

store_stats store_core::stats() const noexcept {
    return {.corrupt = corrupt_.load(std::memory_order_relaxed),
            .foreign = foreign_.load(std::memory_order_relaxed),
            .oversized = oversized_.load(std::memory_order_relaxed),
            .compressed = compressed_.load(std::memory_order_relaxed)};
}

// A bijection of a counter that begins anywhere: none comes twice from here, and from two processes hardly.
std::uint64_t store_core::new_token() noexcept {
    std::uint64_t made = 0;
    while (made == 0) {
        made = hash_mix(first_token_ + tokens_.fetch_add(1, std::memory_order_relaxed));
    }
    return made;
}

read_plan store_core::plan_read(const std::vector<std::string>& keys) const {
    read_plan plan;
    plan.has_time = has_time_.load(std::memory_order_relaxed) &&
                    clock_.is_due(clock::precise().now(), connections_->generations());
    if (keys.size() == 1 && !plan.has_time) {
        plan.one = std::move(command("GET", keys.front()).idempotent());
        return plan;
    }
    plan.many.idempotent();
    if (plan.has_time) {
        plan.many.add("TIME");
    }
    plan.is_bulk = keys.size() > 1 && !is_cluster_.load(std::memory_order_acquire);
    if (plan.is_bulk) {
        plan.many.add(command("MGET").add_all(keys));
    } else {
        for (const std::string& key : keys) {
            plan.many.add("GET", key);
        }
    }
    return plan;
}

std::vector<std::optional<remote_entry>> store_core::read(const read_plan& plan, raw_answer answer,
                                                          const std::vector<std::string>& keys) {
    std::vector<std::optional<remote_entry>> found;
    found.reserve(keys.size());
    if (plan.one) {
        found.push_back(entry_of(answer.one, keys.front()));
        return found;
    }
    const std::size_t first = plan.has_time ? 1 : 0;
    if (plan.is_bulk) {
        check(answer.parts.at(first));
        const auto& values = answer.parts[first].elements();
        for (std::size_t i = 0; i < keys.size(); ++i) {
            found.push_back(entry_of(values.at(i), keys[i]));
        }
    } else {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            found.push_back(entry_of(answer.parts.at(first + i), keys[i]));
        }
    }
    return found;
}

bool store_core::learns_cluster(const error& why, bool was_bulk) noexcept {
    if (why.code() != errc::cross_slot || !was_bulk) {
        return false;
    }
    is_cluster_.store(true, std::memory_order_release);
    return true;
}

// `is_fresh`: the server found it fresh a moment ago, within this call; so it is, whatever is left of it by
// now.
std::optional<remote_entry> store_core::entry_of(const reply& stored, const std::string& key, bool is_fresh) {
    if (stored.is_nil()) {
        return std::nullopt;
    }
    if (stored.is_error()) {
        if (code_of(stored.text()) != errc::wrong_type) {
            check(stored);
        }
        count(foreign_);
        return std::nullopt;
    }
    std::optional<remote_entry> found(std::in_place);
    server_times times;
    switch (decode(stored.text(), key, options_.max_value_bytes, *found, times)) {
        case decoded::entry:
            break;
        case decoded::nothing:
            return std::nullopt;
        case decoded::foreign:
            count(foreign_);
            return std::nullopt;
        case decoded::corrupt:
            count(corrupt_);
            return std::nullopt;
        case decoded::oversized:
            count(oversized_);
            return std::nullopt;
    }
    const std::int64_t now = clock_.latest(clock::precise().now());
    found->fresh_left = left_until(times.fresh_until, now);
    found->stale_left = left_until(times.stale_until, now);
    if (is_fresh) {
        found->fresh_left = (std::max)(found->fresh_left, duration(1));
        found->stale_left = (std::max)(found->stale_left, duration(1));
    }
    if (found->stale_left <= duration::zero()) {
        return std::nullopt;
    }
    return found;
}

store_call store_core::lease(const lease_request& request, std::uint64_t token) const {
    const bool wants_time = clock_.is_due(clock::precise().now(), connections_->generations());
    return {.what = &scripts().lease,
            .key = request.key,
            .arguments = {token_bytes(token), microseconds_of(request.lease),
                          request.even_if_fresh ? "1" : (wants_time ? "t" : "0")}};
}

std::optional<lease_answer> store_core::leased(const reply& answer, const lease_request& request,
                                               std::uint64_t token) {
    const bool is_hit = !answer.is_array() || answer[0].integer() == 0;
    lease_answer what;
    what.entry = entry_of(answer.is_array() ? answer[3] : answer, request.key, is_hit);
    if (is_hit) {
        if (!what.entry) {
            return std::nullopt;
        }
        what.what = lease_outcome::entry;
    } else if (answer[0].integer() == 1) {
        what.what = lease_outcome::granted;
        what.token = token;
    } else {
        what.what = lease_outcome::busy;
        what.lease_left = std::chrono::microseconds(answer[2].integer());
    }
    return what;
}

lease_answer store_core::leased_plainly(std::optional<remote_entry> found, const lease_request& request,
                                        std::uint64_t token) {
    lease_answer what;
    if (found && found->fresh_left > duration::zero() && !request.even_if_fresh) {
        what.what = lease_outcome::entry;
    } else {
        what.what = lease_outcome::granted;
        what.token = token;
    }
    what.entry = std::move(found);
    return what;
}

// What no reader may have is removed instead: that voids leases just the same.
store_call store_core::writing(const script& what, const std::string& key, const remote_entry& entry,
                               const std::uint64_t* token) {
    store_call call{.what = &what, .key = key};
    if (entry.payload.size() > options_.max_value_bytes) {
        count(oversized_);
        if (token != nullptr && has_scripts()) {
            return release(key, *token);  // as a fill that does not stand, but for the entry
        }
        call.instead = removal(key);
        return call;
    }
    const std::int64_t fresh = script_duration(entry.fresh_left);
    const std::int64_t stale = script_duration((std::max)(entry.stale_left, entry.fresh_left));
    std::string tail = encode_tail(key, entry, options_.compress_above);
    if (is_compressed(tail)) {
        count(compressed_);
    }
    if (has_scripts()) {
        if (token != nullptr) {
            call.arguments.push_back(token_bytes(*token));
        }
        call.arguments.push_back(std::to_string(fresh));
        call.arguments.push_back(std::to_string(stale));
        call.arguments.push_back(std::move(tail));
        return call;
    }
    const std::int64_t now = clock_.earliest(clock::precise().now());
    const std::string whole = encode(
        tail, {.fresh_until = after_microseconds(now, fresh), .stale_until = after_microseconds(now, stale)});
    if (stale == 0) {
        call.instead = removal(key);
    } else if (stale < 0) {
        call.instead = command("SET", key, whole);
    } else {
        call.instead = command("SET", key, whole, "PX", (stale + 999) / 1000);
    }
    return call;
}

// Proxies without scripts may not know UNLINK either.
command store_core::removal(const std::string& key) const {
    return std::move(command(has_scripts() ? "UNLINK" : "DEL", key).idempotent());
}

store_call store_core::fill(const std::string& key, std::uint64_t token, const remote_entry& entry) {
    return writing(scripts().fill, key, entry, &token);
}

store_call store_core::put(const std::string& key, const remote_entry& entry) {
    return writing(scripts().put, key, entry, nullptr);
}

store_call store_core::put_if_newer(const std::string& key, const remote_entry& entry) {
    need_scripts("put_if_newer");
    return writing(scripts().put_if_newer, key, entry, nullptr);
}

store_call store_core::begin_write(const std::string& key, std::uint64_t token, duration lease) const {
    store_call call{.what = &scripts().begin_write,
                    .key = key,
                    .arguments = {token_bytes(token), microseconds_of(lease)}};
    if (!has_scripts()) {
        call.instead = removal(key);
    }
    return call;
}

store_call store_core::extend(const std::string& key, std::uint64_t token, duration lease) const {
    return {.what = &scripts().extend, .key = key, .arguments = {token_bytes(token), microseconds_of(lease)}};
}

store_call store_core::release(const std::string& key, std::uint64_t token) const {
    return {.what = &scripts().release, .key = key, .arguments = {token_bytes(token)}};
}

pipeline store_core::erase(const std::vector<std::string>& keys) const {
    const char* const name = has_scripts() ? "UNLINK" : "DEL";
    pipeline all;
    all.idempotent();
    if (is_cluster_.load(std::memory_order_acquire)) {
        for (const std::string& key : keys) {
            all.add(name, key);
        }
    } else if (!keys.empty()) {
        all.add(command(name).add_all(keys));
    }
    return all;
}

store_call store_core::expire(const std::string& key) const {
    store_call call{.what = &scripts().expire, .key = key};
    if (!has_scripts()) {
        call.instead = removal(key);
    }
    return call;
}

store_call store_core::touch(const std::string& key, duration fresh_left, duration stale_left) const {
    return {.what = &scripts().touch,
            .key = key,
            .arguments = {std::to_string(script_duration(fresh_left)),
                          std::to_string(script_duration((std::max)(stale_left, fresh_left)))}};
}

store_call store_core::marks(const std::string& name_space) const {
    need_scripts("marks");
    return {.what = &scripts().marks,
            .key = options_.marks_prefix + name_space,
            .arguments = {std::to_string(least_count(name_space))}};
}

store_call store_core::mark(const std::string& name_space, const std::string& what) const {
    need_scripts("marks");
    return {.what = &scripts().mark,
            .key = options_.marks_prefix + name_space,
            .arguments = {std::to_string(least_count(name_space)), what,
                          std::to_string(options_.max_marks + 2)}};  // the count and "" are fields, too
}

remote_marks store_core::marks_of(const std::string& name_space, const reply& answer) {
    remote_marks all;
    const auto& fields = answer[2].elements();
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const std::string& name = fields[i].text();
        const auto number = static_cast<std::uint64_t>(fields[i + 1].integer());
        if (name.starts_with('m')) {
            all.marks.emplace_back(name.substr(1), number);
        } else {
            all.count = number;
        }
    }
    remember_count(name_space, all.count);
    return all;
}

std::uint64_t store_core::mark_of(const std::string& name_space, const reply& answer) {
    const auto number = static_cast<std::uint64_t>(answer[0].integer());
    remember_count(name_space, number);
    return number;
}

std::uint64_t store_core::least_count(const std::string& name_space) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(name_space);
    return found == counts_.end() ? 0 : found->second;
}

void store_core::remember_count(const std::string& name_space, std::uint64_t number) {
    constexpr std::size_t most = 1'000;  // namespaces are caches: few
    const std::lock_guard lock(mutex_);
    if (counts_.size() >= most && !counts_.contains(name_space)) {
        return;
    }
    std::uint64_t& known = counts_[name_space];
    known = (std::max)(known, number);
}

}  // namespace levee::redis::detail
