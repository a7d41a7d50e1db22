/// Small dense indices for live threads, and what stands on them: per-thread cells and counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/core/detail/slot_blocks.hpp"

namespace levee {

namespace detail {

/// One thread's announcement to `epoch`, in a line that only this thread writes.
struct alignas(line_size) slot_record {
    std::atomic<std::uint64_t> announced{0};  ///< The epoch in which the thread was pinned; 0: not pinned.
    std::uint32_t depth = 0;                  ///< Living guards; only the thread itself looks.
};

/// What the thread knows about itself: no slot until it first asks for one, and after it gave it back.
struct thread_state {
    slot_record* record = nullptr;     ///< Null: no slot.
    slot_place place = no_place;       ///< The slot's.
    std::uint32_t slot = 0;            ///< Meaningless without a record.
    std::uint32_t unslotted_pins = 0;  ///< Living guards taken when no slot could be had.
};

// `constinit` on the declaration too: without it each access would call an initialisation wrapper.
extern constinit thread_local thread_state this_thread;

/// One more than the highest slot ever handed out.
extern constinit std::atomic<std::uint32_t> slot_high_water;

}  // namespace detail

/// Gives each live thread a small index: taken at first use, given back when the thread ends, then given
/// to a later thread. The lowest free index goes first, so that indices stay dense.
///
/// The registry is the library's only global. It is never destroyed, so slots may be used by destructors
/// of thread-locals, of pthread keys and of globals. (A pthread-key destructor that first uses a slot in
/// the last of its PTHREAD_DESTRUCTOR_ITERATIONS rounds leaks it.) A slot passes from an ended thread to
/// a new one under the registry's mutex: what the one wrote, the other sees. The main thread keeps its
/// slot until the process ends.
///
/// In the child of a fork the forking thread keeps its slot; all others are free again and their
/// announcements gone. Contents of `thread_cells` stay, as fork found them.
///
/// Thread safety: safe, but not in signal handlers. A shared library that holds this code must not be
/// unloaded while threads live that used it.
class thread_slots {
public:
    /// How many threads can have slots at the same time.
    static constexpr std::uint32_t capacity = 1U << 16;

    /// What `try_current` answers when there is no slot to be had.
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    /// The calling thread's slot, below `high_water()`; takes one if it has none.
    ///
    /// Errors: levee::error with std::errc::resource_unavailable_try_again when `capacity` live threads
    /// have one each, std::errc::not_enough_memory. Cost: about 1 ns; the first call of a thread: a mutex.
    [[nodiscard]] static std::uint32_t current() {
        const detail::thread_state& state = detail::this_thread;
        return state.record != nullptr ? state.slot : take();
    }

    /// As `current`, with `none` in place of an error.
    [[nodiscard]] static std::uint32_t try_current() noexcept {
        const detail::thread_state& state = detail::this_thread;
        return state.record != nullptr ? state.slot : try_take();
    }

    /// One more than the highest slot ever handed out: data can only be in the slots below. Never shrinks.
    [[nodiscard]] static std::uint32_t high_water() noexcept {
        return detail::slot_high_water.load(std::memory_order_acquire);  // pairs with take's increment
    }

private:
    static std::uint32_t take();
    static std::uint32_t try_take() noexcept;
};

/// One `T` for each thread slot, in lines of its own: what a thread may write without any other one's line.
///
/// `T` is value-initialised. It passes on as it is: a new thread finds what the slot's last owner left, so
/// counters never lose what ended threads counted. Usually `T` holds atomics: the owner writes them with
/// relaxed load and store (it is the only writer), `for_each` reads them.
///
/// Thread safety: `local` and `for_each` are safe; the destructor needs all users gone.
/// Cost: memory for up to twice as many cells as slots were ever in use at once, 128 bytes or more each.
template <class T>
class thread_cells {
public:
    thread_cells() = default;
    thread_cells(const thread_cells&) = delete;
    thread_cells& operator=(const thread_cells&) = delete;

    /// The calling thread's own. The reference is this thread's until it ends, and valid as long as `*this`.
    /// Errors: those of `thread_slots::current`, std::bad_alloc, what `T()` throws. Cost: about 2 ns.
    [[nodiscard]] T& local() {
        if (T* const made = find_local()) [[likely]] {
            return *made;
        }
        return blocks_.get(thread_slots::current()).value;
    }

    /// As `local`; null where that throws.
    [[nodiscard]] T* try_local() noexcept {
        T* const made = find_local();
        return made != nullptr ? made : try_make();
    }

