// Random commands, time-outs, cancellations and broken connections against the connection's state machine: no
// reply may come to another command than its own, and each command ends exactly once.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/redis/error.hpp"
#include "redis/connection_state.hpp"

namespace levee::redis::detail {
namespace {

using namespace std::chrono_literals;

struct numbered final : request {
    numbered(std::uint64_t id, time_point until) : request(command("GET"), until), number(id) {
        wire = std::to_string(id) + ' ';
    }
    void finish() noexcept override { ++finished; }
    std::uint64_t number;
    int finished = 0;
};

class world {
public:
    explicit world(std::uint64_t seed)
        : random_(seed), state_({.max_pending = 40, .max_attempts = 3, .silence_timeout = 50ms}) {}

    /// `events` steps; afterwards all is ended, and every command's end is checked.
    void run(std::size_t events) {
        for (std::size_t i = 0; i < events && !::testing::Test::HasFatalFailure(); ++i) {
            step();
            if (all_.size() > 4096) {
                settle();
            }
        }
        settle();
    }

    std::size_t abandoned = 0;
    std::size_t answered = 0;
    std::size_t lost = 0;

private:
    std::uint64_t draw(std::uint64_t below) { return uniform_below(random_, below); }

    void step() {
        switch (draw(10)) {
            case 0:
            case 1:
            case 2:
                submit();
                break;
            case 3: {
                std::string out;
                state_.take_output(out, 1 + draw(60), now_, done_);
                receive(out);
                break;
            }
            case 4:
            case 5:
                for (std::uint64_t i = draw(4); i > 0; --i) {
                    answer();
                }
                break;
            case 6:
                abandon();
                break;
            case 7:
                now_ += std::chrono::milliseconds(draw(4));
                state_.expire(now_, done_);
                break;
            case 8:
                if (draw(20) == 0 && state_.where() == connection_state::phase::ready) {
                    lose();
                } else if (state_.where() != connection_state::phase::ready) {
                    connect();
                }
                break;
            default:
                if (state_.where() == connection_state::phase::ready && state_.is_silent(now_)) {
                    lose();
                }
                break;
        }
        finish();
    }

    void submit() {
        all_.push_back(std::make_unique<numbered>(next_++, now_ + std::chrono::milliseconds(1 + draw(30))));
        numbered& one = *all_.back();
        one.is_idempotent = draw(2) == 0;
        one.is_blocking = draw(3) == 0;
        if (draw(4) == 0) {
            one.is_group = true;
            one.commands = 1 + static_cast<std::uint32_t>(draw(3));
        }
        if (!state_.submit(one)) {
            one.finish();
        }
    }

    void receive(const std::string& out) {
        for (std::size_t at = 0; at < out.size();) {
            const std::size_t end = out.find(' ', at);
            const std::uint64_t number = std::stoull(out.substr(at, end - at));
            ASSERT_EQ(ended_unsent_.count(number), 0U) << number << " was sent after its end";
            for (std::uint32_t i = 0; i < find(number).commands; ++i) {
                server_.push_back(number);
            }
            at = end + 1;
        }
    }

    void answer() {
        if (!server_.empty()) {
            const std::uint64_t number = server_.front();
            server_.pop_front();
            ASSERT_TRUE(state_.take_reply(reply::of_integer(static_cast<std::int64_t>(number)), done_));
        }
    }

    void abandon() {
        const std::size_t recent = (std::min)(all_.size(), std::size_t{60});  // the others are done, mostly
        numbered* const one = recent == 0 ? nullptr : all_[all_.size() - 1 - draw(recent)].get();
        if (one != nullptr && (one->state == request_state::queued || one->state == request_state::sent)) {
            ASSERT_TRUE(state_.abandon(*one, draw(2) == 0 ? levee::errc::timeout : levee::errc::cancelled));
            one->finish();
            ++abandoned;
            if (!one->cause.may_have_been_executed) {
                ended_unsent_.insert(one->number);
            }
        }
    }

    void lose() {
        server_.clear();
        state_.lost({errc::connection_lost, false, "broken"}, done_);
        ++lost;
        if (draw(3) == 0) {
            state_.refused({errc::not_connected, false, "refused"}, draw(4) == 0, done_);
        }
    }

    void connect() {
        state_.try_again();
        state_.connected();
    }

    void finish() {
        while (request* const one = done_.pop()) {
            one->finish();
        }
    }

    numbered& find(std::uint64_t number) { return *all_.at(number - all_.front()->number); }

    void settle() {
        if (state_.where() != connection_state::phase::ready) {
            connect();
        }
        while (state_.has_output() || !server_.empty()) {
            std::string out;
            state_.take_output(out, 1'000, now_, done_);
            receive(out);
            answer();
            finish();
        }
        ASSERT_EQ(state_.unanswered(), 0U);
        ASSERT_EQ(state_.queued(), 0U);
        ASSERT_EQ(state_.queued_bytes(), 0U);
        for (const auto& each : all_) {
            ASSERT_EQ(each->finished, 1) << each->number;
            if (each->cause.code) {
                continue;
            }
            ++answered;
            const auto number = static_cast<std::int64_t>(each->number);
            if (each->is_group) {
                ASSERT_EQ(each->parts, std::vector(each->commands, reply::of_integer(number)));
            } else {
                ASSERT_EQ(each->answer.integer(), number);
            }
        }
        all_.clear();
        ended_unsent_.clear();
    }

    xoshiro256 random_;
    connection_state state_;
    time_point now_{1h};
    finished_list done_;
    std::vector<std::unique_ptr<numbered>> all_;
    std::deque<std::uint64_t> server_;  // whose replies are on their way
    std::set<std::uint64_t> ended_unsent_;
    std::uint64_t next_ = 1;
};

void abandon_at_random(std::size_t wanted) {
    std::size_t abandoned = 0;
    std::size_t answered = 0;
    std::size_t lost = 0;
    for (std::uint64_t seed = 1; abandoned < wanted; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        world one(seed);
        ASSERT_NO_FATAL_FAILURE(one.run(50'000));
        abandoned += one.abandoned;
        answered += one.answered;
        lost += one.lost;
    }
    EXPECT_GT(answered, wanted / 20);
    EXPECT_GT(lost, 100U);
}

TEST(redis_connection_simulation, pairs_each_reply_with_its_command_through_1e5_abandoned_ones) {
    abandon_at_random(100'000);
}

TEST(redis_connection_simulation, long_pairs_each_reply_with_its_command_through_1e6_abandoned_ones) {
    abandon_at_random(1'000'000);
}

}  // namespace
}  // namespace levee::redis::detail
