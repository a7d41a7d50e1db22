// What happens to requests at their servers: faults, slots, queues.
#include "testing/balance_engine.hpp"

#include <algorithm>

namespace levee::testing_detail {

using namespace testing;

namespace {

constexpr duration never = (duration::max)();

}  // namespace

void balance_engine::reach_server(std::uint32_t slot) {
    request& r = requests_[slot];
    server& at = servers_[r.server];
    const server_phase& phase = at.timeline.now(now_);
    if (phase.is_hanging) {
        r.is_away = false;  // gone; only a timeout ends it now
        if (!r.is_awaited) {
            release(slot);
        }
    } else if (fails(phase, r)) {
        reply(slot, outcome::error, phase.failure_latency);
    } else if (at.working < at.options->slots) {
        set_working(at, at.working + 1);
        start(at, slot);
    } else if (at.queued < at.options->max_queue) {
        enqueue(at, slot);
    } else {
        reply(slot, outcome::overloaded, duration::zero());
    }
}

void balance_engine::start(server& at, std::uint32_t slot) {
    const duration done = at.timeline.finish(now_, at.options->service.draw(requests_[slot].random));
    if (done != never) {
        schedule(done, finish, slot);
    }
}

void balance_engine::finish_work(std::uint32_t slot) {
    request& r = requests_[slot];
    server& at = servers_[r.server];
    const server_phase& phase = at.timeline.now(now_);
    if (phase.is_hanging) {
        r.is_away = false;
        if (!r.is_awaited) {
            release(slot);
        }
    } else {
        reply(slot, fails(phase, r) ? outcome::error : outcome::ok, duration::zero());
    }
    // A client that hears of this at once may already have sent its next one: so the queue comes first.
    if (at.first != no_request) {
        const std::uint32_t next = at.first;
        unqueue(at, next);
        start(at, next);
    } else {
        set_working(at, at.working - 1);
    }
}

void balance_engine::set_working(server& at, std::size_t working) {
    at.slot_time += static_cast<double>(at.working) * static_cast<double>((now_ - at.changed).count());
    at.changed = now_;
    at.working = working;
    auto& most = report_.servers[static_cast<std::size_t>(&at - servers_.data())].most;
    most = std::max(most, working + at.queued);
}

void balance_engine::enqueue(server& at, std::uint32_t slot) {
    requests_[slot].previous = at.last;
    requests_[slot].next = no_request;
    requests_[slot].is_queued = true;
    (at.last == no_request ? at.first : requests_[at.last].next) = slot;
    at.last = slot;
    ++at.queued;
    auto& most = report_.servers[requests_[slot].server].most;
    most = std::max(most, at.working + at.queued);
}

void balance_engine::unqueue(server& at, std::uint32_t slot) {
    request& r = requests_[slot];
    (r.previous == no_request ? at.first : requests_[r.previous].next) = r.next;
    (r.next == no_request ? at.last : requests_[r.next].previous) = r.previous;
    r.is_queued = false;
    --at.queued;
}

void balance_engine::reply(std::uint32_t slot, outcome result, duration later) {
    request& r = requests_[slot];
    r.result = result;
    if (has_network_) {
        later += options_.network.draw(r.random);
    }
    if (later > duration::zero()) {
        schedule(now_ + later, answer, slot);
    } else {
        arrive_at_client(slot);
    }
}

}  // namespace levee::testing_detail
