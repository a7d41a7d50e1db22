// The journal against power loss, deaths and failures at every step, beside a plain model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "journal_support.hpp"
#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/testing/manual_clock.hpp"

namespace {

using namespace levee::tests;
using levee::journal_damage_kind;
using levee::journal_options;
using levee::journal_sync;
using levee::uniform_below;

/// What is known of a record from outside.
struct known {
    std::string text{};
    bool is_safe = false;  // acknowledged, and as `sync` promises it survives a power loss
    bool is_acknowledged = false;
    bool is_released = false;
    levee::time_point acknowledged_at{};
};

/// Random calls to a journal on a bad disk, and all that may be said about what comes back.
class world {
public:
    world(std::uint64_t seed, journal_sync sync)
        : random_(seed), disk_(std::make_shared<power_loss_files>(seed)) {
        options_ = on(disk_);
        options_.sync = sync;
        options_.clock = &time_;
        options_.observer = [this](const levee::journal_event& event) {
            are_at_risk_ = are_at_risk_ || event.kind == levee::journal_event_kind::records_at_risk;
        };
        options_.max_bytes = below(2) == 0 ? 0 : 5 * 4096;
    }

    std::uint64_t below(std::uint64_t bound) { return uniform_below(random_, bound); }
    power_loss_files& disk() { return *disk_; }

    /// Opens, retrying after power cuts in the midst of it, and compares with the model.
    void open() {
        while (log_ == nullptr) {
            records replayed;
            try {
                log_ = std::make_unique<levee::journal>(
                    options_, [&](std::uint64_t sequence, levee::bytes_view is) {
                        replayed.emplace_back(sequence, std::string(levee::as_text(is)));
                    });
            } catch (const levee::error&) {
                disk_->cut_power();
                restart();
                continue;
            }
            compare(replayed);
        }
    }

    /// A few calls; false when the journal has to be opened again.
    bool step() {
        try {
            switch (below(10)) {
                case 0:
                case 1:
                case 2:
                case 3:
                    append();
                    break;
                case 4:
                case 5:
                    acknowledge();
                    break;
                case 6:
                case 7:
                    release();
                    break;
                case 8:
                    time_.advance(std::chrono::milliseconds(below(8)));
                    are_at_risk_ = false;
                    log_->run_sync();
                    note_synced();
                    if (options_.sync == journal_sync::every && !are_at_risk_ && disk_->has_power()) {
                        EXPECT_LT(log_->stats().oldest_lag, options_.sync_interval);  // the window
                    }
                    break;
                default:
                    if (below(6) == 0) {
                        disturb();
                    }
            }
        } catch (const levee::error& failed) {
            if (failed.code() != levee::errc::full && !disk_->has_power()) {
                log_.reset();
                restart();
                return false;
            }
        }
        if (!disk_->has_power() || below(40) == 0) {
            end();
            return false;
        }
        return true;
    }

    /// The power goes, the process dies, or it closes the journal.
    void end() {
        if (below(3) == 0) {
            try {
                log_->close();
                note_all_acknowledged();
            } catch (const levee::error&) {
                // As any other failed write.
            }
        }
        disk_->cut_power();
        log_.reset();
        restart();
    }

    void restart() {
        const auto kind = static_cast<power_loss>(below(4));
        disk_->power_on(kind);
        if (kind != power_loss::none) {  // what was only acknowledged may be gone now
            for (auto& [sequence, record] : model_) {
                record.is_acknowledged = record.is_safe;
            }
        }
    }

    std::uint64_t openings = 0;
    std::uint64_t holes = 0;

private:
    void append() {
        std::string text(below(below(10) == 0 ? 1500 : 80), static_cast<char>('a' + below(26)));
        const auto sequence = log_->append(levee::as_bytes(text));
        EXPECT_EQ(sequence, log_->stats().last_sequence);
        model_[sequence] = {.text = std::move(text)};
        waiting_ = sequence;
    }

