/// Epoch-based reclamation: readers without locks or shared stores, memory freed when no reader can see it.
///
/// A reader pins the epoch while it follows shared pointers. A writer unlinks a node, retires it, and it is
/// freed once every thread that was pinned at the time has unpinned (Fraser 2004; Hart, McKenney, Brown,
/// Walpole 2007). One epoch serves the process.
///
///     auto pinned = levee::epoch::pin();              // reader
///     use(*head.load(std::memory_order_acquire));
///
///     retired.retire(head.exchange(fresh));           // writer, under its own lock
///     retired.collect();
///
/// Why it is safe. A reader announces in its own line the epoch that it read, fences, then follows
/// pointers. A retirement unlinks, then raises the epoch from t to t + 1; t is its tag. A collector
/// fences, then looks at all announcements; the tag has passed if none is t or less. Three kinds of reader:
///  - It announced t + 1 or more. It read the raised epoch (acquire; the raise is a release, and all
///    raises are one release sequence), so the unlinking happened before its reads.
///  - The collector saw that it had unpinned, or a later pin of its. Announcements are written with
///    release and read with acquire, so its earlier reads happened before the freeing.
///  - The collector did not see its announcement. Of the two fences the collector's then came first, and
///    what the reader reads after its own fence is what was there after the unlinking.
/// Readers are many and collectors few, so the reader's fence is only the compiler's where the collector
/// can fence every core itself: membarrier(2) of Linux 4.14 (asymmetric fences, after Desnoyers,
/// McKenney et al. 2012). Elsewhere both are sequentially consistent fences.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "levee/core/thread_slots.hpp"

#if defined(__SANITIZE_THREAD__)
#define LEVEE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LEVEE_THREAD_SANITIZER 1
#endif
#endif

namespace levee {

namespace detail {

/// The epoch: from 1 on, since an announcement of 0 says "not pinned". In a line of its own, next to the
/// flag that is read with it and seldom written.
struct alignas(line_size) epoch_state {
    std::atomic<std::uint64_t> now{1};
    std::atomic<bool> readers_need_no_fence{false};  ///< Collectors use membarrier(2).
};

extern constinit epoch_state the_epoch;

/// Says that the thread of `record` is pinned, so that what it reads from here on is not freed.
inline void announce(slot_record& record) noexcept {
    const std::uint64_t now = the_epoch.now.load(std::memory_order_acquire);  // pairs with retire_tag
#if defined(LEVEE_THREAD_SANITIZER)
    // The sanitizer does not understand fences. Two read-modify-writes of one word, this one and the
    // collector's, have an order, and the later one sees all that was done before the earlier one.
    record.announced.exchange(now, std::memory_order_seq_cst);
#else
    record.announced.store(now, std::memory_order_release);
    if (the_epoch.readers_need_no_fence.load(std::memory_order_relaxed)) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
#endif
}

}  // namespace detail

/// The process-wide epoch. All functions are safe to call from any thread, but not in signal handlers.
class epoch {
public:
    /// As long as it lives, nothing that its thread could reach is freed.
    ///
    /// Guards nest; only the outermost one costs. A guard belongs to the thread that made it: it is
    /// destroyed there, before that thread ends, and never held over a `co_await`. It should be short-lived:
    /// everything retired in the whole process waits for it. If a thread ends without destroying its
    /// guard, or is left behind by fork, nothing waits for it.
    class [[nodiscard]] guard {
    public:
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;
        ~guard() {
            if (record_ == nullptr) [[unlikely]] {
                unpin_without_slot();
            } else if (--record_->depth == 0) {
                record_->announced.store(0, std::memory_order_release);  // pairs with `oldest`
            }
        }

    private:
        friend epoch;
        explicit guard(detail::slot_record* record) noexcept : record_(record) {}

        detail::slot_record* record_;  // null: this thread got no slot, and is counted instead
    };

