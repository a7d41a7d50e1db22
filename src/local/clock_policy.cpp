#include <algorithm>
#include <bit>
#include <vector>

#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {
namespace {

class clock_policy final : public eviction_policy {
public:
    void reserve(entry_id limit) override {
        if (present_.size() * 64 < limit) {
            present_.resize(std::max((std::size_t{limit} + 63) / 64, present_.size() + present_.size() / 2));
        }
    }
    void expect(std::size_t /*entries*/, std::size_t /*weight*/) override {}

    void insert(entry_id id, std::uint32_t /*hash*/, std::size_t /*weight*/) noexcept override {
        word_of(id) |= bit_of(id);
        ++size_;
    }
    using eviction_policy::erase;
    void erase(entry_id id, removal_cause /*why*/) noexcept override {
        word_of(id) &= ~bit_of(id);
        --size_;
    }
    void reweigh(entry_id /*id*/, std::size_t /*weight*/) noexcept override {}

    entry_id victim(policy_host& host, const newcomer* /*comes*/, entry_id keep) noexcept override {
        if (size_ == 0) {
            return no_entry;
        }
        // One round takes every reference bit that is set, so the next one finds a victim if there is one.
        for (std::size_t steps = 2 * size_; steps > 0; --steps) {
            hand_ = next(hand_);
            host.prefetch(next(hand_ + 1 + prefetched));
            const entry_id candidate = hand_++;
            if (candidate != keep && !host.take_reference(candidate)) {
                return candidate;
            }
        }
        return no_entry;
    }

    std::size_t order(const policy_host& host, bool hottest_first, entry_id* ids,
                      std::size_t count) const noexcept override {
        // The hand passes all once: those not used go in its order, the others in the next round.
        std::size_t found = 0;
        for (const bool wanted : {hottest_first, !hottest_first}) {
            entry_id at = hand_;
            for (std::size_t left = size_; left > 0 && found < count; --left) {
                at = hottest_first ? previous(at) : next(at);
                if (host.is_referenced(at) == wanted) {
                    ids[found++] = at;
                }
                at += hottest_first ? 0U : 1U;
            }
        }
        return found;
    }

    std::size_t memory() const noexcept override { return present_.capacity() * sizeof(std::uint64_t); }

private:
    static constexpr entry_id prefetched = 4;

    std::uint64_t& word_of(entry_id id) noexcept { return present_[id / 64]; }
    static std::uint64_t bit_of(entry_id id) noexcept { return std::uint64_t{1} << id % 64; }

    /// The first entry from `id` on, round the end; there must be one.
    entry_id next(entry_id id) const noexcept {
        std::size_t word = id / 64;
        if (word >= present_.size()) {
            word = 0;
            id = 0;
        }
        std::uint64_t bits = present_[word] & ~std::uint64_t{0} << id % 64;
        while (bits == 0) {
            word = word + 1 == present_.size() ? 0 : word + 1;
            bits = present_[word];
        }
        return static_cast<entry_id>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
    }

    /// The last entry before `id`, round the end; there must be one.
    entry_id previous(entry_id id) const noexcept {
        std::size_t word = std::min<std::size_t>(id / 64, present_.size());
        std::uint64_t bits = word < present_.size() ? present_[word] & (bit_of(id) - 1) : 0;
        while (bits == 0) {
            word = word == 0 ? present_.size() - 1 : word - 1;
            bits = present_[word];
        }
        return static_cast<entry_id>(word * 64 + 63U - static_cast<std::size_t>(std::countl_zero(bits)));
    }

    std::vector<std::uint64_t> present_;  // a bit an id
    std::size_t size_ = 0;
    entry_id hand_ = 0;  // looks at this one next
};

}  // namespace

std::unique_ptr<eviction_policy> make_clock_policy() {
    return std::make_unique<clock_policy>();
}

}  // namespace levee::local_detail
