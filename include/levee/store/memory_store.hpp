/// A remote store that is not remote: in this process, for tests, examples and services with one process.
#pragma once

#include <cstddef>
#include <memory>

#include "levee/store/remote_store.hpp"

namespace levee {

struct memory_store_options {
    /// Keys held at most; beyond them the one unused for longest goes, lease or not. 1 M. At least 1.
    std::size_t max_entries = 1'000'000;

    /// The time by which entries and leases end. Null: `clock::coarse()`. Must outlive the store.
    const levee::clock* clock = nullptr;
};

/// Meets the whole contract of `remote_store` within one process: several caches that share one are nodes
/// to each other.
///
/// Thread safety: safe. Blocks: on a mutex, shortly; the awaitable forms never suspend.
/// Errors: std::bad_alloc; std::invalid_argument from the constructor, and for a lease that is not above
/// zero. Cost: under a microsecond; about 200 bytes an entry besides its own.
class memory_store final : public remote_store {
public:
    explicit memory_store(const memory_store_options& options = {});
    ~memory_store() override;
    memory_store(const memory_store&) = delete;
    memory_store& operator=(const memory_store&) = delete;

    [[nodiscard]] remote_capabilities capabilities() const override { return {}; }

    [[nodiscard]] std::vector<std::optional<remote_entry>> get(std::vector<std::string> keys) override;
    [[nodiscard]] lease_answer get_or_lease(lease_request request) override;
    [[nodiscard]] bool fill(std::string key, std::uint64_t token, remote_entry entry) override;
    [[nodiscard]] bool extend(std::string key, std::uint64_t token, duration lease) override;
    void release(std::string key, std::uint64_t token) override;
    void put(std::string key, remote_entry entry) override;
    [[nodiscard]] bool put_if_newer(std::string key, remote_entry entry) override;
    [[nodiscard]] std::uint64_t begin_write(std::string key, duration lease) override;
    void erase(std::vector<std::string> keys) override;
    void expire(std::string key) override;
    [[nodiscard]] bool touch(std::string key, duration fresh_left, duration stale_left) override;
    [[nodiscard]] remote_marks marks(std::string name_space) override;
    [[nodiscard]] std::uint64_t mark(std::string name_space, std::string what) override;

    [[nodiscard]] awaitable<std::vector<std::optional<remote_entry>>> async_get(
        std::vector<std::string> keys) override;
    [[nodiscard]] awaitable<lease_answer> async_get_or_lease(lease_request request) override;
    [[nodiscard]] awaitable<bool> async_fill(std::string key, std::uint64_t token,
                                             remote_entry entry) override;
    [[nodiscard]] awaitable<bool> async_extend(std::string key, std::uint64_t token, duration lease) override;
    [[nodiscard]] awaitable<void> async_release(std::string key, std::uint64_t token) override;
    [[nodiscard]] awaitable<void> async_put(std::string key, remote_entry entry) override;
    [[nodiscard]] awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override;
    [[nodiscard]] awaitable<std::uint64_t> async_begin_write(std::string key, duration lease) override;
    [[nodiscard]] awaitable<void> async_erase(std::vector<std::string> keys) override;
    [[nodiscard]] awaitable<void> async_expire(std::string key) override;
    [[nodiscard]] awaitable<bool> async_touch(std::string key, duration fresh_left,
                                              duration stale_left) override;
    [[nodiscard]] awaitable<remote_marks> async_marks(std::string name_space) override;
    [[nodiscard]] awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override;

    /// Forgets everything, as a server that restarts without its data: entries, leases, counters.
    void lose_data();

    [[nodiscard]] std::size_t size() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace levee