    /// Pins the calling thread. Cost: about 1 ns with membarrier(2), 5 to 10 ns without; a thread's first
    /// pin takes its slot under a mutex. A thread that can have no slot (see `thread_slots`) is pinned by a
    /// shared count, which holds up all reclamation.
    [[nodiscard]] static guard pin() noexcept {
        detail::slot_record* const record = detail::this_thread.record;
        if (record == nullptr) [[unlikely]] {
            return guard(first_pin());
        }
        if (record->depth++ == 0) {
            detail::announce(*record);
        }
        return guard(record);
    }

    /// A moment in the order of retirements.
    using tag = std::uint64_t;

    /// Call after unlinking; what was unlinked may be freed once the tag has passed. Raises the epoch, a
    /// line that every pin reads: one tag should stand for many nodes, as in `retire_list`.
    [[nodiscard]] static tag retire_tag() noexcept {
        return detail::the_epoch.now.fetch_add(1, std::memory_order_seq_cst);
    }

    /// Every tag below the result has passed: no thread pinned before those tags is still pinned.
    ///
    /// The result is true for good, also for tags taken later or by other threads.
    /// Cost: a fence on every core that runs this process (0.3 to some 10 µs), and a look at every slot.
    [[nodiscard]] static tag oldest() noexcept;

    /// Whether `tag` has passed. Cost: a load if some thread's `oldest` said so since, a look at every slot
    /// if one of them shows that it has not, else that of `oldest`; to test several tags call that once.
    [[nodiscard]] static bool has_passed(tag tag) noexcept;

private:
    static detail::slot_record* first_pin() noexcept;
    static void unpin_without_slot() noexcept;
};

/// What its owner has unlinked and not yet freed.
///
/// Thread safety: distinct objects: safe; shared: unsafe, so the owner holds a lock. Freeing runs
/// destructors, which may not run under a lock: take `extract_passed()` there and drop it after.
class retire_list {
public:
    retire_list() = default;
    retire_list(retire_list&& other) noexcept;
    retire_list& operator=(retire_list&& other) noexcept;

    /// Frees everything at once, as assigning to a list does. Precondition: no reader can reach any of it
    /// any more, because all has passed or because all readers of the owner are gone.
    ~retire_list();

    /// Takes over `object`, which new readers can no longer reach, to `delete` it later.
    /// Errors: std::bad_alloc, and the object stays the caller's; never after `reserve`.
    template <class T>
    void retire(T* object) {
        retire(const_cast<void*>(static_cast<const volatile void*>(object)),
               [](void* erased) { delete static_cast<T*>(erased); });
    }

    /// The same for a unique_ptr with the usual deleter; it is not emptied if this throws.
    template <class T>
    void retire(std::unique_ptr<T>&& object) {
        retire(object.get());
        static_cast<void>(object.release());
    }

    /// The same for anything: `free_object(object)` is called once, on the thread that collects. It must
    /// not throw; it may retire other objects, also to this list.
    void retire(void* object, void (*free_object)(void*));

    /// Makes the next `count` calls of `retire` free of errors: for use before what cannot be undone.
    void reserve(std::size_t count);

    /// Frees what has passed; answers how many objects. Errors: std::bad_alloc, before anything changed.
    /// Cost: one `epoch::oldest()`, nothing when empty.
    std::size_t collect();

    /// Moves what has passed to a list of its own, whose destructor frees it. Errors, cost: as `collect`.
    [[nodiscard]] retire_list extract_passed();

    /// How many objects wait. A reader that stays pinned makes it grow: the owner may want a limit.
    [[nodiscard]] std::size_t size() const noexcept { return waiting_.size(); }
    [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }

private:
    struct retired {
        void* object;
        void (*free_object)(void*);
        epoch::tag tag;  // set when it is sealed
    };

    void seal() noexcept;

    std::vector<retired> waiting_;  // the oldest first
    std::size_t sealed_ = 0;        // how many of them have their tag
};

}  // namespace levee
