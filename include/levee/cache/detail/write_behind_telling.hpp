// What L2 and the peers are told about pending writes: bodies of write_behind_core. Included by it alone.
//
// A key's news are told by one teller at a time, who looks each time what the newest is:
//
// | of its writes                          | is told                                                        |
// |----------------------------------------|----------------------------------------------------------------|
// | one is pending that L2 does not have   | begin_write, then the value (an erasure: that there is none);  |
// |                                        | if another began to write meanwhile, DEL; peers drop the key   |
// | one has landed, a newer one waits      | nothing more: L2 has the newer one                             |
// | one has landed, or was given up        | DEL; peers drop the key                                        |
//
// Not put_if_newer after the flush, even if the source gives versions: it would bring a value back that
// another process has erased meanwhile, because an erasure leaves no version in L2. A leased load is fenced.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::tell_about(shard& at, slot& about) noexcept {
    if (about.tell == telling::idle) {
        at.to_tell.push(about);
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::start_tellers(shard& at) noexcept {
    bool is_to_start = false;
    {
        const std::lock_guard lock(at.mutex);
        is_to_start = !at.to_tell.empty() && at.tellers < max_tellers;
        at.tellers += is_to_start ? 1 : 0;
    }
    if (!is_to_start) {
        return;
    }
    try {
        boost::asio::co_spawn(cache_->options().executor, tell(this->shared_from_this(), at),
                              boost::asio::detached);
    } catch (...) {  // no memory: another one does it, or whoever comes next starts one
        const std::lock_guard lock(at.mutex);
        --at.tellers;
    }
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::tell(self_ptr self, shard& at) -> awaitable<void> {
    enum class news : std::uint8_t { none, publish, drop };
    using writes = cache_writes<cache_type>;
    slot* about = nullptr;
    for (;;) {
        news what = news::none;
        std::optional<K> key;
        std::optional<V> value;
        std::uint64_t version = 0;
        std::uint64_t sequence = 0;
        {
            const std::lock_guard lock(at.mutex);
            if (about == nullptr) {
                if (at.to_tell.empty()) {
                    --at.tellers;
                    co_return;
                }
                about = at.to_tell.pop();
            }
            const bool has_landed = about->landed != landing::none;
            if (const write& newest = about->newest();
                !newest.is_published && !(has_landed && !about->waiting) && !self->holes_.publish) {
                what = news::publish;
                sequence = newest.sequence;
                version = newest.version;
                try {
                    value = newest.value;
                    key = *about->key;
                } catch (...) {  // then it is not published: see below
                    key.reset();
                }
            } else if (has_landed && !about->waiting && !self->holes_.settle) {
                what = news::drop;
            }
            if (what == news::none) {
                about->tell = telling::idle;
                if (has_landed) {
                    self->land_locked(at, *about);
                }
                about = nullptr;
            }
        }
        if (what == news::none) {
            self->wake(at);
            self->changes_.notify_all();
            continue;
        }
        bool is_to_drop = what == news::drop;
        if (what == news::publish) {
            try {
                auto telling = publish(self, std::move(key.value()), std::move(value), version);
                co_await std::move(telling);
            } catch (
                ...) {  // it cannot be copied or encoded, or no memory: peers must not read what was before
                is_to_drop = true;
            }
        }
        if (is_to_drop) {
            try {
                auto telling = writes::async_invalidate(self->cache_, K(*about->key));
                co_await std::move(telling);
            } catch (...) {  // what L2 has lives until it is stale; what L2 fails, it does not throw
            }
        }
        const std::lock_guard lock(at.mutex);
        if (what == news::publish) {
            if (write* told = about->find(sequence)) {
                told->is_published = true;
            }
        } else if (!about->waiting) {
            // Settled. Landed here, under the same lock: a newer write would be told about anew.
            about->tell = telling::idle;
            self->land_locked(at, *about);
            about = nullptr;
            self->changes_.notify_all();
        }
    }
}

// L1 is not filled: what is pending is read first.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::publication_of(const K& key, const std::optional<V>& value,
                                                       std::uint64_t version) -> publication {
    const auto& lives = cache_->options().defaults;
    publication made;
    if (value) {
        auto put = cache_->begin_put(key, *value, lives, version);
        cache_->abandon_put(put);
        made = {std::move(put.name), std::move(put.text), std::move(put.remote), put.is_oversized};
    } else {
        auto put = cache_->begin_erasure(key);
        made = {std::move(put.name), std::move(put.text), {}, lives.negative_ttl <= duration::zero()};
        made.entry.is_negative = true;
        made.entry.stamp = cache_->remote()->stamp();
        made.entry.version = version;
        made.entry.fresh_left = made.entry.stale_left = lives.negative_ttl;
    }
    return made;
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::publish(self_ptr self, K key, std::optional<V> value,
                                                std::uint64_t version) -> awaitable<void> {
    using writes = cache_writes<cache_type>;
    const auto level = self->cache_->remote();
    if (level->has_store()) {
        auto preparing = writes::async_prepare(*self->cache_);
        co_await std::move(preparing);
        publication made = self->publication_of(key, value, version);
        auto beginning = level->async_begin_write(made.name);
        const auto token = co_await std::move(beginning);
        bool is_kept = false;
        if (token && !made.is_to_drop) {
            auto filling = level->async_fill(made.name, *token, std::move(made.entry));
            const auto filled = co_await std::move(filling);
            is_kept = filled.value_or(false);
        }
        if (!is_kept) {
            auto erasing = level->async_erase(made.name);
            co_await std::move(erasing);
        }
    }
    self->cache_->drop_local(key);
    auto announcing = level->async_announce(change::invalidated, self->cache_->text_of(key));
    co_await std::move(announcing);
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::watch(self_ptr self) -> awaitable<void> {
    bool is_told = false;
    while (!self->is_abandoned_.load()) {
        const duration age = self->oldest_age();
        if (self->keys_.load() == 0) {
            self->is_watching_.store(false);
            // A write that comes from here on starts another watcher; one that came before the line above has
            // not, so it is this one's, unless that other is there by now.
            if (self->keys_.load() == 0 || self->is_watching_.exchange(true)) {
                co_return;
            }
        }
        if (age < self->options_.age_alarm) {
            is_told = false;
        } else if (!is_told) {
            is_told = true;
            bump(self->counters_.alarms);
            try {
                const callback_gate::pass mine(self->callbacks_);
                if (mine) {
                    self->options_.on_age_alarm(age);
                }
            } catch (...) {  // the user's: documented as ignored
            }
        }
        const duration left = is_told ? self->options_.age_alarm / 2 : self->options_.age_alarm - age;
        const time_point until = after(self->time_->now(), (std::max)(left, duration(1'000'000)));
        try {
            self->watch_bell_->notify_at(self->time_, until);
        } catch (...) {  // no memory: the next write starts another
            self->is_watching_.store(false);
            co_return;
        }
        auto waiting = wake_up::async_wait(self->watch_bell_);
        co_await std::move(waiting);
        self->watch_bell_->notify_never();
    }
}

}  // namespace levee::cache_detail
