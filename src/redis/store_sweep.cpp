// Freeing the memory of what marks have made invalid.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "levee/cache/detail/mark_table.hpp"
#include "redis/entry_layout.hpp"
#include "redis/store_core.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using detail::store_core;

// SCAN's patterns give *, ?, [ and \ a meaning.
std::string pattern_of(std::string_view prefix) {
    std::string made;
    for (const char each : prefix) {
        if (each == '*' || each == '?' || each == '[' || each == ']' || each == '\\') {
            made += '\\';
        }
        made += each;
    }
    return made + '*';
}

// How `cache` names the keys and the marks of a namespace.
std::string key_prefix(const std::string& name_space, const std::string& part) {
    return name_space + ":v1:" + part;
}

std::string mark_name(const std::string& part) {
    return part.empty() ? std::string() : cache_detail::mark_of_prefix(part);
}

std::string whole_part(std::string part) {
    if (!part.empty() && part.back() != ':') {
        part += ':';
    }
    return part;
}

pipeline looking_at(const std::vector<std::string>& keys) {
    pipeline look;
    look.idempotent();
    for (const std::string& key : keys) {
        look.add("GETRANGE", key, 0, detail::header_size - 1);
    }
    return look;
}

// Of those looked at, entries with a stamp below.
std::vector<std::string> outdated(const std::vector<std::string>& keys, const std::vector<reply>& heads,
                                  std::uint64_t below) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < keys.size() && i < heads.size(); ++i) {
        if (heads[i].kind() == reply_kind::string) {
            const auto stamp = detail::stamp_of(heads[i].text());
            if (stamp && *stamp < below) {
                found.push_back(keys[i]);
            }
        }
    }
    return found;
}

scan_options scanning(const store_core& core, const std::string& prefix) {
    return {.match = pattern_of(prefix), .count = core.options().scan_count};
}

asio::awaitable<std::size_t> sweep_until_closed(std::shared_ptr<store_core> core, std::string prefix,
                                                std::uint64_t below) {
    std::size_t removed = 0;
    auto keys = core->over().scan(scanning(*core, prefix));
    while (!core->is_closed()) {
        const auto batch = co_await keys.async_next(asio::use_awaitable);
        if (!batch) {
            break;
        }
        if (batch->empty()) {
            continue;
        }
        pipeline look = looking_at(*batch);
        const auto heads = co_await core->over().async_execute(std::move(look), asio::use_awaitable);
        const auto found = outdated(*batch, heads, below);
        if (!found.empty()) {
            auto erasing = store_core::async_ask_all(core, core->erase(found));
            static_cast<void>(co_await std::move(erasing));
        }
        removed += found.size();
    }
    co_return removed;
}

// What is not freed now ends by its time to live; it is invalid already.
void sweep_in_background(const std::shared_ptr<store_core>& core, std::string prefix, std::uint64_t below) {
    asio::co_spawn(core->over().options().executor, sweep_until_closed(core, std::move(prefix), below),
                   [](const std::exception_ptr&, std::size_t) {});
}

}  // namespace

std::size_t store::sweep(std::string prefix, std::uint64_t below) {
    std::size_t removed = 0;
    auto keys = core_->over().scan(scanning(*core_, prefix));
    while (const auto batch = keys.next()) {
        if (batch->empty()) {
            continue;
        }
        auto found = outdated(*batch, core_->over().execute(looking_at(*batch)), below);
        removed += found.size();
        erase(std::move(found));
    }
    return removed;
}

remote_store::awaitable<std::size_t> store::async_sweep(std::string prefix, std::uint64_t below) {
    return sweep_until_closed(core_, std::move(prefix), below);
}

std::uint64_t store::erase_prefix(std::string name_space, std::string part) {
    part = whole_part(std::move(part));
    const std::uint64_t count = mark(name_space, mark_name(part));
    sweep_in_background(core_, key_prefix(name_space, part), count);
    return count;
}

remote_store::awaitable<std::uint64_t> store::async_erase_prefix(std::string name_space, std::string part) {
    const auto core = core_;
    part = whole_part(std::move(part));
    auto marking = async_mark(name_space, mark_name(part));
    const std::uint64_t count = co_await std::move(marking);
    sweep_in_background(core, key_prefix(name_space, part), count);
    co_return count;
}

}  // namespace levee::redis
