/// A checker of recorded histories: could these concurrent operations on one cell have happened one at a
/// time?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace levee::test {

/// One operation on one key as its caller saw it: when it began and when it ended, in ticks of one clock for
/// all threads. A value's absence is a value, too.
struct operation {
    enum class kind : std::uint8_t { read, write, add };  // add: value_before + 1, absence counts as 0
    kind what;
    std::optional<int>
        value;  ///< Read: what was seen. Write: what was stored, empty: removed. Add: the result.
    std::uint64_t begin;
    std::uint64_t end;
};

/// Whether there is an order of the operations, in which none that ended comes after one that began later,
/// such that each read sees the last write before it (Herlihy, Wing 1990). By depth-first search over the
/// sets of operations done, remembered so that none is tried twice (Lowe 2017). The cell is absent at first.
/// At most 64 operations. `may_vanish`: a value may be removed by itself at any time (a cache's evictions).
class linearizability_checker {
public:
    explicit linearizability_checker(std::vector<operation> history, bool may_vanish = false)
        : history_(std::move(history)), may_vanish_(may_vanish) {}

    [[nodiscard]] bool holds() { return search(0, std::nullopt); }

private:
    using state = std::pair<std::uint64_t, std::optional<int>>;

    bool search(std::uint64_t done, std::optional<int> value) {
        if (done == all()) {
            return true;
        }
        if (!seen_.insert(state{done, value}).second) {
            return false;
        }
        std::uint64_t first_end = ~std::uint64_t{0};
        for (std::size_t i = 0; i < history_.size(); ++i) {
            if ((done >> i & 1U) == 0 && history_[i].end < first_end) {
                first_end = history_[i].end;
            }
        }
        for (std::size_t i = 0; i < history_.size(); ++i) {
            const operation& next = history_[i];
            if ((done >> i & 1U) != 0 || next.begin > first_end) {
                continue;  // done, or something ended before it began
            }
            const std::uint64_t with = done | std::uint64_t{1} << i;
            switch (next.what) {
                case operation::kind::write:
                    if (search(with, next.value)) {
                        return true;
                    }
                    break;
                case operation::kind::read:
                    if (next.value == value && search(with, value)) {
                        return true;
                    }
                    break;
                case operation::kind::add:
                    if (next.value == value.value_or(0) + 1 && search(with, next.value)) {
                        return true;
                    }
                    break;
            }
        }
        return may_vanish_ && value && search(done, std::nullopt);
    }

    [[nodiscard]] std::uint64_t all() const noexcept {
        return history_.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << history_.size()) - 1;
    }

    std::vector<operation> history_;
    bool may_vanish_;
    std::set<state> seen_{};
};

}  // namespace levee::test
