// Each state, each event: the table of circuit_breaker.hpp, row by row.
#include "circuit_breaker_support.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::circuit_breaker;
using levee::circuit_state;
using levee::circuit_transition;
using levee::fail_times;
using levee::time_point;

constexpr time_point start{1000s};

enum class situation {
    closed,
    open,
    open_past_its_end,
    half_open,
    half_open_full,
    half_open_silent,
    forced_open,
    forced_closed
};
enum class event {
    acquire,
    success,
    failure,
    cancelled,
    late_success,
    late_failure,
    late_cancelled,
    force_open,
    force_close,
    reset
};

enum class effect { none, admitted, counted_late };

struct cell {
    situation in;
    event what;
    circuit_state before, after;  // what state() answers
    circuit_transition change{};  // what the event returns
    effect also = effect::none;
};

// A breaker in the wanted situation, with a permit of its present generation if there can be one, and a
// permit from before.
struct scene {
    // One failure opens: so each event's effect shows at once.
    circuit_breaker breaker{{.failures_to_open = 1, .open_for = 5s, .half_open_calls = 2}};
    circuit_breaker::permit stale = breaker.try_acquire(start);
    circuit_breaker::permit current, other;
    time_point now = start;

    explicit scene(situation in) {
        breaker.reset();
        switch (in) {
            case situation::closed:
                current = breaker.try_acquire(now);
                break;
            case situation::open:
                fail_times(breaker, 1, now);
                break;
            case situation::open_past_its_end:
                fail_times(breaker, 1, now);
                now += 5s;
                break;
            case situation::half_open:
                half_open();
                break;
            case situation::half_open_full:
                half_open();
                other = breaker.try_acquire(now);
                break;
            case situation::half_open_silent:
                half_open();
                other = breaker.try_acquire(now);
                now += 5s;
                break;
            case situation::forced_open:
                breaker.force_open();
                break;
            case situation::forced_closed:
                breaker.force_close();
                current = breaker.try_acquire(now);
                break;
        }
    }

    void half_open() {
        fail_times(breaker, 1, now);
        now += 5s;
        current = breaker.try_acquire(now);
    }
};

using enum circuit_state;
using enum effect;

