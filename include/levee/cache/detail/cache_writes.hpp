/// The writing operations of caches, for threads that may block and as coroutines. L2 first, then L1, then
/// the peers: who hears of a change finds it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "levee/cache/detail/cache_core.hpp"

namespace levee::cache_detail {

[[nodiscard]] inline reach reach_of(bool is_confirmed) noexcept {
    return is_confirmed ? reach::acknowledged : reach::queued;
}

/// `Core` is held by the awaitable forms, whose cache may go meanwhile.
template <class Core>
struct cache_writes {
    using K = typename Core::key_type;
    using V = typename Core::mapped_type;
    using core_ptr = std::shared_ptr<Core>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    static reach put(Core& core, K key, V value, const entry_options& lives) {
        prepare(core);
        const auto put = core.begin_put(key, value, lives, 0);
        bool is_stored = true;
        if (const auto& level = core.remote()) {
            is_stored = put.is_oversized ? level->erase(put.name) : level->put(put.name, put.remote);
        }
        core.end_put(put, std::move(key), std::move(value), lives, true);
        if (const auto& level = core.remote()) {
            is_stored = level->announce(change::invalidated, put.text) && is_stored;
        }
        return reach_of(is_stored);
    }

    static awaitable<reach> async_put(core_ptr core, K key, V value, entry_options lives) {
        co_await async_prepare(*core);
        const auto put = core->begin_put(key, value, lives, 0);
        bool is_stored = true;
        const auto level = core->remote();
        if (level != nullptr) {
            if (put.is_oversized) {
                is_stored = co_await level->async_erase(put.name);
            } else {
                is_stored = co_await level->async_put(put.name, put.remote);
            }
        }
        core->end_put(put, std::move(key), std::move(value), lives, true);
        if (level != nullptr) {
            const bool is_told = co_await level->async_announce(change::invalidated, put.text);
            is_stored = is_stored && is_told;
        }
        co_return reach_of(is_stored);
    }

    static bool put_if_newer(Core& core, K key, V value, std::uint64_t version, const entry_options& lives) {
        check_version(version);
        const auto& level = core.remote();
        if (level == nullptr || !level->has_store()) {
            const bool is_stored = core.put_if_newer_locally(key, std::move(value), version, lives);
            if (level != nullptr && is_stored) {
                level->announce(change::invalidated, core.text_of(key));
            }
            return is_stored;
        }
        prepare(core);
        const auto put = core.begin_put(key, value, lives, version);
        const bool is_stored = !put.is_oversized && !put.name.empty() &&
                               level->put_if_newer(put.name, put.remote).value_or(false);
        core.end_put(put, std::move(key), std::move(value), lives, is_stored);
        level->announce(change::invalidated, put.text);
        return is_stored;
    }

    static awaitable<bool> async_put_if_newer(core_ptr core, K key, V value, std::uint64_t version,
                                              entry_options lives) {
        check_version(version);
        const auto level = core->remote();
        if (level == nullptr || !level->has_store()) {
            const bool is_stored = core->put_if_newer_locally(key, std::move(value), version, lives);
            if (level != nullptr && is_stored) {
                std::string text = core->text_of(key);
                co_await level->async_announce(change::invalidated, std::move(text));
            }
            co_return is_stored;
        }
        co_await async_prepare(*core);
        const auto put = core->begin_put(key, value, lives, version);
        bool is_stored = false;
        if (!put.is_oversized && !put.name.empty()) {
            const auto answer = co_await level->async_put_if_newer(put.name, put.remote);
            is_stored = answer.value_or(false);
        }
        core->end_put(put, std::move(key), std::move(value), lives, is_stored);
        co_await level->async_announce(change::invalidated, put.text);
        co_return is_stored;
    }

    static reach invalidate(Core& core, const K& key) {
        const auto& level = core.remote();
        if (level == nullptr) {
            core.drop_local(key);
            return reach::acknowledged;
        }
        const std::string text = core.text_of(key);
        const bool is_erased = level->erase(level->name_of(text));
        core.drop_local(key);
        const bool is_told = level->announce(change::invalidated, text);
        return reach_of(is_erased && is_told);
    }

