// Memory that is not there: whichever allocation fails, no write is forgotten, sent twice at a time or
// counted wrongly.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "levee/cache/detail/pending_writes.hpp"
#include "levee/cache/detail/write_log.hpp"
#include "levee/core/bytes.hpp"
#include "levee/core/hash.hpp"
#include "levee/journal/journal_options.hpp"
#include "levee/testing/power_loss_files.hpp"
#include "levee/testing/simulation.hpp"
#include "support/failing_allocations.hpp"

namespace levee::cache_detail {
namespace {

using tests::allocations_left;

using namespace std::chrono_literals;
using writes = pending_writes<int, int, hash<int>, std::equal_to<>>;

constexpr write_defences_off no_holes{};
constexpr int keys = 12;
constexpr std::size_t each_size = 10;

/// Writes, failures of all kinds, superseding ones, successes; one step with one allocation that fails.
class run {
public:
    explicit run(long failing) : failing_(failing) {}

    /// Whether that allocation was asked for.
    bool all() {
        for (int round = 0; round < 6; ++round) {
            for (int key = 0; key < keys; ++key) {
                with_failure([&] { accept(key); });
                check_oldest();
            }
            send(round % 2 == 0 ? write_failure::permanent : write_failure::unavailable);
            with_failure([&] { accept(round); });
            send(write_failure::retryable);
        }
        for (int i = 0; i < 200 && !pending_.empty(); ++i) {
            now_ += 1min;
            send({}, true);
        }
        EXPECT_TRUE(pending_.empty()) << pending_.size() << " writes are never sent";
        EXPECT_TRUE(w_.empty());
        EXPECT_EQ(bytes_, 0U);
        return has_failed_;
    }

private:
    template <class Step>
    void with_failure(Step step) {
        if (failing_ < 0) {
            step();
            return;
        }
        allocations_left = failing_;
        try {
            step();
        } catch (const std::bad_alloc&) {
        }
        has_failed_ = has_failed_ || allocations_left < 0;
        failing_ = has_failed_ ? -1 : allocations_left;
        allocations_left = -1;
    }

    void accept(int key) {
        pending_write<int> made;
        made.value = ++last_;
        made.sequence = made.age.oldest = static_cast<std::uint64_t>(last_);
        made.age.since = now_;
        made.size = each_size;
        made.is_journaled = true;
        auto* held = w_.find(key);
        const std::size_t replaced = held != nullptr && held->waiting ? held->waiting->size : 0;
        w_.accept(held, key, std::move(made));
        bytes_ += each_size - replaced;
        const long kept = std::exchange(allocations_left, -1);
        pending_[key] = last_;
        allocations_left = kept;
    }

    // What is known of the oldest is what looking at all writes tells.
    void check_oldest() {
        std::uint64_t oldest = ~std::uint64_t{0};
        time_point since = (time_point::max)();
        w_.for_each([&](const writes::slot& at) {
            for (const auto* each : {&at.waiting, &at.flying}) {
                if (*each) {
                    oldest = std::min(oldest, (*each)->age.oldest);
                    since = std::min(since, (*each)->age.since);
                }
            }
        });
        EXPECT_EQ(w_.oldest(), since);
        EXPECT_EQ(w_.has_up_to(oldest), !w_.empty());
        EXPECT_FALSE(w_.has_up_to(oldest - 1) && !w_.empty());
    }

    void send(write_failure kind, bool succeeds = false) {
        now_ += 10s;
        std::optional<write_batch> batch;
        with_failure([&] { batch = w_.take(now_, true); });
        if (!batch) {
            return;
        }
        std::vector<std::pair<int, int>> sent;
        for (write_slot* each : batch->slots) {
            const auto& at = writes::of(each);
            sent.emplace_back(*at.key, *at.flying->value);
        }
        if (succeeds) {
            for (const auto& [key, value] : sent) {
                EXPECT_EQ(pending_.at(key), value);
                pending_.erase(key);
                bytes_ -= each_size;
                w_.land(*w_.find(key));
                check_oldest();
            }
            w_.schedule().succeeded(sent.size(), 0s);
            return;
        }
        accept(sent.front().first);  // supersedes it
        check_oldest();
        const auto superseded = [&](const pending_write<int>& older) { bytes_ -= older.size; };
        with_failure([&] {
            if (auto* const alone = w_.failed(std::move(*batch), kind, now_, superseded)) {
                w_.keep(*alone, now_, superseded);
            }
        });
        std::vector<writes::slot*> strays;  // of a batch that was lost on the way
        w_.for_each_flying([&](writes::slot& at) { strays.push_back(&at); });
        for (auto* each : strays) {
            w_.keep(*each, now_, superseded);
        }
        check_oldest();
    }

    writes w_{
        {.batch_size = 4, .batch_attempts = 1, .max_attempts = 2, .backoff = {.initial = 1ms, .max = 1s}},
        no_holes};
    long failing_;
    bool has_failed_ = false;
    time_point now_{};
    int last_ = 0;
    std::map<int, int> pending_;  // the newest write of each key that has not landed
    std::size_t bytes_ = 0;
};

TEST(write_schedule_memory, whichever_allocation_fails_no_write_is_forgotten) {
    long count = 0;
    while (run(count).all() && !HasFailure()) {
        ++count;
    }
    EXPECT_GT(count, 20);
}

// A call that throws tells by that alone. The timer is there already: Boost.Asio 1.81 does not outlive a
// strand without memory.
TEST(write_log_memory, whichever_allocation_fails_who_waits_is_told_once) {
    constexpr std::size_t calls = 40;
    bool has_failed = true;
    long count = 0;
    for (; has_failed && !HasFailure(); ++count) {
        testing::simulation world(1);
        journal_options options{.files = std::make_shared<testing::power_loss_files>()};
        const auto log =
            write_log::open(std::move(options), world.executor(), world.scheduler(), [](auto, auto) {});
        const std::uint64_t record = log->append(as_bytes("a record"));
        std::vector<int> told(calls);
        std::vector<int> wanted(calls, 1);
        for (std::size_t i = 0; i < calls; ++i) {
            try {
                log->when_durable(record, world.now() + 1s,
                                  [&told, i](const auto& /*failure*/) { ++told[i]; });
            } catch (const std::bad_alloc&) {
                wanted[i] = 0;
            }
            allocations_left = i == 0 ? count : allocations_left;
        }
        has_failed = allocations_left < 0;
        allocations_left = -1;
        world.run();
        EXPECT_EQ(told, wanted) << count;
        log->close();
    }
    EXPECT_GT(count, 80);
}

}  // namespace
}  // namespace levee::cache_detail
