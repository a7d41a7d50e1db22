// Several processes, one Redis: G1 to G4 while processes and the server are killed and stopped and their
// pub/sub links are cut, silenced and delayed (M2, M3, M7, M8; histories are checked afterwards).
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "history.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"
#include "node.hpp"
#include "shared_memory.hpp"
#include "sources.hpp"
#include "support/polling.hpp"
#include "support/redis_fixture.hpp"
#include "support/tcp_proxy.hpp"
#include "support/temp_dir.hpp"
#include "worker_process.hpp"

namespace levee::tests {
namespace {

using namespace std::chrono_literals;
using numbers = node<std::uint64_t>;

class processes : public redis_server_fixture {
protected:
    void SetUp() override {
        redis_server_fixture::SetUp();
        for (auto& row : state_->rows) {
            row.store(1);
        }
    }

    worker_process start(const std::string& part, unsigned slot, unsigned bus_port = 0) {
        return worker_process({.part = part,
                               .memory = state_.file(),
                               .slot = slot,
                               .redis_port = server().port(),
                               .bus_port = bus_port != 0 ? bus_port : server().port(),
                               .folder = folder_.path()});
    }

    /// Polls what other processes do. False: it did not come within a minute.
    template <class Condition>
    static bool comes(Condition condition) {
        return comes_true(std::move(condition), 60s);
    }

    history collected(std::vector<disturbance> of_server = {}) {
        history all{.of_server = std::move(of_server),
                    .link_bound = link_bound,
                    .marks_interval = marks_interval,
                    .lease = lease_time};
        for (const auto& each : state_->histories) {
            if (each.size.load() != 0) {
                all.processes.push_back(events_of(each));
            }
        }
        return all;
    }

    /// Random operations for so long, and something bad all the time.
    void disturb_and_check(std::uint64_t seed, duration span);

    temp_dir folder_;
    shared_memory state_;
};

void processes::disturb_and_check(std::uint64_t seed, duration span) {
    constexpr unsigned count = 4;
    splitmix64 random(seed);
    const auto draw = [&](std::uint64_t below) { return random() % below; };
    std::array<std::unique_ptr<tcp_proxy>, count> links;
    std::vector<worker_process> workers;
    unsigned slots = 0;
    for (auto& each : links) {
        each = std::make_unique<tcp_proxy>(server().port());
        workers.push_back(start("random", slots++, each->port()));
    }
    ASSERT_TRUE(comes([&] { return state_->ready.load() == count; }));
    std::vector<disturbance> of_server;
    std::array<int, 7> done{};
    // One of each kind first, in this order; then what comes.
    std::vector<std::uint64_t> each_once{0, 2, 3, 4, 5, 7, 9};
    const time_point until = clock::precise().now() + span;
    while (clock::precise().now() < until || !each_once.empty()) {
        const auto last = [&](std::uint64_t most) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + draw(most)));
        };
        const std::size_t who = draw(count);
        const time_point began = clock::precise().now();
        std::uint64_t what = draw(10);
        if (!each_once.empty()) {
            what = each_once.back();
            each_once.pop_back();
        }
        switch (what) {
            case 0:
            case 1:
                workers[who].pause();
                last(1000);
                workers[who].resume();
                ++done[0];
                break;
            case 2:
                if (slots == shared_state::max_processes) {
                    break;
                }
                workers[who].kill();
                workers[who] = start("random", slots++, links[who]->port());
                ++done[1];
                break;
            case 3:
                server().pause();
                last(700);
                server().resume();
                of_server.push_back({began, clock::precise().now()});
                ++done[2];
                break;
            case 4:
                server().kill();
                last(300);
                server().start();
                of_server.push_back({began, clock::precise().now()});
                ++done[3];
                break;
            case 5:
            case 6:
                links[who]->set(proxy_mode::refuses);
                last(1000);
                links[who]->set(proxy_mode::works);
                ++done[4];
                break;
            case 7:
            case 8:
                links[who]->set(proxy_mode::is_silent);
                last(1200);
                links[who]->set(proxy_mode::works);
                ++done[5];
                break;
            default:
                links[who]->set_delay(std::chrono::milliseconds(1 + draw(100)));
                last(500);
                links[who]->set_delay({});
                ++done[6];
                break;
        }
        last(400);  // undisturbed
    }
    state_->is_over.store(true);
    for (auto& each : workers) {
        EXPECT_EQ(each.wait(), 0);
    }
    const history all = collected(of_server);
    for (const auto& each : violations(all)) {
        ADD_FAILURE() << each << " (seed " << seed << ")";
    }
    const checked_counts counts = checked(all);
    std::printf(
        "seed %llu: %llu requests, %llu loads, %llu failed; %d pauses, %d kills of processes, %d and %d of "
        "the "
        "server, links %d cut, %d silent, %d late; checked: G1 %llu, G2 %llu, of marks %llu, G3 %llu, G4 "
        "%llu\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(state_->requests.load()),
        static_cast<unsigned long long>(state_->loads.load()),
        static_cast<unsigned long long>(state_->failures.load()), done[0], done[1], done[2], done[3], done[4],
        done[5], done[6], static_cast<unsigned long long>(counts.g1),
        static_cast<unsigned long long>(counts.g2), static_cast<unsigned long long>(counts.marks),
        static_cast<unsigned long long>(counts.g3), static_cast<unsigned long long>(counts.g4));
    EXPECT_GT(counts.g1, 100U);
    EXPECT_GT(counts.g2, 10U);
    EXPECT_GT(counts.marks, 0U);
    EXPECT_GT(counts.g3, 100U);
    EXPECT_GT(counts.g4, 0U);  // of pairs that a violation could have shown in
    for (const int times : done) {
        EXPECT_GT(times, 0) << "a disturbance that never came";
    }
    EXPECT_EQ(state_->failures.load(), 0U) << "requests that ended with an error";
}

