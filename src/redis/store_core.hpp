/// What `redis::store` does, once for its blocking and its awaitable forms: which command each operation is,
/// and what its answer says.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "levee/redis/store.hpp"
#include "redis/entry_layout.hpp"
#include "redis/server_clock.hpp"
#include "redis/store_scripts.hpp"

namespace levee::redis::detail {

/// What came back: of a command `one`, of a pipeline `parts`.
struct raw_answer {
    reply one{};
    std::vector<reply> parts{};
};

/// A script with its words; or a command in its place: where the server has no scripts, or none is needed.
struct store_call {
    const script* what = nullptr;
    std::string key{};
    std::vector<std::string> arguments{};
    std::optional<command> instead{};

    [[nodiscard]] command by_name() const;
    [[nodiscard]] command in_full() const;
};

/// A read of keys, perhaps with the server's time before it.
struct read_plan {
    std::optional<command> one{};  ///< One key, and the time is known.
    pipeline many{};
    bool has_time = false;
    bool is_bulk = false;  ///< One MGET for all keys, and not a GET for each.
};

class store_core : public std::enable_shared_from_this<store_core> {
public:
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    store_core(std::shared_ptr<client> over, std::shared_ptr<client_core> connections,
               const store_options& options);

    [[nodiscard]] const store_options& options() const noexcept { return options_; }
    [[nodiscard]] client& over() const noexcept { return *over_; }
    [[nodiscard]] store_stats stats() const noexcept;
    void close() noexcept { is_closed_.store(true, std::memory_order_release); }
    [[nodiscard]] bool is_closed() const noexcept { return is_closed_.load(std::memory_order_acquire); }

    // Sending. Scripts' answers teach the clock; error answers throw, as do those that do not come.
    // Errors: as `store` says.
    [[nodiscard]] reply ask(const store_call& call);
    [[nodiscard]] static awaitable<reply> async_ask(std::shared_ptr<store_core> self, store_call call);
    [[nodiscard]] std::vector<reply> ask_all(pipeline all);
    [[nodiscard]] static awaitable<std::vector<reply>> async_ask_all(std::shared_ptr<store_core> self,
                                                                     pipeline all);
    [[nodiscard]] raw_answer ask_read(const read_plan& plan);
    [[nodiscard]] static awaitable<raw_answer> async_ask_read(std::shared_ptr<store_core> self,
                                                              std::shared_ptr<const read_plan> plan);

    /// Sends a release and waits for nothing: the lease that was asked for may have been given after all, to
    /// nobody, and would keep everybody waiting until it ends.
    void abandon(const std::string& key, std::uint64_t token, duration lease);

    // The server's clock, for what needs it and was not told.
    [[nodiscard]] bool knows_time() const noexcept { return clock_.knows(connections_->generations()); }
    void ask_time();
    [[nodiscard]] static awaitable<void> async_ask_time(std::shared_ptr<store_core> self);
    /// Commands in the place of scripts carry times.
    [[nodiscard]] bool needs_time() const noexcept { return !has_scripts() && !knows_time(); }

    // What the server can do.
    void probe();
    [[nodiscard]] static awaitable<void> async_probe(std::shared_ptr<store_core> self);
    [[nodiscard]] bool is_probed() const noexcept { return is_probed_.load(std::memory_order_acquire); }
    [[nodiscard]] bool has_scripts() const noexcept { return has_scripts_.load(std::memory_order_acquire); }
    /// True: to be planned again, as the keys of one command (`was_bulk`: there was one) are in different
    /// slots, of what is therefore known to be a Cluster from now on.
    [[nodiscard]] bool learns_cluster(const error& why, bool was_bulk) noexcept;
    /// Throws levee::errc::unavailable if it has none.
    void need_scripts(const char* for_what) const;

