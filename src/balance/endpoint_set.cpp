#include "levee/balance/endpoint_set.hpp"

#include "balance/option_error.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace levee {
namespace detail {
namespace {

void complete(endpoint& given) {
    if (given.id.empty()) {
        given.id = given.host + ':' + std::to_string(given.port);
    }
    if (given.weight && !(*given.weight >= 0.0 && std::isfinite(*given.weight))) {
        balance_detail::refuse_option("endpoint::weight of \"" + given.id + '"',
                                      balance_detail::option_text(*given.weight), "finite and not negative");
    }
}

}  // namespace

class endpoint_set_core {
public:
    endpoint_changes update(std::vector<endpoint> given) {
        for (endpoint& one : given) {
            complete(one);
        }
        endpoint_changes changes;
        {
            const std::lock_guard lock(mutex_);
            changes = replace_locked(std::move(given));
        }
        if (changes.added + changes.changed + changes.removed > 0 || changes.reordered) {
            tell();
        }
        return changes;
    }

    bool add(endpoint added) {
        complete(added);
        bool is_new = false;
        bool has_changed = false;
        {
            const std::lock_guard lock(mutex_);
            const auto found = index_.find(added.id);
            is_new = found == index_.end();
            if (is_new || *current_->endpoints[found->second].data != added) {
                has_changed = true;
                auto next = copy_locked();
                const endpoint_key key = key_of(added.id);
                auto data = std::make_shared<const endpoint>(std::move(added));
                if (is_new) {
                    next->endpoints.push_back({data, key, true, false});
                    index_.emplace(data->id, next->endpoints.size() - 1);
                } else {
                    next->endpoints[found->second].data = std::move(data);
                }
                current_ = std::move(next);
            }
        }
        if (has_changed) {
            tell();
        }
        return is_new;
    }

    bool remove(std::string_view id) {
        {
            const std::lock_guard lock(mutex_);
            const auto found = index_.find(std::string(id));
            if (found == index_.end()) {
                return false;
            }
            auto next = copy_locked();
            next->endpoints.erase(next->endpoints.begin() + static_cast<std::ptrdiff_t>(found->second));
            reindex_locked(*next);
            current_ = std::move(next);
        }
        tell();
        return true;
    }

    bool set(bool listed_endpoint::* flag, std::string_view id, bool value) {
        {
            const std::lock_guard lock(mutex_);
            const auto found = index_.find(std::string(id));
            if (found == index_.end() || current_->endpoints[found->second].*flag == value) {
                return false;
            }
            auto next = copy_locked();
            next->endpoints[found->second].*flag = value;
            current_ = std::move(next);
        }
        tell();
        return true;
    }

    std::shared_ptr<const endpoint_list> snapshot() const {
        const std::lock_guard lock(mutex_);
        return current_;
    }

    void subscribe(const std::weak_ptr<endpoint_listener>& listener) {
        const std::lock_guard lock(mutex_);
        std::erase_if(listeners_, [](const auto& known) { return known.expired(); });
        listeners_.push_back(listener);
    }

private:
    std::shared_ptr<endpoint_list> copy_locked() const {
        auto next = std::make_shared<endpoint_list>(*current_);
        next->version += 1;
        return next;
    }

    void reindex_locked(const endpoint_list& list) {
        index_.clear();
        for (std::size_t i = 0; i < list.endpoints.size(); ++i) {
            index_.emplace(list.endpoints[i].data->id, i);
        }
    }

    endpoint_changes replace_locked(std::vector<endpoint>&& given) {
        endpoint_changes changes;
        auto next = std::make_shared<endpoint_list>();
        next->version = current_->version + 1;
        next->endpoints.reserve(given.size());
        std::unordered_map<std::string, std::size_t> index;
        index.reserve(given.size());
        std::size_t kept = 0;
        for (endpoint& one : given) {
            if (!index.try_emplace(one.id, next->endpoints.size()).second) {
                changes.duplicates += 1;
                continue;
            }
            const auto known = index_.find(one.id);
            if (known == index_.end()) {
                changes.added += 1;
                const endpoint_key key = key_of(one.id);
                next->endpoints.push_back(
                    {std::make_shared<const endpoint>(std::move(one)), key, true, false});
                continue;
            }
            kept += 1;
            changes.reordered |= known->second != next->endpoints.size();
            listed_endpoint& entry = next->endpoints.emplace_back(current_->endpoints[known->second]);
            if (*entry.data != one) {
                changes.changed += 1;
                entry.data = std::make_shared<const endpoint>(std::move(one));
            }
        }
        changes.removed = current_->endpoints.size() - kept;
        index_ = std::move(index);
        current_ = std::move(next);
        return changes;
    }

    void tell() {
        std::vector<std::shared_ptr<endpoint_listener>> told;
        {
            const std::lock_guard lock(mutex_);
            told.reserve(listeners_.size());
            for (const auto& listener : listeners_) {
                if (auto living = listener.lock()) {
                    told.push_back(std::move(living));
                }
            }
        }
        std::exception_ptr failed;  // of one; the others are told all the same
        for (const auto& listener : told) {
            try {
                listener->endpoints_changed();
            } catch (...) {
                failed = std::current_exception();
            }
        }
        if (failed) {
            std::rethrow_exception(failed);
        }
    }

    mutable std::mutex mutex_;  // guards all below
    std::shared_ptr<const endpoint_list> current_ = std::make_shared<endpoint_list>();
    std::unordered_map<std::string, std::size_t> index_;  // of current_, by id
    std::vector<std::weak_ptr<endpoint_listener>> listeners_;
};

}  // namespace detail

endpoint_set::endpoint_set() : core_(std::make_shared<detail::endpoint_set_core>()) {}

endpoint_set::endpoint_set(std::vector<endpoint> endpoints) : endpoint_set() {
    core_->update(std::move(endpoints));
}

endpoint_set::endpoint_set(std::initializer_list<endpoint> endpoints)
    : endpoint_set(std::vector<endpoint>(endpoints)) {}

endpoint_changes endpoint_set::update(std::vector<endpoint> endpoints) {
    return core_->update(std::move(endpoints));
}

bool endpoint_set::add(endpoint added) {
    return core_->add(std::move(added));
}

bool endpoint_set::remove(std::string_view id) {
    return core_->remove(id);
}

bool endpoint_set::set_health(std::string_view id, bool is_healthy) {
    return core_->set(&listed_endpoint::is_healthy, id, is_healthy);
}

bool endpoint_set::set_draining(std::string_view id, bool is_draining) {
    return core_->set(&listed_endpoint::is_draining, id, is_draining);
}

std::shared_ptr<const endpoint_list> endpoint_set::snapshot() const {
    return core_->snapshot();
}

void endpoint_set::subscribe(const std::weak_ptr<detail::endpoint_listener>& listener) {
    core_->subscribe(listener);
}

}  // namespace levee
