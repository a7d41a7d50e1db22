#include "levee/testing/load_balancer_picker.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "levee/core/random.hpp"

namespace levee::testing {
namespace {

outcome outcome_of(const simulated_completion& done) noexcept {
    switch (done.outcome) {
        case request_outcome::ok:
            return outcome::ok(done.latency);
        case request_outcome::error:
            return outcome::failed(done.latency);
        case request_outcome::overloaded:
            return outcome::overloaded(done.latency);
        case request_outcome::timeout:
            return outcome::timed_out(done.latency);
    }
    return outcome::cancelled();
}

}  // namespace

load_balancer_picker::load_balancer_picker(const balance_simulation& world, std::size_t client,
                                           std::unique_ptr<const strategy> how, load_balancer_options options,
                                           description describe)
    : how_(std::move(how)), options_(std::move(options)), describe_(std::move(describe)) {
    if (how_ == nullptr) {
        throw std::invalid_argument("load_balancer_picker: the strategy is null");
    }
    validate(options_);
    if (options_.clock == nullptr) {
        options_.clock = &world.clock();
    }
    if (options_.seed == 0) {
        options_.seed = splitmix64(splitmix64(world.options().seed)() + client)() | 1;  // never zero
    }
}

void load_balancer_picker::set_servers(std::span<const std::size_t> known) {
    std::vector<endpoint> list;
    list.reserve(known.size());
    for (const std::size_t server : known) {
        if (server > UINT16_MAX) {
            throw std::invalid_argument("load_balancer_picker: more than 65,535 servers");
        }
        endpoint made = describe_ ? describe_(server) : endpoint{};
        made.id = std::to_string(server);
        made.port = static_cast<std::uint16_t>(server);
        list.push_back(std::move(made));
    }
    endpoints_.update(std::move(list));
    if (!balancer_) {
        balancer_.emplace(endpoints_, std::move(how_), options_);
    }
}

std::size_t load_balancer_picker::pick(const simulated_request& request) {
    std::optional<ticket> picked = balancer_->pick({.hash = request.key_hash});
    if (!picked) {
        return none;
    }
    const std::size_t server = picked->endpoint().port;
    if (request.slot >= tickets_.size()) {
        tickets_.resize(std::size_t{request.slot} * 2 + 16);
    }
    tickets_[request.slot].emplace(*std::move(picked));
    return server;
}

void load_balancer_picker::complete(const simulated_completion& done) {
    std::optional<ticket>& held = tickets_[done.slot];
    held->complete(outcome_of(done));
    held.reset();
}

}  // namespace levee::testing
