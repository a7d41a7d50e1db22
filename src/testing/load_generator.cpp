#include "levee/testing/load_generator.hpp"

#include <string>
#include <utility>

#include "testing/refusal.hpp"

namespace levee::testing {

load_generator::load_generator(load_profile profile, percentile_monitor::handle operation,
                               load_generator_options options)
    : profile_(std::move(profile)),
      operation_(operation),
      options_(options),
      planned_(arrival_schedule::size(profile_)) {
    if (options_.threads < 1 || options_.threads > 1024) {
        testing_detail::refuse("load_generator_options::threads", std::to_string(options_.threads),
                               "in [1, 1024]");
    }
    if (options_.max_in_flight < 1 || options_.max_in_flight > 1'000'000) {
        testing_detail::refuse("load_generator_options::max_in_flight",
                               std::to_string(options_.max_in_flight), "in [1, 1000000]");
    }
}

}  // namespace levee::testing
