#include "testing/balance_engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace levee::testing_detail {

using namespace testing;

namespace {

constexpr duration never = (duration::max)();

}  // namespace

void balance_engine::deadline_queue::push(const deadline& added) {
    if (size_ == ring_.size()) {
        std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(first_), ring_.end());
        first_ = 0;
        ring_.resize(2 * size_);
    }
    ring_[(first_ + size_) & (ring_.size() - 1)] = added;
    ++size_;
}

balance_engine::balance_engine(const balance_simulation_options& options, manual_clock& clock)
    : options_(options),
      clock_(clock),
      origin_(clock.now()),
      load_(options.load.with_rate(options.load.per_second() / static_cast<double>(options.clients))),
      has_network_(options.network.mean() > duration::zero()) {}

balance_report balance_engine::run(const balance_simulation::picker_factory& make_picker) {
    begin(make_picker);
    for (;;) {
        while (!deadlines_.empty() &&
               requests_[deadlines_.front().slot].generation != deadlines_.front().generation) {
            deadlines_.pop();  // answered in time
        }
        const duration next_event = events_.empty() ? never : duration(events_.top().at);
        const duration next_deadline = deadlines_.empty() ? never : deadlines_.front().at;
        if (next_event == never && next_deadline == never) {
            break;
        }
        if (next_event <= next_deadline) {
            const event what = events_.pop();
            move_to(duration(what.at));
            handle(what);
        } else {
            const deadline expired = deadlines_.front();
            deadlines_.pop();
            move_to(expired.at);
            give_up(expired);
        }
    }
    sum_up();
    return std::move(report_);
}

void balance_engine::begin(const balance_simulation::picker_factory& make_picker) {
    splitmix64 seeds(options_.seed);
    report_.servers.resize(options_.servers.size());
    servers_.reserve(options_.servers.size());
    for (const simulated_server& each : options_.servers) {
        servers_.emplace_back(each);
        for (const duration change : {each.joins, each.leaves}) {
            if (change > duration::zero() && change < options_.length) {
                schedule(change, members, 0);
            }
        }
    }
    clients_.reserve(options_.clients);
    for (std::size_t i = 0; i < options_.clients; ++i) {
        clients_.push_back({make_picker(i), splitmix64(seeds())});
        if (clients_.back().balancer == nullptr) {
            throw std::invalid_argument("the picker of client " + std::to_string(i) + " is null");
        }
    }
    tell_members();
    for (std::size_t i = 0; i < options_.clients; ++i) {
        schedule(load_.first_gap(clients_[i].random), arrive, static_cast<std::uint32_t>(i));
    }
}

void balance_engine::move_to(duration at) {
    now_ = at;
    clock_.set(after(origin_, at));
}

void balance_engine::handle(const event& what) {
    switch (static_cast<event_kind>(what.kind())) {
        case arrive:
            send_all(what.subject());
            break;
        case reach:
            reach_server(what.subject());
            break;
        case finish:
            finish_work(what.subject());
            break;
        case answer:
            arrive_at_client(what.subject());
            break;
        case members:
            tell_members();
            break;
    }
}

void balance_engine::tell_members() {
    std::vector<std::size_t> known;
    for (std::size_t i = 0; i < options_.servers.size(); ++i) {
        if (options_.servers[i].joins <= now_ && now_ < options_.servers[i].leaves) {
            known.push_back(i);
        }
    }
    for (client& each : clients_) {
        each.balancer->set_servers(known);
    }
}

void balance_engine::send_all(std::uint32_t from) {
    if (now_ >= options_.length) {
        return;
    }
    for (std::uint32_t i = 0; i < load_.at_once(); ++i) {
        send(from);
    }
    schedule(now_ + load_.gap(clients_[from].random), arrive, from);
}

void balance_engine::send(std::uint32_t from) {
    client& sender = clients_[from];
    const std::uint32_t slot = take_record();
    request& made = requests_[slot];
    made.random = splitmix64(sender.random());
    made.luck = uniform_unit(made.random);
    made.sent = now_;
    made.client = from;
    made.is_counted = now_ >= options_.warm_up;
    const std::uint64_t drawn = sender.random();
    const std::uint64_t key_hash =
        options_.keys == 0 ? drawn : splitmix64(drawn % options_.keys ^ options_.seed)();

    const std::size_t to =
        sender.balancer->pick({.slot = slot, .client = from, .key_hash = key_hash, .now = clock_.now()});
    if (to == picker::none) {
        count(made, [](request_counts& counts) { ++counts.sent, ++counts.refused; });
        release(slot);
        return;
    }
    if (to >= servers_.size()) {
        throw std::out_of_range("a picker chose server " + std::to_string(to) + " of " +
                                std::to_string(servers_.size()));
    }
    made.server = static_cast<std::uint32_t>(to);
    made.is_awaited = true;
    made.is_away = true;
    count(made, [](request_counts& counts) { ++counts.sent; });
    if (made.is_counted) {
        ++report_.servers[to].requests.sent;
    }
    if (balance_report::slice* in = slice_of(made)) {
        in->shares[to] += 1.0;
    }
    if (options_.timeout > duration::zero()) {
        deadlines_.push({now_ + options_.timeout, slot, made.generation});
    }
    if (has_network_) {
        schedule(now_ + options_.network.draw(made.random), reach, slot);
    } else {
        reach_server(slot);
    }
}

