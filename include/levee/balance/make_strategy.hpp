/// Strategies by name, for configuration files and command lines.
#pragma once

#include "levee/balance/strategy.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace levee {

/// A strategy from "name" or "name:option=value,option=value", as in "power_of_two:choices=3" or
/// "maglev:table_size=5003,bounded_load=1.25". Options are those of the strategy's options struct; a `tau`
/// is in seconds. Errors: std::invalid_argument, which names what is known.
[[nodiscard]] std::unique_ptr<const strategy> make_strategy(std::string_view description);

/// The names that `make_strategy` knows, in alphabetical order.
[[nodiscard]] std::vector<std::string_view> strategy_names();

}  // namespace levee
