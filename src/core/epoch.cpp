#include "levee/core/epoch.hpp"

#include <algorithm>
#include <utility>

#include "core/slot_registry.hpp"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace levee {
namespace detail {

constinit epoch_state the_epoch;

namespace {

// Threads pinned though they got no slot: while there are any, nothing passes.
constinit std::atomic<std::uint64_t> unslotted_pins{0};

// The greatest result of `oldest` so far. What has passed has passed for all, so one collector's fence serves
// every other whose tag is older: a cache of many shards fences about once where each shard would by itself.
// Release when raised, acquire when read: what readers did before it happened before what a thread that
// believes it frees. In a line of its own, written once a fence.
struct alignas(line_size) passed_state {
    std::atomic<epoch::tag> below{0};
};
constinit passed_state passed;

void raise_passed(epoch::tag result) noexcept {
    epoch::tag known = passed.below.load(std::memory_order_relaxed);
    while (known < result && !passed.below.compare_exchange_weak(known, result, std::memory_order_acq_rel,
                                                                 std::memory_order_relaxed)) {
    }
}

// Whether an announcement of `tag` or older can be seen without a fence. It may have ended by now: then that
// is seen the next time.
bool is_seen_pinned(epoch::tag tag) noexcept {
    const std::uint32_t end = slot_high_water.load(std::memory_order_acquire);
    for (std::uint32_t slot = 0; slot < end; ++slot) {
        const epoch::tag announced = record_of(slot).announced.load(std::memory_order_relaxed);
        if (announced != 0 && announced <= tag) {
            return true;
        }
    }
    return false;
}

// Whether collectors fence for readers. Decided once, before the first pin or collection, so no reader
// ever goes without a fence while some collector relies on one.
enum class fencing : int { undecided, by_both, by_collector };
constinit std::atomic<fencing> decided{fencing::undecided};

// From linux/membarrier.h, which old kernel headers do not have.
enum membarrier_command : int { fence_private = 1 << 3, register_private = 1 << 4 };

bool membarrier(membarrier_command command) noexcept {
#if defined(__linux__) && defined(SYS_membarrier) && !defined(LEVEE_THREAD_SANITIZER)
    return ::syscall(SYS_membarrier, static_cast<int>(command), 0, 0) == 0;
#else
    static_cast<void>(command);
    return false;
#endif
}

fencing decide() noexcept {
    fencing now = decided.load(std::memory_order_acquire);
    if (now == fencing::undecided) {
        // Registering twice is harmless, so threads that meet here need no lock: the first one decides.
        const fencing mine = membarrier(register_private) ? fencing::by_collector : fencing::by_both;
        if (decided.compare_exchange_strong(now, mine, std::memory_order_acq_rel)) {
            now = mine;
            the_epoch.readers_need_no_fence.store(mine == fencing::by_collector, std::memory_order_release);
        }
    }
    return now;
}

constinit std::atomic<std::uint64_t> fences_made{0};  // relaxed: a sum

// The collector's fence. False: it could not be had, and nothing is known about the readers.
bool heavy_fence() noexcept {
    const fencing how = decide();
    fences_made.fetch_add(1, std::memory_order_relaxed);
#if !defined(LEVEE_THREAD_SANITIZER)
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
    // The call may fail for want of memory, or of a permission dropped since it was registered.
    return how == fencing::by_both || membarrier(fence_private);
}

// Reads what a reader may be writing; under the thread sanitizer this is the fence as well (`announce`).
template <class T>
T read(std::atomic<T>& word) noexcept {
#if defined(LEVEE_THREAD_SANITIZER)
    return word.fetch_add(0, std::memory_order_seq_cst);
#else
    return word.load(std::memory_order_acquire);
#endif
}

}  // namespace

std::uint64_t collector_fences() noexcept {
    return fences_made.load(std::memory_order_relaxed);
}

void epoch_prepare() noexcept {
    decide();
}

void epoch_after_fork() noexcept {
    unslotted_pins.store(this_thread.unslotted_pins, std::memory_order_relaxed);
    // One thread is left, which may change the way of fencing. Kernels copy the registration; in case
    // one does not, it is made again.
    if (decided.load(std::memory_order_relaxed) == fencing::by_collector && !membarrier(register_private)) {
        decided.store(fencing::by_both, std::memory_order_relaxed);
        the_epoch.readers_need_no_fence.store(false, std::memory_order_relaxed);
    }
}

bool force_fenced_epochs(bool fenced) noexcept {
    the_epoch.readers_need_no_fence.store(false, std::memory_order_seq_cst);
    decided.store(fenced ? fencing::by_both : fencing::undecided, std::memory_order_seq_cst);
    return fenced == (decide() == fencing::by_both);
}

}  // namespace detail

