// Memory that is not there: whichever allocation fails, no write is forgotten, sent twice at a time or
// counted wrongly.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "levee/cache/detail/pending_writes.hpp"
#include "levee/core/hash.hpp"
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
        made.sequence = made.oldest = static_cast<std::uint64_t>(last_);
        made.since = now_;
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
            }
            w_.schedule().succeeded(sent.size(), 0s);
            return;
        }
        accept(sent.front().first);  // supersedes it
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

}  // namespace
}  // namespace levee::cache_detail
