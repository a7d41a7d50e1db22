/// Stands before Boost 1.81's file of this name in the thread sanitizer's build only.
///
/// That sanitizer does not understand `atomic_thread_fence`, and Asio uses it in two places. One has a switch
/// (BOOST_ASIO_DISABLE_FENCED_BLOCK); the other, the last release of a reference count, is here the stronger
/// read-modify-write instead. Should Asio come to use another, g++ says so (-Wtsan, an error).
#pragma once

#include <atomic>

namespace boost::asio::detail {

using atomic_count = std::atomic<long>;

inline void increment(atomic_count& count, long by) {
    count += by;
}

inline void decrement(atomic_count& count, long by) {
    count -= by;
}

inline void ref_count_up(atomic_count& count) {
    count.fetch_add(1, std::memory_order_relaxed);
}

inline bool ref_count_down(atomic_count& count) {
    return count.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

}  // namespace boost::asio::detail