detail::slot_record* epoch::first_pin() noexcept {
    detail::slot_record* const record = detail::try_record();
    if (record == nullptr) {
        ++detail::this_thread.unslotted_pins;
        detail::unslotted_pins.fetch_add(1, std::memory_order_seq_cst);
#if !defined(LEVEE_THREAD_SANITIZER)
        std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
    } else if (record->depth++ == 0) {
        detail::announce(*record);
    }
    return record;
}

void epoch::unpin_without_slot() noexcept {
    --detail::this_thread.unslotted_pins;
    detail::unslotted_pins.fetch_sub(1, std::memory_order_release);
}

epoch::tag epoch::oldest() noexcept {
    // Before the fence: a tag taken after this line is not below the result.
    tag result = detail::the_epoch.now.load(std::memory_order_acquire);
    if (!detail::heavy_fence()) {
        return 0;
    }
    if (detail::read(detail::unslotted_pins) != 0) {
        return 0;
    }
    const std::uint32_t end = detail::read(detail::slot_high_water);
    for (std::uint32_t slot = 0; slot < end; ++slot) {
        const tag announced = detail::read(detail::record_of(slot).announced);
        if (announced != 0) {
            result = std::min(result, announced);
        }
    }
    detail::raise_passed(result);
    return result;
}

bool epoch::has_passed(tag tag) noexcept {
    if (tag < detail::passed.below.load(std::memory_order_acquire)) {
        return true;
    }
    return !detail::is_seen_pinned(tag) && tag < oldest();
}

retire_list::retire_list(retire_list&& other) noexcept
    : waiting_(std::move(other.waiting_)), sealed_(std::exchange(other.sealed_, 0)) {
    other.waiting_.clear();
}

retire_list& retire_list::operator=(retire_list&& other) noexcept {
    // What was here is freed by the temporary, when this list already holds the other's.
    retire_list old(std::move(other));
    std::swap(waiting_, old.waiting_);
    std::swap(sealed_, old.sealed_);
    return *this;
}

retire_list::~retire_list() {
    // By index and again: freeing one object may retire another to this list.
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
        const retired next = waiting_[i];
        next.free_object(next.object);
    }
}

void retire_list::retire(void* object, void (*free_object)(void*)) {
    // So many share one tag, because each tag costs all readers of the process a cache miss.
    constexpr std::size_t per_tag = 64;
    waiting_.push_back({object, free_object, 0});
    if (waiting_.size() - sealed_ >= per_tag) {
        seal();
    }
}

void retire_list::reserve(std::size_t count) {
    const std::size_t wanted = waiting_.size() + count;
    if (wanted > waiting_.capacity()) {
        waiting_.reserve(std::max(wanted, 2 * waiting_.capacity()));  // growing by `count` would be quadratic
    }
}

void retire_list::seal() noexcept {
    if (sealed_ < waiting_.size()) {
        const epoch::tag tag = epoch::retire_tag();
        for (; sealed_ < waiting_.size(); ++sealed_) {
            waiting_[sealed_].tag = tag;
        }
    }
}

retire_list retire_list::extract_passed() {
    retire_list passed;
    if (waiting_.empty()) {
        return passed;
    }
    seal();
    const epoch::tag oldest = epoch::oldest();
    const auto first_kept = std::partition_point(waiting_.begin(), waiting_.end(),
                                                 [&](const retired& r) { return r.tag < oldest; });
    passed.waiting_.assign(waiting_.begin(), first_kept);
    passed.sealed_ = passed.waiting_.size();
    waiting_.erase(waiting_.begin(), first_kept);
    sealed_ = waiting_.size();
    return passed;
}

std::size_t retire_list::collect() {
    // Extracted first: freeing may retire more to this list.
    const retire_list passed = extract_passed();
    return passed.size();
}

}  // namespace levee
