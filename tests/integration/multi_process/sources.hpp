/// The systems of record of these tests: rows in shared memory, and a slow table.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/sqlite/table_source.hpp"
#include "levee/store/source.hpp"
#include "shared_memory.hpp"

namespace levee::tests {

inline constexpr std::uint16_t all_keys = 12;
/// The lower half of the keys is written through, the upper half carries tags.
inline constexpr std::uint16_t first_tagged = all_keys / 2;
/// Further keys, which nothing but `clear` changes: others change so often that two loads at once are
/// excused.
inline constexpr std::uint16_t calm_keys = 3;

inline std::uint16_t group_of(std::uint16_t key) {
    return key / first_tagged;
}
inline std::string text_of(std::uint16_t key) {
    return "g" + std::to_string(group_of(key)) + ":" + std::to_string(key);
}
inline std::uint16_t key_of(const std::string& text) {
    return static_cast<std::uint16_t>(std::stoul(text.substr(text.find(':') + 1)));
}
inline std::string tag_of(std::uint16_t key) {
    return "t" + std::to_string(key % 2);
}

/// A row's value is how often it was changed; a write that does not raise it by one is refused, so that
/// what is read tells what came first. A database that takes its time: what it answers is as old as its
/// load is long.
class rows final : public blocking_source<std::string, std::uint64_t> {
public:
    rows(shared_state& state, recorder* log, duration load_time)
        : state_(state), log_(log), load_time_(load_time) {}

    /// How many loads without a lease there were so far, as far as is known.
    void count_unleased_by(std::function<std::uint64_t()> count) { unleased_ = std::move(count); }

    std::vector<loaded<std::uint64_t>> load(
        std::vector<load_request<std::string, std::uint64_t>> requests) override {
        std::vector<recorder::act_in_progress> acts;
        std::vector<loaded<std::uint64_t>> answers;
        const bool may_be_unleased = is_unleased();
        for (const auto& each : requests) {
            const std::uint16_t key = key_of(each.key);
            state_.loads.fetch_add(1);
            if (log_ != nullptr) {
                acts.push_back(log_->begin(act::load, key));
                if (may_be_unleased) {
                    acts.back().mark_unleased();
                }
            }
            answers.push_back(loaded<std::uint64_t>::found(state_.rows[key].load()));
            if (key >= first_tagged && key < all_keys) {
                answers.back().tags.push_back(tag_of(key));
            }
        }
        std::this_thread::sleep_for(load_time_);
        for (std::size_t i = 0; i < acts.size(); ++i) {
            acts[i].end(progress::done, *answers[i].value);
        }
        return answers;
    }

    write_report store(std::vector<write_op<std::string, std::uint64_t>> operations) override {
        for (const auto& each : operations) {
            std::uint64_t before = *each.value - 1;
            if (!state_.rows[key_of(each.key)].compare_exchange_strong(before, *each.value)) {
                throw error(errc::invalid_data, "somebody else has changed the row");
            }
        }
        return write_report(operations.size());
    }

private:
    // Which of several loads it was is not known, so all of a while are taken for it.
    bool is_unleased() {
        if (unleased_ == nullptr) {
            return true;
        }
        const std::uint64_t count = unleased_();
        const auto now = recorder::now().time_since_epoch().count();
        if (last_count_.exchange(count) != count) {
            last_change_.store(now);
        }
        return now - last_change_.load() < duration(std::chrono::seconds(1)).count();
    }

    shared_state& state_;
    recorder* log_;
    const duration load_time_;
    std::function<std::uint64_t()> unleased_;
    std::atomic<std::uint64_t> last_count_{0};
    std::atomic<duration::rep> last_change_{0};
};

/// A table whose queries take 200 ms.
class slow_table final : public blocking_source<std::string, std::string> {
public:
    slow_table(shared_state& state, const std::string& folder)
        : state_(state),
          table_({.path = folder + "/rows.db",
                  .table = "rows",
                  .create_if_missing = true,
                  .busy_timeout = std::chrono::seconds(10)}) {}

    std::vector<loaded<std::string>> load(
        std::vector<load_request<std::string, std::string>> requests) override {
        state_.loads.fetch_add(requests.size());
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return table_.load(std::move(requests));
    }
    write_report store(std::vector<write_op<std::string, std::string>> operations) override {
        return table_.store(std::move(operations));
    }

private:
    shared_state& state_;
    sqlite::table_source<std::string, std::string> table_;
};

}  // namespace levee::tests
