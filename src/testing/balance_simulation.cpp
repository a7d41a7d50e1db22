#include "levee/testing/balance_simulation.hpp"

#include <string>
#include <utility>

#include "testing/balance_engine.hpp"
#include "testing/refusal.hpp"

namespace levee::testing {
namespace {

using testing_detail::refuse;
using testing_detail::text;

void validate(const server_fault& fault) {
    if (fault.from < duration::zero()) {
        refuse("server_fault::from", text(fault.from), "zero or above");
    }
    if (fault.length <= duration::zero()) {
        refuse("server_fault::length", text(fault.length), "above zero");
    }
    if (fault.period != duration::zero() && fault.period < fault.length) {
        refuse("server_fault::period", text(fault.period), "zero or at least `length`");
    }
    if (fault.until <= fault.from) {
        refuse("server_fault::until", text(fault.until), "later than `from`");
    }
    if (!(fault.factor >= 0.01 && fault.factor <= 1e6)) {  // written so that NaN is refused
        refuse("server_fault::factor", text(fault.factor), "in [0.01, 1e6]");
    }
    if (fault.latency < duration::zero()) {
        refuse("server_fault::latency", text(fault.latency), "zero or above");
    }
    if (!(fault.share > 0.0 && fault.share <= 1.0)) {
        refuse("server_fault::share", text(fault.share), "in (0, 1]");
    }
}

}  // namespace

void validate(const simulated_server& server) {
    if (server.slots == 0) {
        refuse("simulated_server::slots", "0", "at least 1");
    }
    if (server.leaves <= server.joins) {
        refuse("simulated_server::leaves", text(server.leaves), "later than `joins`");
    }
    for (const server_fault& fault : server.faults) {
        validate(fault);
    }
}

balance_simulation::balance_simulation(balance_simulation_options options) : options_(std::move(options)) {
    if (options_.servers.empty()) {
        refuse("balance_simulation_options::servers", "empty", "at least one");
    }
    for (const simulated_server& server : options_.servers) {
        validate(server);
    }
    if (options_.clients == 0 || options_.clients > 100'000) {
        refuse("balance_simulation_options::clients", std::to_string(options_.clients), "in [1, 100000]");
    }
    if (options_.length <= duration::zero()) {
        refuse("balance_simulation_options::length", text(options_.length), "above zero");
    }
    if (options_.warm_up < duration::zero() || options_.warm_up >= options_.length) {
        refuse("balance_simulation_options::warm_up", text(options_.warm_up), "in [0, `length`)");
    }
    if (options_.timeout < duration::zero()) {
        refuse("balance_simulation_options::timeout", text(options_.timeout), "zero or above");
    }
    if (options_.slice < duration::zero()) {
        refuse("balance_simulation_options::slice", text(options_.slice), "zero or above");
    }
}

balance_report balance_simulation::run(const picker_factory& make_picker) {
    return testing_detail::balance_engine(options_, clock_).run(make_picker);
}

}  // namespace levee::testing
