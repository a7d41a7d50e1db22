/// A remote store that is far away and unreliable, over one that is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "levee/async/scheduler.hpp"
#include "levee/store/remote_store.hpp"
#include "levee/testing/chaos_link.hpp"

namespace levee::testing {

/// What goes wrong. By default nothing does. Shares are of all calls, in [0, 1]; at most one of `refuse`,
/// `lose_answer`, `late` and `silence` befalls a call, so their sum is at most 1.
struct chaos_store_options {
    /// Equal seeds and equal calls give equal faults.
    std::uint64_t seed = 1;

    /// Before the store does a call, and before its answer is there: each drawn evenly from zero to this.
    /// Zero: without suspending.
    duration call_delay{};
    duration answer_delay{};

    double refuse = 0.0;       ///< Not done: errc::unavailable.
    double lose_answer = 0.0;  ///< Done, and errc::timeout in place of the answer.
    double late = 0.0;         ///< errc::timeout (or cancelled), and done all the same some time after.
    duration late_delay = std::chrono::seconds(1);  ///< Up to so long after the call began. Above zero.
    double silence = 0.0;                           ///< No answer until cancelled; done or not, evenly.

    /// Entries whose payload comes back shorter or longer than it was, as foreign bytes: any codec that
    /// checks lengths finds it. Negative entries are spared.
    double resize = 0.0;

    /// Entries of which a bit of the payload has changed: only a codec with a checksum finds it.
    double garble = 0.0;

    /// Before how many calls the store forgets everything, through `lose_data`.
    double lose = 0.0;
    std::function<void()> lose_data{};
};

/// What has gone wrong so far, so that a test can see that it did.
struct chaos_store_counts {
    std::uint64_t calls = 0, refused = 0, lost_answers = 0, late = 0, silent = 0, resized = 0, garbled = 0,
                  losses = 0;
};

/// Passes calls to another store, late, and not all of them. One node's way to a shared store is one
/// chaos_store, so that each can be cut off alone.
///
///     testing::simulation world(seed);
///     const auto shared = std::make_shared<memory_store>(...);
///     const auto mine = std::make_shared<testing::chaos_store>(
///         shared, world.scheduler(), testing::chaos_store_options{.seed = seed, .call_delay = 2ms});
///     mine->set_link(testing::chaos_link::is_silent);  // a partition
///
/// Waits on `time` only, hence deterministic on a simulation. The awaitable forms end early, with
/// errc::cancelled, when they are cancelled (terminal); a call that was cancelled before the store had it is
/// not done, unless it is `late`. The blocking forms drive the awaitable ones: not on a simulation.
///
/// Thread safety: safe, if `inner` is. Errors: std::invalid_argument naming an option that is out of range;
/// what `inner` throws; those above.
class chaos_store final : public remote_store {
public:
    chaos_store(std::shared_ptr<remote_store> inner, std::shared_ptr<async::scheduler> time,
                const chaos_store_options& options = {});
    ~chaos_store() override;
    chaos_store(const chaos_store&) = delete;
    chaos_store& operator=(const chaos_store&) = delete;

    /// For calls from now on; the drawing goes on where it was, whatever `seed` is.
    void set_options(const chaos_store_options& options);

    /// Cuts or heals. Calls under way are concerned when they reach the store, and when their answers come
    /// back: what was lost in silence stays lost.
    void set_link(chaos_link link);

    [[nodiscard]] chaos_store_counts counts() const;

    [[nodiscard]] remote_capabilities capabilities() const override;
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

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace levee::testing