    void acknowledge() {
        if (waiting_ == 0) {
            return;
        }
        log_->wait_durable(waiting_, soon());
        for (auto& [sequence, record] : model_) {
            if (sequence <= waiting_ && !record.is_acknowledged && !log_failed(sequence)) {
                record.is_acknowledged = true;
                record.acknowledged_at = time_.now();
            }
        }
        note_synced();
    }

    /// Whether waiting for it ended in an error earlier.
    bool log_failed(std::uint64_t sequence) {
        try {
            log_->wait_durable(sequence, soon());
            return false;
        } catch (const levee::error&) {
            model_[sequence].is_released = true;
            return true;
        }
    }

    void note_synced() {
        const auto stats = log_->stats();
        const std::uint64_t on_medium = stats.last_sequence - stats.lag;
        for (auto& [sequence, record] : model_) {
            if (sequence <= on_medium && record.is_acknowledged) {
                record.is_safe = true;
            }
        }
        if (options_.sync == journal_sync::always && waiting_ != 0) {
            for (auto& [sequence, record] : model_) {
                EXPECT_TRUE(!record.is_acknowledged || record.is_safe) << sequence;
            }
        }
    }

    void note_all_acknowledged() {
        for (auto& [sequence, record] : model_) {
            record.is_acknowledged = record.is_acknowledged || !log_failed(sequence);
            record.is_safe = record.is_safe || (record.is_acknowledged && options_.sync != journal_sync::off);
        }
    }

    void release() {
        std::vector<std::uint64_t> some;
        const std::uint64_t spared = below(4);
        for (auto& [sequence, record] : model_) {
            if (record.is_acknowledged && !record.is_released && below(4) >= spared) {
                some.push_back(sequence);
            }
        }
        log_->release(some);
        for (const auto sequence : some) {
            model_[sequence].is_released = true;
        }
    }