TEST_F(processes, keep_the_promises_while_they_the_server_and_the_links_are_disturbed) {  // G1, G2, G3, G4
    disturb_and_check(::testing::UnitTest::GetInstance()->random_seed() != 0
                          ? static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->random_seed())
                          : 1,
                      15s);
}

TEST_F(processes, load_an_expired_key_once_for_a_thousand_callers_in_four_processes) {  // G4
    constexpr std::uint32_t count = 4, stampedes = 3;
    slow_table rows(*state_, folder_.path());
    std::vector<write_op<std::string, std::string>> written;
    for (std::uint32_t i = 1; i <= stampedes; ++i) {
        written.push_back({.key = "k" + std::to_string(i), .value = "slow"});
    }
    static_cast<void>(rows.store(std::move(written)));
    node<std::string> here(std::make_shared<slow_table>(*state_, folder_.path()), server().port(),
                           server().port(), {});
    std::vector<worker_process> workers;
    for (unsigned slot = 0; slot < count; ++slot) {
        workers.push_back(start("stampede", slot));
    }
    ASSERT_TRUE(comes([&] { return state_->ready.load() == count; }));
    for (std::uint32_t round = 1; round <= 2 * stampedes; ++round) {
        const std::string key = "k" + std::to_string((round + 1) / 2);
        if (round % 2 == 1) {
            here.values->underlying().put(key, "slow", {.ttl = 1s, .ttl_jitter = 0.0});
        } else {
            ASSERT_TRUE(comes([&] { return !here.store->get({"m:v1:" + key}).front().has_value(); }))
                << "the key expires";
        }
        state_->done.store(0);
        state_->loads.store(0);
        state_->round.store(round);
        ASSERT_TRUE(comes([&] { return state_->done.load() == count; }));
        EXPECT_EQ(state_->loads.load(), round % 2 == 1 ? 0U : 1U) << "round " << round;
    }
    EXPECT_EQ(state_->requests.load(), std::uint64_t{stampedes} * count * 256);
    EXPECT_EQ(state_->failures.load(), 0U);
    state_->is_over.store(true);
    for (auto& each : workers) {
        EXPECT_EQ(each.wait(), 0);
    }
}