    static awaitable<reach> async_invalidate(core_ptr core, K key) {
        const auto level = core->remote();
        if (level == nullptr) {
            core->drop_local(key);
            co_return reach::acknowledged;
        }
        const std::string text = core->text_of(key);
        std::string name = level->name_of(text);
        const bool is_erased = co_await level->async_erase(std::move(name));
        core->drop_local(key);
        const bool is_told = co_await level->async_announce(change::invalidated, text);
        co_return reach_of(is_erased && is_told);
    }

    static reach expire(Core& core, const K& key) {
        const auto& level = core.remote();
        if (level == nullptr) {
            core.expire_local(key);
            return reach::acknowledged;
        }
        const std::string text = core.text_of(key);
        const bool is_expired = level->expire(level->name_of(text));
        core.expire_local(key);
        const bool is_told = level->announce(change::expired, text);
        return reach_of(is_expired && is_told);
    }

    static awaitable<reach> async_expire(core_ptr core, K key) {
        const auto level = core->remote();
        if (level == nullptr) {
            core->expire_local(key);
            co_return reach::acknowledged;
        }
        const std::string text = core->text_of(key);
        std::string name = level->name_of(text);
        const bool is_expired = co_await level->async_expire(std::move(name));
        core->expire_local(key);
        const bool is_told = co_await level->async_announce(change::expired, text);
        co_return reach_of(is_expired && is_told);
    }

    /// `what` as `mark_of_tag` and `mark_of_prefix` give it; empty: everything.
    static reach mark(Core& core, const std::string& what) {
        const auto& level = core.remote();
        if (level == nullptr) {
            core.mark_locally(what);
            return reach::acknowledged;
        }
        const bool is_marked = level->mark(what);
        is_marked && !what.empty() ? core.flights().detach_all() : core.drop_all_local();
        return reach_of(is_marked);
    }

    static awaitable<reach> async_mark(core_ptr core, std::string what) {
        const auto level = core->remote();
        if (level == nullptr) {
            core->mark_locally(what);
            co_return reach::acknowledged;
        }
        const bool is_marked = co_await level->async_mark(what);
        is_marked && !what.empty() ? core->flights().detach_all() : core->drop_all_local();
        co_return reach_of(is_marked);
    }

    static reach commit(Core& core, collected_changes<K> changes) {
        const auto plan = core.plan(std::move(changes));
        const auto& level = core.remote();
        bool is_done = true;
        if (level != nullptr) {
            is_done = level->erase_many(plan.erased_names());
            for (const auto& each : plan.keys) {
                is_done = (!each.keeps_reserve || level->expire(each.name)) && is_done;
            }
        }
        core.change_local(plan);
        for (const std::string& what : plan.marks) {
            is_done = mark(core, what) == reach::acknowledged && is_done;
        }
        if (level != nullptr) {
            for (const auto& each : plan.keys) {
                is_done = level->announce(each.what(), each.text) && is_done;
            }
        }
        return reach_of(is_done);
    }

    static awaitable<reach> async_commit(core_ptr core, collected_changes<K> changes) {
        // All of it or nothing: a step that was left out could not be queued any more. Each has its timeout.
        co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
        const auto plan = core->plan(std::move(changes));
        const auto level = core->remote();
        bool is_done = true;
        if (level != nullptr) {
            auto names = plan.erased_names();
            is_done = co_await level->async_erase_many(std::move(names));
            for (const auto& each : plan.keys) {
                if (each.keeps_reserve) {
                    const bool is_expired = co_await level->async_expire(each.name);
                    is_done = is_done && is_expired;
                }
            }
        }
        core->change_local(plan);
        for (const std::string& what : plan.marks) {
            const reach marked = co_await async_mark(core, what);
            is_done = is_done && marked == reach::acknowledged;
        }
        if (level != nullptr) {
            for (const auto& each : plan.keys) {
                const bool is_told = co_await level->async_announce(each.what(), each.text);
                is_done = is_done && is_told;
            }
        }
        co_return reach_of(is_done);
    }

    /// What is written remotely is stamped with the marks known, so they are to be known.
    static void prepare(Core& core) {
        if (core.remote() != nullptr && core.remote()->has_store()) {
            core.remote()->read_marks();
        }
    }
    static awaitable<void> async_prepare(Core& core) {
        if (core.remote() != nullptr && core.remote()->has_store()) {
            co_await core.remote()->async_read_marks();
        }
    }

private:
    static void check_version(std::uint64_t version) {
        if (version == 0) {
            throw std::invalid_argument("put_if_newer: the version is 0; it must be above zero");
        }
    }
};

}  // namespace levee::cache_detail
