/// One load through the remote level: the decisions, without I/O.
///
///   asked the store            answer                         next
///   ────────────────────────────────────────────────────────────────────────────────────────
///   a usable entry             use it                         use_entry
///   an unusable one            foreign, corrupt or marked     ask once more, even if fresh
///   granted                    we load, and fill              load (leased)
///   busy, before lease_wait    wait for a message, or poll    wait
///   busy, after it             a reserve if there is one      use_reserve, else time_out
///   no answer                  the source is asked alone      load (not leased: nothing is filled)
///   no answer, suspect held    the suspect one stands in      use_reserve
#pragma once

#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"
#include "levee/store/remote_store.hpp"

namespace levee::cache_detail {

struct leased_load_options {
    duration lease_wait{};       ///< How long a busy key is waited for.
    duration poll_first{};       ///< The first wait between two looks; doubled up to `poll_most`.
    duration poll_most{};        ///< Jittered down by up to half.
    bool even_if_fresh = false;  ///< A fresh entry does not answer: this is a refresh.
};

/// Thread safety: unsafe.
class leased_load {
public:
    enum class step : std::uint8_t { ask, load, wait, use_entry, use_reserve, time_out };

    leased_load(const leased_load_options& options, time_point now, std::uint64_t seed) noexcept
        : options_(options), gives_up_at_(after(now, options.lease_wait)), random_(seed) {
        even_if_fresh_ = options.even_if_fresh;
    }

    /// Whether the next question wants a lease although a fresh entry is there.
    [[nodiscard]] bool even_if_fresh() const noexcept { return even_if_fresh_; }

    /// The store has answered. `is_usable`: of an entry that came with it, as fresh or as reserve.
    [[nodiscard]] step on_answer(const lease_answer& answer, bool is_usable, bool has_reserve,
                                 time_point now) noexcept;

    /// The store does not answer. `stands_in`: a suspect value is held that may do so.
    [[nodiscard]] step on_no_answer(bool stands_in) const noexcept {
        return stands_in ? step::use_reserve : step::load;
    }

    /// After `wait`: how long.
    [[nodiscard]] duration wait_for() const noexcept { return wait_for_; }

    /// The token to fill with, or to release when an entry or a reserve is used; 0: the load is not leased.
    [[nodiscard]] std::uint64_t token() const noexcept { return token_; }

    /// Whether another's load was waited for.
    [[nodiscard]] bool has_waited() const noexcept { return polls_ > 0; }

private:
    leased_load_options options_;
    time_point gives_up_at_;
    splitmix64 random_;
    bool even_if_fresh_ = false;
    std::uint32_t polls_ = 0;
    duration wait_for_{};
    std::uint64_t token_ = 0;
};

}  // namespace levee::cache_detail
