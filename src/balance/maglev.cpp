#include "levee/balance/maglev.hpp"

#include "balance/highest_score.hpp"
#include "balance/option_error.hpp"
#include "levee/core/hash.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace levee {
namespace {

struct maglev_table final : strategy_plan {
    std::vector<std::uint32_t> entries;  // indices of candidates
    bool is_even = true;

    [[nodiscard]] std::uint32_t at(std::uint64_t hash) const noexcept {
        __extension__ using u128 = unsigned __int128;
        return entries[static_cast<std::size_t>((static_cast<u128>(hash) * entries.size()) >> 64U)];
    }
};

bool is_prime(std::uint32_t number) noexcept {
    for (std::uint32_t divisor = 2; divisor * divisor <= number; ++divisor) {
        if (number % divisor == 0) {
            return false;
        }
    }
    return number > 1;
}

}  // namespace

maglev::maglev(const maglev_options& options) : hashing_strategy(options.bounded_load), options_(options) {
    if (options.table_size < 3 || options.table_size > 16'777'213 || !is_prime(options.table_size)) {
        balance_detail::refuse_option("maglev_options::table_size", std::to_string(options.table_size),
                                      "a prime in [3, 16777213]");
    }
}

std::shared_ptr<const strategy_plan> maglev::prepare(std::span<const candidate> candidates) const {
    struct filler {
        std::uint32_t candidate;
        std::uint32_t next, skip;  // its permutation of the table
        double step, due;
    };
    const std::uint32_t size = options_.table_size;
    double largest = 0.0;
    for (const candidate& one : candidates) {
        largest = (std::max)(largest, one.weight());
    }
    std::vector<filler> fillers;
    fillers.reserve(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const std::uint64_t key = candidates[i].key();
        fillers.push_back({static_cast<std::uint32_t>(i),
                           static_cast<std::uint32_t>(hash_mix(key ^ 0x6f6666736574) % size),
                           static_cast<std::uint32_t>(hash_mix(key ^ 0x736b6970) % (size - 1) + 1),
                           candidates[i].weight() / largest, 0.0});
    }
    // By key: the list's order must not matter. Equal keys do not occur in an endpoint_set.
    std::sort(fillers.begin(), fillers.end(), [&](const filler& a, const filler& b) {
        return candidates[a.candidate].key() < candidates[b.candidate].key();
    });
    constexpr std::uint32_t free = ~std::uint32_t{0};
    auto made = std::make_shared<maglev_table>();
    made->entries.assign(size, free);
    std::uint32_t filled = 0;
    // In turn each takes its next free entry; one of half the weight in every second round.
    while (filled < size) {
        for (filler& mine : fillers) {
            mine.due += mine.step;
            if (mine.due < 1.0 - 1e-9) {
                continue;
            }
            mine.due -= 1.0;
            while (made->entries[mine.next] != free) {
                mine.next += mine.skip;
                mine.next -= mine.next >= size ? size : 0;
            }
            made->entries[mine.next] = mine.candidate;
            if (++filled == size) {
                break;
            }
        }
    }
    made->is_even = balance_detail::highest_score(candidates).is_even();
    return made;
}

const candidate* maglev::pick(pick_view& view) const {
    const std::uint64_t hash = hash_of(view);
    const candidate& one = view.members()[view.plan<maglev_table>().at(hash)];
    return takes(view, one) ? &one : pick_another(view, hash);
}

// Where the key's own endpoint does not take it, the key's next entries decide; at last all are asked.
const candidate* maglev::pick_another(pick_view& view, std::uint64_t hash) const {
    const auto& table = view.plan<maglev_table>();
    for (int tries = 0; tries < 7; ++tries) {
        hash = hash_mix(hash + 0x9e3779b97f4a7c15);
        const candidate& one = view.members()[table.at(hash)];
        if (takes(view, one)) {
            return &one;
        }
    }
    hash = hash_mix(hash + 0x9e3779b97f4a7c15);
    return balance_detail::by_score(view, hash, table.is_even,
                                    [&](const candidate& one) { return takes(view, one); });
}

}  // namespace levee
