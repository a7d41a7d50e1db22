/// A look-up of many keys in L1, and of what it does not have in L2 with one question.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/cache/detail/cache_core.hpp"

namespace levee::cache_detail {

/// The distinct ones among some keys, in the order of their first appearance.
template <class K, class Hash, class Eq>
class distinct_keys {
public:
    explicit distinct_keys(std::vector<K> keys) {
        places_.reserve(keys.size());
        std::unordered_map<K, std::size_t, Hash, Eq> seen(keys.size());
        for (K& key : keys) {
            const auto [it, is_new] = seen.try_emplace(key, keys_.size());
            places_.push_back(it->second);
            if (is_new) {
                keys_.push_back(std::move(key));
            }
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    [[nodiscard]] const K& operator[](std::size_t i) const noexcept { return keys_[i]; }
    /// For each key as it was given: which of the distinct ones it is.
    [[nodiscard]] const std::vector<std::size_t>& places() const noexcept { return places_; }

private:
    std::vector<K> keys_;
    std::vector<std::size_t> places_;
};

/// Thread safety: unsafe.
template <class Core>
class bulk_look {
public:
    using K = typename Core::key_type;
    using V = typename Core::mapped_type;
    using keys_type = distinct_keys<K, typename Core::table_type::mixed_hash, typename Core::equal_type>;
    using values = std::vector<std::optional<V>>;

    bulk_look(Core& core, std::vector<K> keys) : core_(core), keys_(std::move(keys)), values_(keys_.size()) {}

    [[nodiscard]] const keys_type& keys() const noexcept { return keys_; }

    /// In L1, as `get` does.
    void find() {
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            if (!core_.find(keys_[i], values_[i])) {
                open_.push_back(i);
            }
        }
    }

    /// This one is to be looked up in L2.
    void leave_open(std::size_t i) { open_.push_back(i); }

    [[nodiscard]] bool is_to_be_asked() const noexcept {
        return !open_.empty() && core_.remote() != nullptr && core_.remote()->has_store();
    }

    /// The names to ask L2 for. From here on an invalidation keeps an older answer out of L1.
    [[nodiscard]] std::vector<std::string> ask() {
        std::vector<std::string> names;
        names.reserve(open_.size());
        looks_.reserve(open_.size());
        for (const std::size_t i : open_) {
            looks_.push_back(core_.begin_look(keys_[i]));
            names.push_back(core_.name_of(keys_[i]));
        }
        return names;
    }

    /// What L2 says to `ask`. `heard(i, result)` is told of each.
    template <class Heard>
    void take(std::optional<std::vector<std::optional<remote_entry>>> answers, Heard&& heard) {
        for (std::size_t n = 0; n < open_.size(); ++n) {
            heard(open_[n], core_.end_look(keys_[open_[n]], std::move(looks_[n]),
                                           answers ? std::move((*answers)[n]) : std::nullopt));
        }
        open_.clear();
        looks_.clear();
    }

    void take(std::optional<std::vector<std::optional<remote_entry>>> answers) {
        take(std::move(answers), [this](std::size_t i, lookup_result<V>&& result) {
            if (result.state == entry_state::fresh) {
                values_[i] = std::move(result.value);
            }
        });
    }

    /// One for each key as it was given.
    [[nodiscard]] values result() { return in_order(keys_, values_); }

    /// The values of the distinct keys as one for each key; the last use of each takes it.
    [[nodiscard]] static values in_order(const keys_type& keys, values& of_distinct) {
        std::vector<std::size_t> uses(keys.size());
        for (const std::size_t i : keys.places()) {
            ++uses[i];
        }
        values all;
        all.reserve(keys.places().size());
        for (const std::size_t i : keys.places()) {
            if (--uses[i] == 0) {
                all.push_back(std::move(of_distinct[i]));
            } else {
                all.push_back(of_distinct[i]);
            }
        }
        return all;
    }

private:
    Core& core_;
    keys_type keys_;
    values values_;
    std::vector<std::size_t> open_;
    std::vector<typename Core::pending_look> looks_;
};

/// L1, then the remote level; nothing is loaded.
template <class Core>
[[nodiscard]] typename bulk_look<Core>::values find_many(Core& core,
                                                         std::vector<typename Core::key_type> keys) {
    bulk_look<Core> look(core, std::move(keys));
    look.find();
    if (look.is_to_be_asked()) {
        look.take(core.remote()->get_many(look.ask()));
    }
    return look.result();
}

}  // namespace levee::cache_detail
