#include "levee/local/detail/reader_patience.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "levee/core/thread_slots.hpp"

namespace levee::local_detail {

bool is_reading() noexcept {
    const detail::thread_state& mine = detail::this_thread;
    return mine.unslotted_pins != 0 ||
           (mine.record != nullptr && mine.record->announced.load(std::memory_order_relaxed) != 0);
}

// Not a sleep that stands for a signal: there is none, since readers tell nobody that they have ended, which
// is why they are fast. Who waits looks again each time, and not for ever.
void take(reader_patience::step step) noexcept {
    if (step == reader_patience::step::yield) {
        std::this_thread::yield();
    } else if (step == reader_patience::step::nap) {
        std::mutex mutex;
        std::condition_variable nobody_tells;
        std::unique_lock lock(mutex);
        nobody_tells.wait_for(lock, reader_patience::a_nap);
    }
}

}  // namespace levee::local_detail
