/// What the processes of a test share: the source of truth, the histories, and when to begin and to stop.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "history.hpp"

namespace levee::tests {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "shared between processes");

/// One process' history; it outlives the process.
struct shared_history {
    static constexpr std::size_t capacity = 200'000;
    std::atomic<std::uint64_t> size{0};
    std::array<event, capacity> events{};
};

/// Mapped into all processes; zero at first.
struct shared_state {
    static constexpr std::size_t max_keys = 64, max_processes = 64;

    std::array<std::atomic<std::uint64_t>, max_keys> rows{};  ///< The source: values only grow.
    std::atomic<std::uint64_t> loads{0};                      ///< How often the source was asked.
    std::atomic<std::uint64_t> failures{0};                   ///< Requests that ended with an error.
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint32_t> ready{0};  ///< Processes that are.
    std::atomic<std::uint32_t> round{0};  ///< What the processes are to do now.
    std::atomic<std::uint32_t> done{0};   ///< Who has done it.
    std::atomic<bool> is_over{false};
    std::atomic<std::int64_t> seen_at{0};  ///< When the last reader saw the change of this round.
    std::array<shared_history, max_processes> histories{};
};

/// Memory that is handed on to other processes by the number of its file.
class shared_memory {
public:
    shared_memory() : file_(::memfd_create("levee_test", 0)), is_owner_(true) {
        if (file_ < 0 || ::ftruncate(file_, sizeof(shared_state)) != 0) {
            throw std::runtime_error("no shared memory");
        }
        map();
    }
    explicit shared_memory(int file) : file_(file) { map(); }
    ~shared_memory() {
        ::munmap(state_, sizeof(shared_state));
        if (is_owner_) {
            ::close(file_);
        }
    }
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;

    [[nodiscard]] int file() const noexcept { return file_; }
    shared_state& operator*() const noexcept { return *state_; }
    shared_state* operator->() const noexcept { return state_; }

private:
    // Zeroed memory is a valid state: only integers and atomics of them.
    void map() {
        void* const at = ::mmap(nullptr, sizeof(shared_state), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
        if (at == MAP_FAILED) {
            throw std::runtime_error("shared memory cannot be mapped");
        }
        state_ = static_cast<shared_state*>(at);
    }

    int file_;
    bool is_owner_ = false;
    shared_state* state_ = nullptr;
};

/// Writes one process' history. An act is in it from its begin on, so that one that a kill cut short is.
///
/// Thread safety: safe.
class recorder {
public:
    explicit recorder(shared_history& into) : into_(into) {}

    class act_in_progress {
    public:
        explicit act_in_progress(event* e) : event_(e) {}
        /// Its end, now.
        void end(progress how) {
            if (event_ != nullptr) {
                end(how, event_->value);
            }
        }
        void end(progress how, std::uint64_t value) {
            if (event_ != nullptr) {
                event_->value = value;
                event_->ended = now();
                std::atomic_signal_fence(std::memory_order_seq_cst);
                event_->how = how;
            }
        }
        void become(act what) {
            if (event_ != nullptr) {
                event_->what = what;
            }
        }
        void mark_by_mark() {
            if (event_ != nullptr) {
                event_->by_mark = true;
            }
        }
        void mark_unleased() {
            if (event_ != nullptr) {
                event_->is_leased = false;
            }
        }

    private:
        event* event_;
    };

    [[nodiscard]] act_in_progress begin(act what, std::uint16_t key, std::uint64_t value = 0) {
        const std::uint64_t at = into_.size.fetch_add(1, std::memory_order_relaxed);
        if (at >= shared_history::capacity) {
            return act_in_progress(nullptr);
        }
        event& e = into_.events[at];
        e = {.how = progress::begun, .key = key, .value = value, .began = now()};
        e.what = what;
        return act_in_progress(&e);
    }

    [[nodiscard]] static time_point now() { return levee::clock::precise().now(); }

private:
    shared_history& into_;
};

[[nodiscard]] inline std::vector<event> events_of(const shared_history& from) {
    const auto size = std::min<std::uint64_t>(from.size.load(), shared_history::capacity);
    return {from.events.begin(), from.events.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace levee::tests