    // Operations: what is asked, and what the answer says.
    [[nodiscard]] read_plan plan_read(const std::vector<std::string>& keys) const;
    [[nodiscard]] std::vector<std::optional<remote_entry>> read(const read_plan& plan, raw_answer answer,
                                                                const std::vector<std::string>& keys);
    [[nodiscard]] store_call lease(const lease_request& request, std::uint64_t token) const;
    /// Empty: the fresh entry that was found is damaged; to be asked again `even_if_fresh`.
    [[nodiscard]] std::optional<lease_answer> leased(const reply& answer, const lease_request& request,
                                                     std::uint64_t token);
    [[nodiscard]] static lease_answer leased_plainly(std::optional<remote_entry> found,
                                                     const lease_request& request, std::uint64_t token);
    [[nodiscard]] store_call fill(const std::string& key, std::uint64_t token, const remote_entry& entry);
    [[nodiscard]] store_call put(const std::string& key, const remote_entry& entry);
    [[nodiscard]] store_call put_if_newer(const std::string& key, const remote_entry& entry);
    [[nodiscard]] store_call begin_write(const std::string& key, std::uint64_t token, duration lease) const;
    [[nodiscard]] store_call extend(const std::string& key, std::uint64_t token, duration lease) const;
    [[nodiscard]] store_call release(const std::string& key, std::uint64_t token) const;
    [[nodiscard]] pipeline erase(const std::vector<std::string>& keys) const;
    [[nodiscard]] store_call expire(const std::string& key) const;
    [[nodiscard]] store_call touch(const std::string& key, duration fresh_left, duration stale_left) const;
    [[nodiscard]] store_call marks(const std::string& name_space) const;
    [[nodiscard]] store_call mark(const std::string& name_space, const std::string& what) const;
    [[nodiscard]] remote_marks marks_of(const std::string& name_space, const reply& answer);
    [[nodiscard]] std::uint64_t mark_of(const std::string& name_space, const reply& answer);

    [[nodiscard]] std::uint64_t new_token() noexcept;

private:
    [[nodiscard]] time_point deadline() const noexcept { return connections_->deadline({}); }
    [[nodiscard]] time_point blocking_deadline() const noexcept {
        return connections_->blocking_deadline({});
    }
    template <class From>
    [[nodiscard]] raw_answer send(From from, time_point until);
    template <class From>
    [[nodiscard]] static awaitable<raw_answer> async_send(std::shared_ptr<store_core> self, From from,
                                                          time_point until);
    void learn(time_point asked, const reply& answer, bool is_script);
    [[nodiscard]] bool learn_time(time_point asked, const reply& answer);
    void take_own_time();
    void check(const reply& answer);
    void judge_probe(time_point asked, const std::vector<reply>& answers);
    [[nodiscard]] command removal(const std::string& key) const;
    [[nodiscard]] std::optional<remote_entry> entry_of(const reply& stored, const std::string& key,
                                                       bool is_fresh = false);
    [[nodiscard]] store_call writing(const script& what, const std::string& key, const remote_entry& entry,
                                     const std::uint64_t* token);
    [[nodiscard]] std::uint64_t least_count(const std::string& name_space) const;
    void remember_count(const std::string& name_space, std::uint64_t count);

    const std::shared_ptr<client> over_;
    const std::shared_ptr<client_core> connections_;
    const store_options options_;
    const std::uint64_t first_token_;
    std::atomic<std::uint64_t> tokens_{0};
    server_clock clock_;
    std::atomic<bool> is_closed_{false};
    std::atomic<bool> is_probed_{false};
    std::atomic<bool> has_scripts_{true};
    std::atomic<bool> has_time_{true};
    std::atomic<bool> is_cluster_{false};
    std::atomic<std::uint64_t> corrupt_{0}, foreign_{0}, oversized_{0}, compressed_{0};

    mutable std::mutex mutex_;                       // guards what follows; taken alone
    std::map<std::string, std::uint64_t> counts_{};  // the highest known of each namespace
};

}  // namespace levee::redis::detail
