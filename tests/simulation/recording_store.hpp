// A store that tells what reached it, and passes everything on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/store/backplane.hpp"
#include "levee/store/remote_store.hpp"

namespace levee {

class recording_store final : public remote_store {
public:
    /// `stored`: an entry took its place, by a fill or by a put. `erased`: whatever drops or voids a key.
    struct events {
        std::function<void(const std::string& key, const remote_entry& entry, bool is_fill)> stored{};
        std::function<void(const std::string& key)> erased{};
        std::function<void(std::uint64_t count)> marked{};
    };

    recording_store(std::shared_ptr<remote_store> inner, events tell)
        : inner_(std::move(inner)), tell_(std::move(tell)) {}

    [[nodiscard]] remote_capabilities capabilities() const override { return inner_->capabilities(); }
    [[nodiscard]] awaitable<std::vector<std::optional<remote_entry>>> async_get(
        std::vector<std::string> keys) override {
        co_return inner_->get(std::move(keys));
    }
    [[nodiscard]] awaitable<lease_answer> async_get_or_lease(lease_request request) override {
        co_return inner_->get_or_lease(std::move(request));
    }
    [[nodiscard]] awaitable<bool> async_fill(std::string key, std::uint64_t token,
                                             remote_entry entry) override {
        const bool is_stored = inner_->fill(key, token, entry);
        if (is_stored) {
            tell_.stored(key, entry, true);
        }
        co_return is_stored;
    }
    [[nodiscard]] awaitable<bool> async_extend(std::string key, std::uint64_t token,
                                               duration lease) override {
        co_return inner_->extend(std::move(key), token, lease);
    }
    [[nodiscard]] awaitable<void> async_release(std::string key, std::uint64_t token) override {
        inner_->release(std::move(key), token);
        co_return;
    }
    [[nodiscard]] awaitable<void> async_put(std::string key, remote_entry entry) override {
        inner_->put(key, entry);
        tell_.stored(key, entry, false);
        co_return;
    }
    [[nodiscard]] awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override {
        const bool is_stored = inner_->put_if_newer(key, entry);
        if (is_stored) {
            tell_.stored(key, entry, false);
        }
        co_return is_stored;
    }
    [[nodiscard]] awaitable<std::uint64_t> async_begin_write(std::string key, duration lease) override {
        tell_.erased(key);
        co_return inner_->begin_write(std::move(key), lease);
    }
    [[nodiscard]] awaitable<void> async_erase(std::vector<std::string> keys) override {
        for (const std::string& key : keys) {
            tell_.erased(key);
        }
        inner_->erase(std::move(keys));
        co_return;
    }
    [[nodiscard]] awaitable<void> async_expire(std::string key) override {
        tell_.erased(key);
        inner_->expire(std::move(key));
        co_return;
    }
    [[nodiscard]] awaitable<bool> async_touch(std::string key, duration fresh_left,
                                              duration stale_left) override {
        co_return inner_->touch(std::move(key), fresh_left, stale_left);
    }
    [[nodiscard]] awaitable<remote_marks> async_marks(std::string name_space) override {
        co_return inner_->marks(std::move(name_space));
    }
    [[nodiscard]] awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override {
        const std::uint64_t count = inner_->mark(std::move(name_space), std::move(what));
        tell_.marked(count);
        co_return count;
    }

private:
    const std::shared_ptr<remote_store> inner_;
    const events tell_;
};

/// A backplane whose messages about keys carry the moment at which they were sent, as their count, which
/// nobody else reads.
class recording_backplane final : public backplane {
public:
    recording_backplane(std::shared_ptr<backplane> inner, std::function<std::uint64_t()> moment)
        : inner_(std::move(inner)), moment_(std::move(moment)) {}

    [[nodiscard]] boost::asio::awaitable<void> async_publish(backplane_message message) override {
        if (message.what != change::marked) {
            message.count = moment_();
        }
        inner_->publish(std::move(message));
        co_return;
    }
    [[nodiscard]] backplane_subscription subscribe(message_handler on_message, gap_handler on_gap) override {
        return inner_->subscribe(std::move(on_message), std::move(on_gap));
    }
    [[nodiscard]] time_point fresh_until() const noexcept override { return inner_->fresh_until(); }

private:
    const std::shared_ptr<backplane> inner_;
    const std::function<std::uint64_t()> moment_;
};

}  // namespace levee
