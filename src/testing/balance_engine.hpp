/// One run of a balance simulation: its events, its servers, its requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "levee/testing/balance_simulation.hpp"
#include "testing/event_queue.hpp"
#include "testing/server_timeline.hpp"

namespace levee::testing_detail {

/// Requests are records in one array, named by their index (the slot that pickers see) and used again; a
/// server's queue is a list through them. So nothing is allocated for an event.
class balance_engine {
public:
    balance_engine(const testing::balance_simulation_options& options, testing::manual_clock& clock);

    [[nodiscard]] testing::balance_report run(const testing::balance_simulation::picker_factory& make_picker);

private:
    using outcome = testing::request_outcome;
    static constexpr std::uint32_t no_request = static_cast<std::uint32_t>(-1);

    enum event_kind : unsigned {
        arrive,   // at a client: it sends
        reach,    // a request reaches its server
        finish,   // a server has done its work on a request
        answer,   // an answer reaches its client
        members,  // servers join or leave
    };

    struct request {
        splitmix64 random{0};  // everything about this request, so that strategies meet the same ones
        duration sent{};
        double luck = 0.0;  // in [0, 1): a failing server fails it if that is below its share
        std::uint32_t client = 0;
        std::uint32_t server = 0;
        std::uint32_t next = no_request;  // in the server's queue, or in the list of free records
        std::uint32_t previous = no_request;
        std::uint32_t generation = 0;  // tells a timeout that its request is another one by now
        outcome result = outcome::ok;
        bool is_awaited = false;  // by its client
        bool is_away = false;     // on the network or at the server
        bool is_queued = false;
        bool is_counted = false;  // not sent during the warm-up
    };

    struct server {
        explicit server(const testing::simulated_server& from) : options(&from), timeline(from.faults) {}

        const testing::simulated_server* options;
        server_timeline timeline;
        std::uint32_t first = no_request;
        std::uint32_t last = no_request;
        std::size_t queued = 0;
        std::size_t working = 0;
        duration changed{};  // `working` did, last
        double slot_time = 0.0;
    };

    struct client {
        std::unique_ptr<testing::picker> balancer;
        splitmix64 random;
    };

    struct deadline {
        duration at{};
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
    };

    /// All timeouts are equally long, so they end in the order in which they begin: a ring, not a heap.
    class deadline_queue {
    public:
        void push(const deadline& added);
        void pop() noexcept { first_ = (first_ + 1) & (ring_.size() - 1), --size_; }
        [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
        [[nodiscard]] const deadline& front() const noexcept { return ring_[first_]; }

    private:
        std::vector<deadline> ring_ = std::vector<deadline>(1024);
        std::size_t first_ = 0;
        std::size_t size_ = 0;
    };

    void begin(const testing::balance_simulation::picker_factory& make_picker);
    void move_to(duration at);
    void handle(const event& what);
    void tell_members();

    void send_all(std::uint32_t from);
    void send(std::uint32_t from);

    // balance_engine_servers.cpp
    void reach_server(std::uint32_t slot);
    void start(server& at, std::uint32_t slot);
    void finish_work(std::uint32_t slot);
    void set_working(server& at, std::size_t working);
    void enqueue(server& at, std::uint32_t slot);
    void unqueue(server& at, std::uint32_t slot);

    void reply(std::uint32_t slot, outcome result, duration later);
    void arrive_at_client(std::uint32_t slot);
    void give_up(const deadline& expired);
    void complete(std::uint32_t slot, outcome result);

    [[nodiscard]] std::uint32_t take_record();
    void release(std::uint32_t slot);
    void schedule(duration at, event_kind kind, std::uint32_t subject) {
        events_.push(at.count(), kind, subject);
    }
    [[nodiscard]] static bool fails(const server_phase& phase, const request& r) noexcept {
        return r.luck < phase.failing_share;
    }

    /// Calls f(counts) for each count that the request belongs to, and f(counts of its slice).
    template <class F>
    void count(const request& r, F f);
    [[nodiscard]] testing::balance_report::slice* slice_of(const request& r);
    void sum_up();

    const testing::balance_simulation_options& options_;
    testing::manual_clock& clock_;
    const time_point origin_;
    const testing::arrivals load_;  // of one client
    const bool has_network_;
    duration now_{};
    duration answered_{};
    event_queue events_;
    deadline_queue deadlines_;
    std::vector<client> clients_;
    std::vector<server> servers_;
    std::vector<request> requests_;
    std::uint32_t free_ = no_request;
    testing::balance_report report_;
};

}  // namespace levee::testing_detail
