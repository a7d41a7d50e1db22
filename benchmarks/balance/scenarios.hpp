/// The situations in which strategies are compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "levee/testing/balance_simulation.hpp"

namespace levee::lab {

struct balance_scenario {
    std::string name;   ///< For the command line.
    std::string title;  ///< What happens.
    testing::balance_simulation_options options;
    std::size_t faulty = testing::simulated_server::unlimited;  ///< The server whose share is told; or none.
};

/// All of them, so long each (where times matter, they are shares of it). Loads are shares of what the
/// servers can do with their slowness counted.
[[nodiscard]] std::vector<balance_scenario> balance_scenarios(duration length, std::uint64_t seed);

}  // namespace levee::lab
