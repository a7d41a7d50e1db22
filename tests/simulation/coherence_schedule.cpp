// Schedules as such: drawn, made shorter, written out.
#include <algorithm>
#include <array>
#include <utility>

#include "coherence_world.hpp"
#include "levee/core/random.hpp"

namespace levee {

using namespace std::chrono_literals;

schedule schedule::drawn(std::uint64_t seed, std::size_t count) {
    schedule made{.seed = seed, .has_faults = seed % 2 == 1};
    xoshiro256 random(seed);
    constexpr std::array usual = {act::load,       act::load, act::load,          act::look,
                                  act::invalidate, act::put,  act::write_through, act::tag,
                                  act::invalidate, act::load, act::foreign_write};
    constexpr std::array faulty = {act::cut,   act::heal, act::cut,      act::heal,
                                   act::stall, act::heal, act::lose_data};
    for (std::size_t i = 0; i < count; ++i) {
        step_of_schedule step;
        step.what = made.has_faults && uniform_below(random, 5) == 0
                        ? faulty[uniform_below(random, faulty.size())]
                        : usual[uniform_below(random, usual.size())];
        // Mostly close together; sometimes beyond a breaker's, a link's or a life's time.
        const std::uint64_t kind = uniform_below(random, 24);
        const auto most = kind == 0 ? std::chrono::microseconds(7s) : kind < 3 ? 400ms : 6ms;
        step.after = duration(
            std::chrono::microseconds(uniform_below(random, static_cast<std::uint64_t>(most.count()))));
        step.node = static_cast<std::uint8_t>(uniform_below(random, nodes));
        step.key = static_cast<std::uint8_t>(uniform_below(random, keys));
        step.draw = static_cast<std::uint32_t>(random());
        made.steps.push_back(step);
    }
    return made;
}

schedule shrunk(schedule found, const cache_detail::defences_off& holes, bool skips_store) {
    for (bool has_shrunk = true; has_shrunk;) {
        has_shrunk = false;
        for (std::size_t i = found.steps.size(); i-- > 0;) {
            schedule shorter = found;
            if (i + 1 < shorter.steps.size()) {
                shorter.steps[i + 1].after += shorter.steps[i].after;
            }
            shorter.steps.erase(shorter.steps.begin() + static_cast<std::ptrdiff_t>(i));
            if (!run(shorter, holes, skips_store).empty()) {
                found = std::move(shorter);
                has_shrunk = true;
            }
        }
    }
    return found;
}

std::string to_text(const schedule& steps) {
    static constexpr std::array names = {"load",          "look",  "invalidate",    "put",
                                         "write_through", "tag",   "foreign_write", "cut",
                                         "heal",          "stall", "lose_data"};
    std::string text = "seed " + std::to_string(steps.seed) + ":";
    for (const step_of_schedule& step : steps.steps) {
        text += "\n  +" + std::to_string(step.after / std::chrono::microseconds(1)) + " us  node " +
                std::to_string(step.node) + " key " + std::to_string(step.key) + " " +
                names[static_cast<std::size_t>(step.what)];
    }
    return text;
}

}  // namespace levee