void balance_engine::arrive_at_client(std::uint32_t slot) {
    request& r = requests_[slot];
    r.is_away = false;
    if (r.is_awaited) {
        complete(slot, r.result);
    }
    release(slot);
}

void balance_engine::give_up(const deadline& expired) {
    request& r = requests_[expired.slot];
    if (!r.is_awaited) {
        return;
    }
    complete(expired.slot, outcome::timeout);
    if (r.is_queued && options_.timeout_cancels) {
        unqueue(servers_[r.server], expired.slot);
        r.is_away = false;
    }
    if (!r.is_away) {
        release(expired.slot);
    }
}

void balance_engine::complete(std::uint32_t slot, outcome result) {
    request& r = requests_[slot];
    r.is_awaited = false;
    ++r.generation;
    answered_ = now_;
    const duration latency = now_ - r.sent;
    auto& from = report_.servers[r.server];
    const auto counted = [result](request_counts& counts) {
        switch (result) {
            case outcome::ok:
                ++counts.ok;
                break;
            case outcome::error:
                ++counts.errors;
                break;
            case outcome::overloaded:
                ++counts.overloaded;
                break;
            case outcome::timeout:
                ++counts.timeouts;
                break;
        }
    };
    count(r, counted);
    if (r.is_counted) {
        counted(from.requests);
    }
    if (result == outcome::ok) {
        const auto value = static_cast<std::uint64_t>(latency.count());
        if (r.is_counted) {
            from.latency.record(value);
        }
        if (balance_report::slice* in = slice_of(r)) {
            in->latency.record(value);
        }
    }
    clients_[r.client].balancer->complete(
        {.slot = slot, .server = r.server, .outcome = result, .latency = latency, .now = clock_.now()});
}

std::uint32_t balance_engine::take_record() {
    if (free_ == no_request) {
        if (requests_.size() >= event_queue::most_subjects) {
            throw std::length_error("more than 2^27 simulated requests are under way");
        }
        requests_.emplace_back();
        return static_cast<std::uint32_t>(requests_.size() - 1);
    }
    const std::uint32_t slot = free_;
    free_ = requests_[slot].next;
    return slot;
}

void balance_engine::release(std::uint32_t slot) {
    requests_[slot].next = free_;
    free_ = slot;
}

template <class F>
void balance_engine::count(const request& r, F f) {
    if (r.is_counted) {
        f(report_.requests);
    }
    if (balance_report::slice* in = slice_of(r)) {
        f(in->requests);
    }
}

balance_report::slice* balance_engine::slice_of(const request& r) {
    if (options_.slice == duration::zero()) {
        return nullptr;
    }
    const auto index = static_cast<std::size_t>(r.sent / options_.slice);
    while (report_.slices.size() <= index) {
        report_.slices.emplace_back();
        report_.slices.back().from = options_.slice * static_cast<duration::rep>(report_.slices.size() - 1);
        report_.slices.back().shares.resize(servers_.size());
    }
    return &report_.slices[index];
}

void balance_engine::sum_up() {
    const double placed = static_cast<double>(report_.requests.sent - report_.requests.refused);
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        balance_report::server& each = report_.servers[i];
        const request_counts& counts = each.requests;
        set_working(servers_[i], servers_[i].working);
        each.share = placed > 0.0 ? static_cast<double>(counts.sent) / placed : 0.0;
        each.requests.unanswered =
            counts.sent - counts.ok - counts.errors - counts.overloaded - counts.timeouts;
        report_.requests.unanswered += each.requests.unanswered;
        if (now_ > duration::zero()) {
            each.busy = servers_[i].slot_time / static_cast<double>(now_.count()) /
                        static_cast<double>(servers_[i].options->slots);
        }
        report_.latency += each.latency;
    }
    for (balance_report::slice& each : report_.slices) {
        request_counts& counts = each.requests;
        const double sent = static_cast<double>(counts.sent - counts.refused);
        for (double& share : each.shares) {
            share = sent > 0.0 ? share / sent : 0.0;
        }
        counts.unanswered =
            counts.sent - counts.ok - counts.errors - counts.overloaded - counts.timeouts - counts.refused;
    }
    report_.ended = answered_;
}

}  // namespace levee::testing_detail
