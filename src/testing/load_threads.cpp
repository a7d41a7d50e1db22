#include "testing/load_threads.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "levee/testing/load_generator.hpp"

namespace levee::testing_detail {
namespace {

class real_pacer final : public pacer {
public:
    [[nodiscard]] time_point now() const noexcept override { return clock::precise().now(); }

    void wait_until(time_point until, const std::stop_token& stop) override {
        std::unique_lock lock(mutex_);
        // Nobody notifies it: it is a sleep that a stop can end.
        static_cast<void>(never_.wait_until(lock, stop, until, [] { return false; }));
    }

private:
    std::mutex mutex_;  // guards nothing: the condition wants one
    std::condition_variable_any never_;
};

/// What the threads of a run share.
struct thread_run {
    thread_run(const testing::load_profile& profile, pacer& clock, load_tally& counted)
        : schedule(profile),
          time(clock),
          tally(counted),
          start(time.now()),
          end(after(start, profile.max_time)) {}

    [[nodiscard]] std::optional<time_point> next_due() {
        const std::lock_guard lock(mutex);
        const std::optional<duration> due = schedule.next();
        return due ? std::optional(after(start, *due)) : std::nullopt;
    }

    void send(const std::function<void()>& request, const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const std::optional<time_point> due = next_due();
            if (!due) {
                return;
            }
            if (time.now() < *due) {
                time.wait_until(*due, stop);
            }
            const time_point begun = time.now();
            if (stop.stop_requested() || begun > end) {
                break;
            }
            tally.sent(begun - *due);
            bool ok = true;
            try {
                request();
            } catch (...) {
                ok = false;
            }
            const time_point ended = time.now();
            tally.ended(ok, ended - *due, ended - start);
        }
        tally.stopped(time.now() - start);
    }

    std::mutex mutex{};  // guards schedule
    testing::arrival_schedule schedule;
    pacer& time;
    load_tally& tally;
    const time_point start, end;
};

}  // namespace

void run_on_threads(const testing::load_profile& profile, std::size_t threads, pacer& time, load_tally& tally,
                    const std::function<void()>& request, const std::stop_token& stop) {
    thread_run run(profile, time, tally);
    std::stop_source all;  // the caller's stop, or a thread that could not be made
    const std::stop_callback forward(stop, [&all] { all.request_stop(); });
    std::vector<std::jthread> working;
    working.reserve(threads);
    try {
        for (std::size_t i = 0; i < threads; ++i) {
            working.emplace_back([&run, &request, token = all.get_token()] { run.send(request, token); });
        }
    } catch (...) {
        all.request_stop();
        throw;
    }
}

}  // namespace levee::testing_detail

namespace levee::testing {

load_report load_generator::run(const std::function<void()>& request, const std::stop_token& stop) const {
    testing_detail::load_tally tally(operation_);
    testing_detail::real_pacer time;
    testing_detail::run_on_threads(profile_, options_.threads, time, tally, request, stop);
    return tally.report(planned_);
}

}  // namespace levee::testing
