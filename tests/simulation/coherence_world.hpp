// The protocol of caches over one store and one backplane, under faults, in virtual time: a schedule of
// operations is run, and after each answer the guarantees G1 to G4 are compared with the history.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "levee/cache/detail/remote_level.hpp"
#include "levee/core/clock.hpp"

namespace levee {

enum class act : std::uint8_t {
    load,           ///< get_or_load, by a coroutine that reads the source.
    look,           ///< try_get: L1 alone.
    invalidate,     ///< The source is changed, then the key invalidated.
    put,            ///< The source is changed, then the value put (one process at a time).
    write_through,  ///< The same through write_through.
    tag,            ///< The source is changed, then the keys' tag invalidated.
    foreign_write,  ///< The source is changed by others; every node is told by the database.
    cut,            ///< A node's links are cut: store, backplane or both; refusing or silent.
    heal,
    stall,      ///< A node hears nothing for a while, as if stopped.
    lose_data,  ///< The store restarts empty.
};

struct step_of_schedule {
    duration after{};  ///< The one before.
    act what = act::load;
    std::uint8_t node = 0, key = 0;
    std::uint32_t draw = 0;  ///< For what a step leaves open.
};

struct schedule {
    static constexpr std::size_t nodes = 3, keys = 2;

    std::uint64_t seed = 0;
    bool has_faults = false;
    std::vector<step_of_schedule> steps{};

    [[nodiscard]] static schedule drawn(std::uint64_t seed, std::size_t steps);
};

/// What went wrong, in words; empty: nothing.
using violation = std::string;

/// What a run did, so that it can be seen to have done something.
struct coherence_tally {
    std::uint64_t answers = 0, fresh = 0, loads = 0, acknowledged = 0, queued = 0, fills = 0, refused = 0,
                  suspects = 0, gaps = 0;
};

[[nodiscard]] violation run(const schedule& steps, const cache_detail::defences_off& holes, bool skips_store,
                            coherence_tally* tally = nullptr);

/// The shortest schedule, by leaving out steps, that still goes wrong.
[[nodiscard]] schedule shrunk(schedule found, const cache_detail::defences_off& holes, bool skips_store);

[[nodiscard]] std::string to_text(const schedule& steps);

}  // namespace levee