TEST_F(processes, hear_of_an_acknowledged_invalidation_at_once) {
    numbers here(std::make_shared<rows>(*state_, nullptr, 0ms), server().port(), server().port(), {});
    ASSERT_TRUE(here.bus->wait_subscribed(10s));
    auto watcher = start("watch", 0);
    histogram latencies;
    std::uint64_t before_return = 0;
    constexpr std::uint32_t rounds = 500;
    ASSERT_TRUE(comes([&] { return state_->ready.load() == 1; }));
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        state_->round.store(round);
        ASSERT_TRUE(comes([&] { return state_->ready.load() == round + 1; })) << "it has the value in L1";
        state_->rows[0].fetch_add(1);
        ASSERT_EQ(here.values->invalidate(text_of(0)), reach::acknowledged);
        const time_point acknowledged = clock::precise().now();
        ASSERT_TRUE(comes([&] { return state_->done.load() == round; })) << "it hears of it";
        const duration after(state_->seen_at.load() - acknowledged.time_since_epoch().count());
        before_return += after <= duration::zero() ? 1 : 0;
        latencies.record(static_cast<std::uint64_t>(std::max(after, duration::zero()).count()));
    }
    state_->is_over.store(true);
    EXPECT_EQ(watcher.wait(), 0);
    const auto micros = [](std::optional<std::uint64_t> ns) {
        return static_cast<double>(ns.value_or(0)) / 1000.0;
    };
    std::printf(
        "from an acknowledged invalidate to not fresh in another process, %u times: p50 %.0f us, p99 "
        "%.0f us, max %.0f us; %llu before it returned\n",
        rounds, micros(latencies.value_at_percentile(50)), micros(latencies.value_at_percentile(99)),
        micros(latencies.max()), static_cast<unsigned long long>(before_return));
    RecordProperty("invalidation_p99_us", static_cast<int>(micros(latencies.value_at_percentile(99))));
}

/// Changes key 0 for `span` after the watcher was cut off from hearing of it.
class cut_off : public processes {
protected:
    void SetUp() override {
        processes::SetUp();
        if (IsSkipped()) {
            return;
        }
        link_ = std::make_unique<tcp_proxy>(server().port());
        here_ = std::make_unique<numbers>(std::make_shared<rows>(*state_, nullptr, 0ms), server().port(),
                                          server().port(), entry_options{});
        ASSERT_TRUE(here_->bus->wait_subscribed(10s));
        watcher_ = std::make_unique<worker_process>(start("watch", 0, link_->port()));
        ASSERT_TRUE(comes([&] { return state_->ready.load() == 1; }));
        state_->round.store(1);
        ASSERT_TRUE(comes([&] { return state_->ready.load() == 2; })) << "it has the value in L1";
    }

    void change_it(duration span) {
        recorder log(state_->histories[1]);
        const time_point until = clock::precise().now() + span;
        while (clock::precise().now() < until) {
            auto it = log.begin(act::change, 0, state_->rows[0].fetch_add(1) + 1);
            it.end(here_->values->invalidate(text_of(0)) == reach::acknowledged ? progress::acknowledged
                                                                                : progress::queued);
            std::this_thread::sleep_for(10ms);
        }
    }

    /// Reads of the first value, called fresh, that began after `at`.
    std::uint64_t old_reads_after(time_point at) {
        std::uint64_t count = 0;
        for (const event& e : events_of(state_->histories[0])) {
            count += e.how == progress::done && e.value == 1 && e.began > at ? 1 : 0;
        }
        return count;
    }

    /// Looks, whatever they found, that began after `at`.
    std::uint64_t reads_after(time_point at) {
        std::uint64_t count = 0;
        for (const event& e : events_of(state_->histories[0])) {
            count += e.began > at ? 1 : 0;
        }
        return count;
    }

    void expect_bound(time_point cut) {
        state_->is_over.store(true);
        EXPECT_EQ(watcher_->wait(), 0);
        const history all = collected();
        for (const auto& each : violations(all)) {
            ADD_FAILURE() << each;
        }
        EXPECT_EQ(old_reads_after(cut + link_bound), 0U);
    }

