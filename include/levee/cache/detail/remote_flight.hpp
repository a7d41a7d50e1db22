/// A load that looks into the remote level first: its two drivers, without the value's type.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/cache/detail/asio_flight.hpp"
#include "levee/cache/detail/freshness.hpp"
#include "levee/cache/detail/leased_load.hpp"
#include "levee/cache/detail/load_gate.hpp"
#include "levee/cache/detail/remote_level.hpp"
#include "levee/cache/detail/wake_up.hpp"
#include "levee/cache/entry_options.hpp"

namespace levee {
class load_context;
}

namespace levee::cache_detail {

/// What a load is told about its surroundings. All of it is shared, since a load may outlive its cache.
struct flight_setup {
    entry_options options{};
    std::shared_ptr<async::scheduler> time{};
    std::shared_ptr<cache_counters> counters{};
    std::shared_ptr<trust> trusted{};
    std::shared_ptr<remote_level> remote{};  ///< Null: there is none.
    std::shared_ptr<load_gate> gate{};
    std::string key_text{};     ///< Empty without a remote level.
    std::string remote_name{};  ///< Empty: the key is too long for it.
    time_point deadline{};
    time_point soft_deadline = (time_point::max)();
    std::uint64_t refreshes =
        0;  ///< Serial of the entry that is to be replaced though it is usable; 0: none.
    std::uint64_t seed = 0;
    bool is_nested = false;  ///< Asked for by a loader, which must not wait for its own place.
};

/// What is known of the result besides its value; what L1 is told.
struct result_times {
    duration fresh_left{};  ///< duration::max(): for ever.
    duration stale_left{};
    duration cost{};
    std::uint64_t stamp = 0;
    std::uint64_t version = 0;
    std::vector<std::string> tags{};
};

/// Thread safety: what is not a flight's or an asio_flight's belongs to whoever runs the load, until
/// `finish`; it is not written after that.
class remote_flight : public asio_flight {
public:
    explicit remote_flight(flight_setup setup);

    /// Looks into the remote level, loads if need be, and fills. Blocks. Errors: the loader's;
    /// errc::timeout when another process loads and does not end.
    void obtain(load_context& context);
    [[nodiscard]] boost::asio::awaitable<void> async_obtain(load_context& context);

    /// News of this key: what waits for another process looks again.
    void wake() noexcept { wake_up_->notify(); }

    [[nodiscard]] const entry_options& options() const noexcept { return setup_.options; }
    [[nodiscard]] const flight_setup& setup() const noexcept { return setup_; }
    [[nodiscard]] const result_times& times() const noexcept { return times_; }
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }

    /// L1 may hold the result. False after a refused fill.
    [[nodiscard]] bool may_be_kept() const noexcept { return may_be_kept_; }

    /// The answer is an expired or suspect value.
    [[nodiscard]] bool is_reserve() const noexcept { return is_reserve_; }
    /// It came from the remote level: L1 does not have it yet.
    [[nodiscard]] bool is_remote_reserve() const noexcept { return is_remote_reserve_; }

    /// What stands in if loading fails: until when, and whether it is a suspect one.
    struct reserve_terms {
        time_point if_error_until = (time_point::min)();
        time_point stale_until = (time_point::min)();
        bool is_suspect = false;
        time_point suspect_until = (time_point::min)();
    };
    void offer_reserve(const reserve_terms& terms) noexcept { reserve_ = terms; }
    [[nodiscard]] const std::optional<reserve_terms>& reserve() const noexcept { return reserve_; }

    /// The load failed: true if the reserve answers instead, which then is the result.
    [[nodiscard]] bool fall_back(time_point now) noexcept;

protected:
    /// Runs the loader and keeps what it answers.
    virtual void load(load_context& context) = 0;
    [[nodiscard]] virtual boost::asio::awaitable<void> async_load(load_context& context) = 0;
    /// Takes an entry of the remote level as the result, or an expired one as the reserve. False: foreign.
    [[nodiscard]] virtual bool take(const remote_entry& entry, bool as_reserve) = 0;
    /// The result becomes the reserve's value.
    virtual void use_reserve() noexcept = 0;
    /// What the loader answered: its own life, tags and version. False: it failed.
    struct loaded_terms {
        bool is_usable = false;
        bool is_negative = false;
        std::optional<duration> ttl{};
        std::vector<std::string> tags{};
        std::uint64_t version = 0;
    };
    [[nodiscard]] virtual loaded_terms terms() = 0;
    /// Writes the result's value.
    virtual void encode(bytes& to) = 0;

    /// Another process loads: this load waits for it, and may never be needed. May be called repeatedly.
    virtual void on_waiting() noexcept {}
    /// The load is to run without a lease. True: whoever runs it sees to its place at the gate.
    [[nodiscard]] virtual bool shares_place() noexcept { return false; }

    /// Until `wake`. Spurious returns are possible.
    [[nodiscard]] boost::asio::awaitable<void> async_wait_for_news(bool by_timer);

    void on_stopping() noexcept override {
        wake_up_->notify();
        asio_flight::on_stopping();
    }

private:
    enum class filling : std::uint8_t { none, fill, release };

    [[nodiscard]] bool uses_store() const noexcept {
        return setup_.remote != nullptr && setup_.remote->has_store() && !setup_.remote_name.empty();
    }
    [[nodiscard]] leased_load new_steps() const;
    [[nodiscard]] leased_load::step decide(leased_load& steps, const std::optional<lease_answer>& answer);
    void begin_load() noexcept;
    [[nodiscard]] filling end_load(remote_entry& entry);
    void judge_fill(const std::optional<bool>& answer);
    [[nodiscard]] bool stands_in(time_point now) const noexcept;
    void take_reserve(cache_counters::counter& why) noexcept;
    [[nodiscard]] static boost::asio::awaitable<void> heartbeat(std::shared_ptr<remote_flight> self,
                                                                std::uint64_t token);
    [[nodiscard]] boost::asio::awaitable<void> load_leased(load_context& context, std::uint64_t token);
    [[nodiscard]] boost::asio::awaitable<void> load_alone(load_context& context);

    const flight_setup setup_;
    const std::shared_ptr<wake_up> wake_up_;
    std::uint32_t epoch_ = 0;
    result_times times_{};
    std::optional<reserve_terms> reserve_{};
    time_point load_began_{};
    bool may_be_kept_ = true;
    bool is_reserve_ = false;
    bool is_remote_reserve_ = false;
    bool has_counted_wait_ = false;
};

}  // namespace levee::cache_detail
