#include "hit_ratio/policies.hpp"

#include <array>
#include <stdexcept>

#include "hit_ratio/policies/adaptive.hpp"
#include "hit_ratio/policies/arc.hpp"
#include "hit_ratio/policies/belady.hpp"
#include "hit_ratio/policies/clock.hpp"
#include "hit_ratio/policies/fifo.hpp"
#include "hit_ratio/policies/levee_cache.hpp"
#include "hit_ratio/policies/lirs.hpp"
#include "hit_ratio/policies/lru.hpp"
#include "hit_ratio/policies/s3_fifo.hpp"
#include "hit_ratio/policies/sieve.hpp"
#include "hit_ratio/policies/two_q.hpp"
#include "hit_ratio/policies/w_tinylfu.hpp"

namespace levee::lab {
namespace {

using maker = std::unique_ptr<policy> (*)(const policy_setup&);

template <class Policy>
std::unique_ptr<policy> make(const policy_setup& setup) {
    return std::make_unique<Policy>(setup);
}

template <int WindowPercent>
std::unique_ptr<policy> make_w_tinylfu(const policy_setup& setup) {
    return std::make_unique<w_tinylfu>(setup, WindowPercent / 100.0);
}

constexpr std::array<policy_info, 13> infos{{
    {"fifo", "first in, first out", true},
    {"lru", "least recently used", true},
    {"clock", "FIFO with a second chance", true},
    {"sieve", "SIEVE (NSDI 2024)", true},
    {"s3-fifo", "S3-FIFO (SOSP 2023)", false},
    {"arc", "adaptive replacement cache (FAST 2003)", false},
    {"2q", "2Q, the full version (VLDB 1994)", false},
    {"lirs", "LIRS (SIGMETRICS 2002)", false},
    {"w-tinylfu-1", "W-TinyLFU, window 1 %, exact counts (TOS 2017)", false},
    {"w-tinylfu-20", "W-TinyLFU, window 20 %, exact counts", false},
    {"adaptive", "the policy of levee::local_cache alone, in one shard", true},
    {"levee", "levee::local_cache with default options", true},
    {"opt", "knows the future (Belady 1966): the bound", false},
}};

constexpr std::array<maker, infos.size()> makers{
    make<fifo>,     make<lru>,         make<clock_policy>, make<sieve>,       make<s3_fifo>,
    make<arc>,      make<two_q>,       make<lirs>,         make_w_tinylfu<1>, make_w_tinylfu<20>,
    make<adaptive>, make<levee_cache>, make<belady>};

}  // namespace

std::span<const policy_info> known_policies() {
    return infos;
}

std::string policy_names(bool by_size) {
    std::string names;
    for (const auto& info : infos) {
        if (!by_size || info.by_size) {
            names += (names.empty() ? "" : ",") + std::string(info.name);
        }
    }
    return names;
}

std::unique_ptr<policy> make_policy(std::string_view name, const policy_setup& setup) {
    for (std::size_t i = 0; i < infos.size(); ++i) {
        if (infos[i].name != name) {
            continue;
        }
        if (setup.capacity == 0) {
            throw std::invalid_argument("policy_setup::capacity is 0; it must be at least 1");
        }
        if (setup.by_size && !infos[i].by_size) {
            throw std::invalid_argument("policy_setup::by_size is true; it must be false for " +
                                        std::string(name) + " (bounded by bytes: " + policy_names(true) +
                                        ")");
        }
        return makers[i](setup);
    }
    throw std::invalid_argument("the policy is '" + std::string(name) + "'; it must be one of " +
                                policy_names());
}

}  // namespace levee::lab