    std::unique_ptr<tcp_proxy> link_;
    std::unique_ptr<numbers> here_;
    std::unique_ptr<worker_process> watcher_;
};

TEST_F(cut_off, by_silence_a_process_calls_nothing_fresh_beyond_the_bound) {  // G3, M3
    link_->set(proxy_mode::is_silent);
    const time_point cut = clock::precise().now();
    change_it(1500ms);
    expect_bound(cut);
    EXPECT_GT(old_reads_after(cut), 0U) << "until then it could not know";
}

TEST_F(cut_off, by_a_reset_a_process_calls_nothing_fresh_beyond_the_bound) {  // G3, M3
    link_->set(proxy_mode::refuses);
    const time_point cut = clock::precise().now();
    change_it(1500ms);
    expect_bound(cut);
    EXPECT_GT(reads_after(cut + link_bound), 0U) << "it went on looking";
}

TEST_F(cut_off, by_being_stopped_a_process_calls_nothing_fresh_when_it_goes_on) {  // G3
    watcher_->pause();
    const time_point cut = clock::precise().now();
    change_it(1500ms);
    const std::uint64_t reads = state_->histories[0].size.load();
    watcher_->resume();
    ASSERT_TRUE(comes([&] { return state_->histories[0].size.load() > reads + 10; })) << "it reads again";
    expect_bound(cut);
}

TEST_F(cut_off, and_back_a_process_has_what_it_missed) {  // M3: heals
    link_->set(proxy_mode::is_silent);
    change_it(1s);
    link_->set(proxy_mode::works);
    ASSERT_TRUE(comes([&] { return state_->done.load() == 1; }));
    for (std::uint32_t round = 2; round < 5; ++round) {  // and hears again
        state_->round.store(round);
        ASSERT_TRUE(comes([&] { return state_->ready.load() == round + 1; }));
        change_it(1ms);
        ASSERT_TRUE(comes([&] { return state_->done.load() == round; }));
    }
    state_->is_over.store(true);
    EXPECT_EQ(watcher_->wait(), 0);
    EXPECT_EQ(violations(collected()), std::vector<std::string>());
}

TEST_F(processes, answer_every_request_while_the_server_stops_hangs_and_comes_back) {
    constexpr std::uint32_t count = 3;
    std::vector<worker_process> workers;
    for (unsigned slot = 0; slot < count; ++slot) {
        workers.push_back(start("serve", slot));
    }
    ASSERT_TRUE(comes([&] { return state_->ready.load() == count; }));
    // Each phase lasts until so many requests of each thread were answered in it, whatever that takes.
    // Without Redis, and with an empty one, that asks the source.
    const auto phase = [&](const char* name, std::uint64_t most_loads_needed) {
        const std::uint64_t loads = state_->loads.load();
        const std::uint64_t requests = state_->requests.load();
        const time_point began = clock::precise().now();
        ASSERT_TRUE(comes([&] {
            return state_->requests.load() >= requests + 3'000 &&
                   state_->loads.load() >= loads + most_loads_needed;
        })) << name;
        const double seconds = std::chrono::duration<double>(clock::precise().now() - began).count();
        std::printf("%-24s %7.0f requests/s, %6.1f loads/s of the source\n", name,
                    static_cast<double>(state_->requests.load() - requests) / seconds,
                    static_cast<double>(state_->loads.load() - loads) / seconds);
    };
    phase("Redis there", 0);
    server().kill();
    phase("Redis gone", 50);
    server().start();
    phase("Redis back, empty", 0);
    server().pause();
    phase("Redis stopped", 50);
    server().resume();
    phase("Redis goes on", 0);
    state_->is_over.store(true);
    for (auto& each : workers) {
        EXPECT_EQ(each.wait(), 0);
    }
    EXPECT_EQ(state_->failures.load(), 0U);
}

TEST_F(processes, long_keep_the_promises_for_minutes) {
    disturb_and_check(4711, 100s);
}

}  // namespace
}  // namespace levee::tests
