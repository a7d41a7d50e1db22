/// The policy of `local_cache`: never far from the best fixed one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "levee/local/detail/policy.hpp"
#include "local/shared_advisor.hpp"
#include "local/window_clock.hpp"

namespace levee::local_detail {

/// A `window_clock` over a shard's entries, divided as a `division_advisor` says.
///
/// *How the advisor learns of hits, which nobody tells.* A missed key comes as a newcomer. A hit leaves a
/// reference bit: it is seen when the entry is swept, or sooner when the sampled entries are asked in turn, a
/// few at each miss, so that a round takes about a quarter of the time in which the cache is turned over.
/// Further hits on an entry between two sweeps are not seen, nor needed: every way of dividing would have
/// had them, too.
///
/// *Cost.* A hit: nothing but the bit. A miss: some loads for the entries at the heads of both queues,
/// prefetched; at most `window_clock::most_moves + most_chances` entries are swept, and on average one; a
/// sampled key also goes through nine shadow caches. Memory: 4 bytes of
/// links (6 in shards of more than 65,535 entries), 1 of marks and 4 of history an entry, and the
/// shadows.
///
/// Thread safety: as every policy, under the shard's lock.
class adaptive_policy final : public eviction_policy {
public:
    /// `seed`: what an enemy who chooses keys must not know. `advisor`: shared by the cache's shards; null:
    /// it has one of its own. `weights`: as of `make_adaptive_policy`.
    explicit adaptive_policy(std::uint64_t seed, std::shared_ptr<shared_advisor> advisor = nullptr,
                             const entry_weights* weights = nullptr);
    ~adaptive_policy() override;
    adaptive_policy(const adaptive_policy&) = delete;
    adaptive_policy& operator=(const adaptive_policy&) = delete;

    void reserve(entry_id limit) override;
    void expect(std::size_t entries, std::size_t weight) override;
    void insert(entry_id id, std::uint32_t hash, std::size_t weight) noexcept override;
    void erase(entry_id id, removal_cause why) noexcept override;  ///< What was known of the key is lost.
    void erase(entry_id id, std::uint32_t hash, removal_cause why) noexcept override;
    void reweigh(entry_id id, std::size_t weight) noexcept override;
    [[nodiscard]] entry_id victim(policy_host& host, const newcomer* comes, entry_id keep) noexcept override;
    [[nodiscard]] std::size_t order(const policy_host& host, bool hottest_first, entry_id* ids,
                                    std::size_t count) const noexcept override;
    [[nodiscard]] replacement_report report() const noexcept override;
    [[nodiscard]] std::size_t memory() const noexcept override;

    // For tests.
    [[nodiscard]] const window_clock<entry_id>& clock() const noexcept { return clock_; }
    [[nodiscard]] const shared_advisor& advisor() const noexcept { return *advisor_; }
    [[nodiscard]] bool samples(std::uint32_t hash) const noexcept { return advisor_->samples(hash, advice_); }
    [[nodiscard]] std::size_t sampled() const noexcept { return sampled_.size(); }

private:
    static constexpr unsigned is_sampled = 0, is_told = 1;  // marks: of the sample; its use is known

    struct sweeping;  // the host, as `window_clock` asks it

    void size_up();
    void follow() noexcept;
    void begin_stock() noexcept;
    void take_stock(const policy_host& host) noexcept;
    void tell(std::uint32_t hash, std::uint64_t weight) noexcept;
    [[nodiscard]] std::uint64_t sample() const noexcept { return std::uint64_t{1} << advice_.sample_bits; }
    void ask_some(const policy_host& host) noexcept;
    void add_to_sample(entry_id id, std::uint32_t came) noexcept;
    void leave_sample(entry_id id, removal_cause why) noexcept;

    window_clock<entry_id> clock_;
    const std::shared_ptr<shared_advisor> advisor_;
    shared_advisor::advice advice_{};  // that is followed
    shared_advisor::share told_{};
    struct sampled_entry {
        entry_id id;
        std::uint32_t came;  // as `stored_` was then; `unknown_age`
    };
    static constexpr std::uint32_t unknown_age = 0;
    std::vector<sampled_entry> sampled_{};  // in any order; never grows beyond its capacity
    std::uint32_t stored_ = 0;              // entries, modulo 2^32
    std::uint64_t sampled_weight_ = 0;
    std::size_t next_asked_ = 0;  // into sampled_
    std::uint64_t due_ = 0;       // of entries to ask, in parts of 1 / sample()
    std::size_t limit_ = 0;       // of ids
    std::size_t expected_ = 0;    // entries when full; zero: not known
    std::size_t remembered_ = 0;  // entries that the history was sized for
    bool weighted_ = false;
    bool stock_is_old_ = false;     // the sample was changed: not all of its entries are in `sampled_`
    std::size_t next_stocked_ = 0;  // id to look at next for it
    bool made_room_ = false;        // a victim was asked for since the last insert
    bool is_full_ = false;
};

}  // namespace levee::local_detail
