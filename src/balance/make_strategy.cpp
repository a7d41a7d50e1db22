#include "levee/balance/make_strategy.hpp"

#include "levee/balance/ip_hash.hpp"
#include "levee/balance/least_connections.hpp"
#include "levee/balance/least_response_time.hpp"
#include "levee/balance/maglev.hpp"
#include "levee/balance/power_of_two.hpp"
#include "levee/balance/random_choice.hpp"
#include "levee/balance/rendezvous.hpp"
#include "levee/balance/ring_hash.hpp"
#include "levee/balance/round_robin.hpp"
#include "levee/balance/weighted_round_robin.hpp"

#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace levee {
namespace {

using option_list = std::vector<std::pair<std::string_view, std::string_view>>;

[[noreturn]] void refuse(std::string_view description, const std::string& why) {
    throw std::invalid_argument("make_strategy(\"" + std::string(description) + "\"): " + why);
}

// Reads options by name and remembers what it knew, for the sentence about what it did not.
class reader {
public:
    reader(std::string_view description, option_list options)
        : description_(description), options_(std::move(options)) {}

    template <class T>
    reader& number(std::string_view name, T& into) {
        if (const auto text = take(name)) {
            T value{};
            const char* const end = text->data() + text->size();
            // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
            const auto [stopped, error] = std::from_chars(text->data(), end, value);
            bool is_good = error == std::errc() && stopped == end;
            if constexpr (std::floating_point<T>) {
                is_good = is_good && std::isfinite(value);
            }
            if (!is_good) {
                refuse(description_, std::string(name) + " is \"" + std::string(*text) +
                                         "\"; it must be a number" +
                                         (std::integral<T> ? " without fraction, not negative" : ""));
            }
            into = value;
        }
        return *this;
    }

    reader& seconds(std::string_view name, duration& into) {
        double value = std::chrono::duration<double>(into).count();
        number(name, value);
        if (!(value > 0.0 && value < 1e9)) {
            refuse(description_, std::string(name) + " is out of range; it must be in (0, 1e9) seconds");
        }
        into = std::chrono::duration_cast<duration>(std::chrono::duration<double>(value));
        return *this;
    }

    void end() const {
        if (!options_.empty()) {
            refuse(description_, "there is no option \"" + std::string(options_.front().first) +
                                     "\"; known: " + (known_.empty() ? "none" : known_));
        }
    }

private:
    std::optional<std::string_view> take(std::string_view name) {
        known_ += known_.empty() ? "" : ", ";
        known_ += name;
        for (auto at = options_.begin(); at != options_.end(); ++at) {
            if (at->first == name) {
                const std::string_view text = at->second;
                options_.erase(at);
                return text;
            }
        }
        return std::nullopt;
    }

    std::string_view description_;
    option_list options_;
    std::string known_;
};

template <class Strategy>
std::unique_ptr<const strategy> plain(reader& from) {
    from.end();
    return std::make_unique<Strategy>();
}

template <class Strategy, class Options>
std::unique_ptr<const strategy> made(reader& from, const Options& options) {
    from.end();
    return std::make_unique<Strategy>(options);
}

struct known_strategy {
    std::string_view name;
    std::unique_ptr<const strategy> (*make)(reader&);
};

constexpr known_strategy all[] = {
    {"ip_hash",
     [](reader& from) {
         ip_hash_options options;
         from.number("ipv4_bits", options.ipv4_bits)
             .number("ipv6_bits", options.ipv6_bits)
             .number("bounded_load", options.bounded_load);
         return made<ip_hash>(from, options);
     }},
    {"least_connections", plain<least_connections>},
    {"least_response_time",
     [](reader& from) {
         least_response_time_options options;
         from.number("choices", options.choices)
             .number("compare_all_up_to", options.compare_all_up_to)
             .seconds("tau", options.tau);
         return made<least_response_time>(from, options);
     }},
    {"maglev",
     [](reader& from) {
         maglev_options options;
         from.number("table_size", options.table_size).number("bounded_load", options.bounded_load);
         return made<maglev>(from, options);
     }},
    {"power_of_two",
     [](reader& from) {
         power_of_two_options options;
         from.number("choices", options.choices);
         return made<power_of_two>(from, options);
     }},
    {"random", plain<random_choice>},
    {"rendezvous",
     [](reader& from) {
         rendezvous_options options;
         from.number("bounded_load", options.bounded_load);
         return made<rendezvous>(from, options);
     }},
    {"ring_hash",
     [](reader& from) {
         ring_hash_options options;
         from.number("points", options.points).number("bounded_load", options.bounded_load);
         return made<ring_hash>(from, options);
     }},
    {"round_robin", plain<round_robin>},
    {"weighted_round_robin", plain<weighted_round_robin>},
};

}  // namespace

std::unique_ptr<const strategy> make_strategy(std::string_view description) {
    const std::size_t colon = description.find(':');
    const std::string_view name = description.substr(0, colon);
    option_list options;
    std::string_view rest =
        colon == std::string_view::npos ? std::string_view() : description.substr(colon + 1);
    if (colon != std::string_view::npos && rest.empty()) {
        refuse(description, "nothing follows the colon");
    }
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        const std::string_view one = rest.substr(0, comma);
        const std::size_t equals = one.find('=');
        if (equals == std::string_view::npos) {
            refuse(description, "\"" + std::string(one) + "\" is not option=value");
        }
        options.emplace_back(one.substr(0, equals), one.substr(equals + 1));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    reader from(description, std::move(options));
    for (const known_strategy& each : all) {
        if (each.name == name) {
            return each.make(from);
        }
    }
    std::string names;
    for (const std::string_view each : strategy_names()) {
        names += names.empty() ? "" : ", ";
        names += each;
    }
    refuse(description, "there is no such strategy; known: " + names);
}

std::vector<std::string_view> strategy_names() {
    std::vector<std::string_view> names;
    for (const known_strategy& each : all) {
        names.push_back(each.name);
    }
    return names;
}

}  // namespace levee