    /// The calling thread's own if it has been made by `local` or `try_local`, else null. Cost: about 1 ns.
    [[nodiscard]] T* find_local() const noexcept {
        cell* const found = blocks_.find(detail::this_thread.place);
        return found == nullptr ? nullptr : &found->value;
    }

    /// Calls `f(const T&)` for the cell of every slot ever used that has one, in order of slots, while
    /// owners go on writing. A cell that nobody has touched yet is as value-initialisation left it.
    template <class F>
    void for_each(F&& f) const {
        const std::uint32_t end = thread_slots::high_water();
        for (std::uint32_t slot = 0; slot < end; ++slot) {
            if (const cell* const found = blocks_.find(slot)) {
                f(std::as_const(found->value));
            }
        }
    }

private:
    struct alignas(detail::line_size) cell {
        T value{};
    };

    T* try_make() noexcept {
        const std::uint32_t slot = thread_slots::try_current();
        if (slot == thread_slots::none) {
            return nullptr;
        }
        try {
            return &blocks_.get(slot).value;
        } catch (...) {
            return nullptr;
        }
    }

    detail::slot_blocks<cell> blocks_;
};

/// One `T` for each thread that asks, allocated singly: for a T of some hundred bytes or more, of which
/// `thread_cells` would make as many as a block has.
///
/// All else is as there. Cost: a pointer for up to twice as many threads as ever were at once, and a T for
/// each slot that asked; one more load a look-up.
template <class T>
class thread_objects {
public:
    thread_objects() = default;
    thread_objects(const thread_objects&) = delete;
    thread_objects& operator=(const thread_objects&) = delete;
    ~thread_objects() {
        for_each([](const T& made) { delete static_cast<const lined*>(&made); });
    }

    /// The calling thread's own; null if there is no slot or no memory for it.
    [[nodiscard]] T* try_local() noexcept {
        if (const pointer* const at = blocks_.find(detail::this_thread.place)) [[likely]] {
            if (T* const made = at->load(std::memory_order_relaxed)) [[likely]] {  // stored by this slot
                return made;
            }
        }
        return try_make();
    }

    /// Calls `f(const T&)` for each there is, in order of slots, while owners go on writing.
    template <class F>
    void for_each(F&& f) const {
        const std::uint32_t end = thread_slots::high_water();
        for (std::uint32_t slot = 0; slot < end; ++slot) {
            if (const pointer* const at = blocks_.find(slot)) {
                if (const T* const made = at->load(std::memory_order_acquire)) {
                    f(*made);
                }
            }
        }
    }

private:
    using pointer = std::atomic<T*>;
    struct alignas(detail::line_size) lined : T {};  // a line of its own, as each has one writer

    T* try_make() noexcept {
        const std::uint32_t slot = thread_slots::try_current();
        if (slot == thread_slots::none) {
            return nullptr;
        }
        try {
            pointer& at = blocks_.get(slot);
            if (at.load(std::memory_order_relaxed) == nullptr) {
                auto made = std::make_unique<lined>();
                T* expected = nullptr;  // not null if making it came here, too, as an allocator might
                if (at.compare_exchange_strong(expected, made.get(), std::memory_order_release,
                                               std::memory_order_relaxed)) {
                    static_cast<void>(made.release());
                }
            }
            return at.load(std::memory_order_relaxed);
        } catch (...) {
            return nullptr;
        }
    }

    detail::slot_blocks<pointer> blocks_;
};

/// A counter that many threads add to without sharing a line.
///
/// Thread safety: safe. `sum` sees every `add` that happened before it, and some of those under way; sums
/// never go back for one thread if nothing negative (wrapped) is added.
class thread_counter {
public:
    /// Cost: about 2 ns; never fails: a thread that gets no slot or no memory adds to a shared atomic.
    void add(std::uint64_t count = 1) noexcept {
        if (auto* const mine = cells_.try_local()) [[likely]] {
            // No read-modify-write: this thread is the only writer.
            mine->store(mine->load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
        } else {
            shared_.fetch_add(count, std::memory_order_relaxed);
        }
    }

    /// Cost: one look at each slot ever used.
    [[nodiscard]] std::uint64_t sum() const noexcept {
        std::uint64_t total = shared_.load(std::memory_order_relaxed);
        cells_.for_each([&total](const std::atomic<std::uint64_t>& cell) {
            total += cell.load(std::memory_order_relaxed);
        });
        return total;
    }

private:
    thread_cells<std::atomic<std::uint64_t>> cells_;
    std::atomic<std::uint64_t> shared_{0};
};

}  // namespace levee
