/// One advisor for all shards of a cache, asked and told under their locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "levee/local/replacement_report.hpp"
#include "local/age_histogram.hpp"
#include "local/division_advisor.hpp"

namespace levee::local_detail {

/// A `division_advisor` that shards share: keys are spread over shards by their hashes, so what divides one
/// shard best divides all of them best, and one sample of the whole cache says it better than one of each.
///
/// Advice is read without a lock. What is told by two shards at once is told by one of them: the other's
/// request is passed over, as if its key had not been asked for just now. So nobody waits, and one thread
/// alone has the same advice each time.
///
/// Thread safety: safe; its mutex is taken under a shard's, and nothing is taken under it.
class shared_advisor {
public:
    /// For so many shards. `seed`: what an enemy who chooses keys must not know.
    shared_advisor(std::uint64_t seed, std::size_t shards) noexcept
        : seed_(seed), shards_(shards), advisor_(seed) {}
    shared_advisor(const shared_advisor&) = delete;
    shared_advisor& operator=(const shared_advisor&) = delete;

    struct advice {
        std::uint32_t generation = 0;  ///< Of the sample; zero: there is none yet.
        std::uint8_t sample_bits = 0;  ///< One key in two to the power of this is sampled.
        std::uint8_t chosen = division_advisor::first;

        friend bool operator==(const advice&, const advice&) = default;
    };
    /// Cost: a load of what is seldom written.
    [[nodiscard]] advice current() const noexcept {
        const std::uint64_t word = advice_.load(std::memory_order_relaxed);  // nothing else goes with it
        return {static_cast<std::uint32_t>(word >> 16), static_cast<std::uint8_t>(word >> 8),
                static_cast<std::uint8_t>(word)};
    }
    [[nodiscard]] bool samples(std::uint32_t hash, const advice& as_of) const noexcept {
        return as_of.generation != 0 && is_in_sample(hash, seed_, as_of.sample_bits);
    }

    /// Each shard will hold about `entries`. `is_known`: that is its bound; else only what was seen of one of
    /// them, and small differences are ignored. Errors: std::bad_alloc; nothing is changed.
    void expect(std::size_t entries, bool is_known, bool weighted);

    /// What a shard has of the sample: as it told last.
    struct share {
        std::uint32_t generation = 0;
        std::size_t entries = 0;
        std::uint64_t weight = 0;
    };
    /// A shard begins to take part; `leave` with what it told last, or nothing, before it ends.
    void join() noexcept;
    void leave(const share& told) noexcept;

    /// A request for a key of the sample. `now`: what the shard holds of it, its generation zero while that
    /// is not known. `is_full`: whether the cache holds what it can.
    void tell(std::uint32_t hash, std::uint64_t weight, share& told, const share& now, bool is_full) noexcept;

    /// An entry of the sample was evicted after its shard had stored `age` others.
    void tell_age(std::uint64_t age) noexcept;

    [[nodiscard]] std::optional<division_advisor::miss_factors> factors() const noexcept;
    [[nodiscard]] std::optional<replacement_report::ages> ages() const noexcept;

    /// One shard's part of what is allocated, this included.
    [[nodiscard]] std::size_t memory_of_a_shard() const noexcept;

private:
    void publish() noexcept;

    const std::uint64_t seed_;
    const std::size_t shards_;
    std::atomic<std::uint64_t> advice_{division_advisor::first};
    alignas(64) mutable std::mutex mutex_{};  // of all below; above is what is read at each miss
    division_advisor advisor_;
    std::uint32_t generation_ = 0;
    std::size_t sized_for_ = 0;  // entries
    std::size_t members_ = 0;
    std::size_t counted_ = 0;  // members that have told what they hold
    std::size_t held_entries_ = 0;
    std::uint64_t held_weight_ = 0;
    age_histogram ages_{};
};

}  // namespace levee::local_detail
