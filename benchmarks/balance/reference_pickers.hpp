/// Balancers as one writes them by hand: what levee's are compared with.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "levee/testing/balance_simulation.hpp"
#include "levee/testing/picker.hpp"

namespace levee::lab {

/// The names that `make_reference_picker` knows.
[[nodiscard]] std::vector<std::string_view> reference_picker_names();

/// Null if the name is not known.
///
/// "ref two choices": two drawn, the one with fewer requests in flight. "ref all by requests": the least
/// loaded of all. "ref naive response time": the lowest average of latency, whatever is in flight and
/// however it ended. "ref two choices peak ewma" and "ref all peak ewma": latency as Finagle averages it
/// times requests in flight, an error counting as a second.
[[nodiscard]] std::unique_ptr<testing::picker> make_reference_picker(std::string_view name,
                                                                     std::uint64_t seed);

}  // namespace levee::lab