const std::vector<cell> table{
    {situation::closed, event::acquire, closed, closed, {}, admitted},
    {situation::closed, event::success, closed, closed, {}},
    {situation::closed, event::failure, closed, open, {closed, open}},
    {situation::closed, event::cancelled, closed, closed, {}},
    {situation::closed, event::late_success, closed, closed, {}, counted_late},
    {situation::closed, event::late_failure, closed, closed, {}, counted_late},
    {situation::closed, event::late_cancelled, closed, closed, {}},
    {situation::closed, event::force_open, closed, forced_open, {closed, forced_open}},
    {situation::closed, event::force_close, closed, forced_closed, {closed, forced_closed}},
    {situation::closed, event::reset, closed, closed, {}},

    {situation::open, event::acquire, open, open, {}},
    {situation::open, event::late_success, open, open, {}, counted_late},
    {situation::open, event::late_failure, open, open, {}, counted_late},
    {situation::open, event::late_cancelled, open, open, {}},
    {situation::open, event::force_open, open, forced_open, {open, forced_open}},
    {situation::open, event::force_close, open, forced_closed, {open, forced_closed}},
    {situation::open, event::reset, open, closed, {open, closed}},

    {situation::open_past_its_end, event::acquire, half_open, half_open, {open, half_open}, admitted},
    {situation::open_past_its_end, event::late_success, half_open, half_open, {}, counted_late},
    {situation::open_past_its_end, event::late_failure, half_open, half_open, {}, counted_late},
    {situation::open_past_its_end, event::late_cancelled, half_open, half_open, {}},
    {situation::open_past_its_end, event::force_open, half_open, forced_open, {open, forced_open}},
    {situation::open_past_its_end, event::force_close, half_open, forced_closed, {open, forced_closed}},
    {situation::open_past_its_end, event::reset, half_open, closed, {open, closed}},

    {situation::half_open, event::acquire, half_open, half_open, {}, admitted},
    {situation::half_open, event::success, half_open, closed, {half_open, closed}},
    {situation::half_open, event::failure, half_open, open, {half_open, open}},
    {situation::half_open, event::cancelled, half_open, half_open, {}},
    {situation::half_open, event::late_success, half_open, half_open, {}, counted_late},
    {situation::half_open, event::late_failure, half_open, half_open, {}, counted_late},
    {situation::half_open, event::late_cancelled, half_open, half_open, {}},
    {situation::half_open, event::force_open, half_open, forced_open, {half_open, forced_open}},
    {situation::half_open, event::force_close, half_open, forced_closed, {half_open, forced_closed}},
    {situation::half_open, event::reset, half_open, closed, {half_open, closed}},

    {situation::half_open_full, event::acquire, half_open, half_open, {}},
    {situation::half_open_full, event::success, half_open, closed, {half_open, closed}},
    {situation::half_open_full, event::failure, half_open, open, {half_open, open}},
    {situation::half_open_full, event::cancelled, half_open, half_open, {}},
    {situation::half_open_full, event::late_success, half_open, half_open, {}, counted_late},
    {situation::half_open_full, event::late_failure, half_open, half_open, {}, counted_late},
    {situation::half_open_full, event::late_cancelled, half_open, half_open, {}},

    {situation::half_open_silent, event::acquire, half_open, half_open, {}, admitted},
    {situation::half_open_silent, event::success, half_open, closed, {half_open, closed}},
    {situation::half_open_silent, event::failure, half_open, open, {half_open, open}},
    {situation::half_open_silent, event::cancelled, half_open, half_open, {}},

    {situation::forced_open, event::acquire, forced_open, forced_open, {}},
    {situation::forced_open, event::late_success, forced_open, forced_open, {}, counted_late},
    {situation::forced_open, event::late_failure, forced_open, forced_open, {}, counted_late},
    {situation::forced_open, event::late_cancelled, forced_open, forced_open, {}},
    {situation::forced_open, event::force_open, forced_open, forced_open, {}},
    {situation::forced_open, event::force_close, forced_open, forced_closed, {forced_open, forced_closed}},
    {situation::forced_open, event::reset, forced_open, closed, {forced_open, closed}},

    {situation::forced_closed, event::acquire, forced_closed, forced_closed, {}, admitted},
    {situation::forced_closed, event::success, forced_closed, forced_closed, {}},
    {situation::forced_closed, event::failure, forced_closed, forced_closed, {}},
    {situation::forced_closed, event::cancelled, forced_closed, forced_closed, {}},
    {situation::forced_closed, event::late_success, forced_closed, forced_closed, {}, counted_late},
    {situation::forced_closed, event::late_failure, forced_closed, forced_closed, {}, counted_late},
    {situation::forced_closed, event::late_cancelled, forced_closed, forced_closed, {}},
    {situation::forced_closed, event::force_open, forced_closed, forced_open, {forced_closed, forced_open}},
    {situation::forced_closed, event::force_close, forced_closed, forced_closed, {}},
    {situation::forced_closed, event::reset, forced_closed, closed, {forced_closed, closed}},
};

circuit_transition apply(event what, scene& at, bool& admitted) {
    switch (what) {
        case event::acquire: {
            const auto permit = at.breaker.try_acquire(at.now);
            admitted = static_cast<bool>(permit);
            return permit.transition();
        }
        case event::success:
            return at.current.record_success(at.now);
        case event::failure:
            return at.current.record_failure(at.now);
        case event::cancelled:
            at.current.cancel();
            return {};
        case event::late_success:
            return at.stale.record_success(at.now);
        case event::late_failure:
            return at.stale.record_failure(at.now);
        case event::late_cancelled:
            at.stale.cancel();
            return {};
        case event::force_open:
            return at.breaker.force_open();
        case event::force_close:
            return at.breaker.force_close();
        case event::reset:
            return at.breaker.reset();
    }
    return {};
}

TEST(circuit_breaker, follows_its_table_for_every_state_and_event) {
    for (std::size_t row = 0; row < table.size(); ++row) {
        SCOPED_TRACE("row " + std::to_string(row));
        const cell& want = table[row];
        scene at(want.in);
        ASSERT_EQ(at.breaker.state(at.now), want.before);
        bool admitted = false;
        const auto late_before = at.breaker.stats().late;
        const auto change = apply(want.what, at, admitted);
        EXPECT_EQ(change, want.change);
        EXPECT_EQ(at.breaker.state(at.now), want.after);
        EXPECT_EQ(admitted, want.also == effect::admitted);
        EXPECT_EQ(at.breaker.stats().late - late_before, want.also == counted_late ? 1u : 0u);
    }
}

}  // namespace