    void disturb() {
        switch (below(6)) {
            case 0:
                if (options_.sync == journal_sync::off) {
                    break;  // what it was to sync is not kept, and not promised
                }
                disk_->fail_syncs(1 + below(2), below(3));
                break;
            case 1:
                disk_->fail_writes(1 + below(2));
                break;
            case 2:
                disk_->set_short_writes(below(2) == 0);
                break;
            case 3:
                disk_->set_capacity(below(2) == 0 ? 20'000 : ~std::uint64_t{0});
                break;
            default:
                disk_->cut_power_at(disk_->operations() + 1 + below(12));
        }
    }

    void compare(const records& replayed) {
        ++openings;
        disk_->set_capacity(~std::uint64_t{0});
        disk_->fail_syncs(0);
        disk_->fail_writes(0);
        std::set<std::uint64_t> seen;
        std::uint64_t before = 0;
        for (const auto& [sequence, text] : replayed) {
            EXPECT_GT(sequence, before);
            before = sequence;
            const auto found = model_.find(sequence);
            ASSERT_NE(found, model_.end()) << sequence << " was never appended";
            EXPECT_EQ(found->second.text, text) << sequence;
            seen.insert(sequence);
        }
        for (auto each = model_.begin(); each != model_.end();) {
            auto& [sequence, record] = *each;
            if (!seen.contains(sequence)) {
                EXPECT_TRUE(record.is_released || !record.is_acknowledged) << sequence << " is lost";
                // A gapless suffix: what is not there is before all that is, or was never acknowledged.
                EXPECT_TRUE(seen.empty() || sequence < *seen.begin() || !record.is_acknowledged) << sequence;
                each = model_.erase(each);
            } else {
                // Replayed: it is on the medium, and it is pending again.
                record.is_acknowledged = true;
                record.is_safe = record.is_safe || options_.sync != journal_sync::off;
                record.is_released = false;
                ++each;
            }
        }
        for (const auto& damage : log_->recovery().damage) {
            EXPECT_NE(damage.kind, journal_damage_kind::corrupt)
                << damage.segment << " at " << damage.offset << " for " << damage.size << ", lost "
                << damage.first_lost << " to " << damage.last_lost;
            holes += damage.kind == journal_damage_kind::unsynced_hole ? 1U : 0U;
        }
        EXPECT_EQ(log_->stats().pending, replayed.size());
        waiting_ = 0;
    }

    levee::xoshiro256 random_;
    std::shared_ptr<power_loss_files> disk_;
    levee::testing::manual_clock time_{};
    journal_options options_{};
    std::unique_ptr<levee::journal> log_{};
    std::map<std::uint64_t, known> model_{};
    std::uint64_t waiting_ = 0;
    bool are_at_risk_ = false;
};

void run(std::uint64_t first_seed, std::uint64_t seeds, journal_sync sync) {
    std::uint64_t openings = 0;
    std::uint64_t holes = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        world one(seed, sync);
        one.open();
        for (int i = 0; i < 60; ++i) {
            if (!one.step()) {
                one.open();
            }
        }
        one.end();
        one.open();
        openings += one.openings;
        holes += one.holes;
        if (testing::Test::HasFailure()) {
            return;
        }
    }
    EXPECT_GT(openings, seeds * 2);
    testing::Test::RecordProperty("openings", std::to_string(openings));
    testing::Test::RecordProperty("holes", std::to_string(holes));
}

TEST(journal_power, a_cut_at_each_operation_loses_nothing_that_was_acknowledged) {
    // Three segments, a release that frees one, a closing and an opening that rewrites; then the cut.
    const auto scenario = [](const std::shared_ptr<power_loss_files>& disk, std::set<std::uint64_t>& safe) {
        for (int opening = 0; opening < 2; ++opening) {
            opened one(on(disk));
            for (int i = 0; i < 8; ++i) {
                safe.insert(one.put_safely(std::string(1200, static_cast<char>('a' + i))));
            }
            for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) {
                safe.erase(sequence);
                one.log->release(sequence);
            }
            one.log->close();
        }
    };
    const auto whole = std::make_shared<power_loss_files>();
    std::set<std::uint64_t> ignored;
    scenario(whole, ignored);
    ASSERT_GT(whole->operations(), 60U);
    for (std::uint64_t operation = 1; operation <= whole->operations(); ++operation) {
        for (const auto kind :
             {power_loss::none, power_loss::unsynced, power_loss::torn, power_loss::reordered}) {
            for (std::uint64_t seed = 1; seed <= 3; ++seed) {
                SCOPED_TRACE(std::to_string(operation) + " " + std::to_string(static_cast<int>(kind)) + " " +
                             std::to_string(seed));
                const auto disk = std::make_shared<power_loss_files>(seed);
                disk->cut_power_at(operation);
                std::set<std::uint64_t> safe;
                EXPECT_THROW(scenario(disk, safe), levee::error);
                disk->power_on(kind);
                opened again(on(disk));
                std::uint64_t before = 0;
                for (const auto& [sequence, text] : again.replayed) {
                    EXPECT_TRUE(before == 0 || sequence == before + 1);  // gapless
                    before = sequence;
                    safe.erase(sequence);
                }
                EXPECT_TRUE(safe.empty()) << *safe.begin() << " is lost";
            }
        }
    }
}

TEST(journal_power, always_loses_nothing_that_was_acknowledged) {
    run(1, 4000, journal_sync::always);
}

TEST(journal_power, every_loses_at_most_the_window) {
    run(100'001, 4000, journal_sync::every);
}

TEST(journal_power, off_loses_nothing_but_to_a_power_loss) {
    run(200'001, 2000, journal_sync::off);
}

TEST(journal_power, long_loses_nothing) {
    run(1'000'001, 100'000, journal_sync::always);
    run(2'000'001, 100'000, journal_sync::every);
    run(3'000'001, 50'000, journal_sync::off);
}

}  // namespace
