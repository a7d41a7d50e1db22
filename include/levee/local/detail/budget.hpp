/// The bounds of a cache: one account of entries and weight for all its shards.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace levee::local_detail {

/// An amount of what is bounded.
struct room {
    std::size_t entries = 0;
    std::size_t weight = 0;
};

/// Lets many inserts work at a time, or one alone.
///
/// Thread safety: safe. Blocks: `enter` while one works alone, `close` until the others have left; both
/// sides only touch indexes meanwhile and run no user code but Eq.
class insert_gate {
public:
    void enter() noexcept;
    void leave() noexcept;
    void close() noexcept;  ///< The caller must not be inside.
    void open() noexcept;
    [[nodiscard]] bool is_closed() const noexcept { return closed_.load(); }

private:
    std::atomic<std::uint32_t> inside_{
        0};  // seq_cst with closed_: one of an enterer and the closer sees the other
    std::atomic<bool> closed_{false};
    std::mutex alone_;  // held by whoever works alone
};

/// How much the cache holds and may hold. What is reserved counts as held, so the sum of all entries never
/// overruns a bound, not even for a moment.
///
/// Thread safety: safe.
class budget {
public:
    /// Zero: not bounded.
    budget(std::size_t max_entries, std::size_t max_weight) noexcept;

    /// Takes all of `wanted`, or nothing.
    [[nodiscard]] bool try_take(room wanted) noexcept;
    void give(room back) noexcept;

    /// Whether `wanted` would fit an empty cache.
    [[nodiscard]] bool could_fit(room wanted) const noexcept;

    /// Inserts under way may still take by the bound before: until each shard's lock was had once by who
    /// works alone.
    void set_max_entries(std::size_t max_entries) noexcept;
    [[nodiscard]] std::size_t excess_entries() const noexcept;
    [[nodiscard]] room held() const noexcept;
    [[nodiscard]] bool has_weight(std::size_t wanted) const noexcept;

    insert_gate gate;

private:
    [[nodiscard]] static bool take(std::atomic<std::size_t>& held, std::size_t wanted,
                                   std::size_t max) noexcept;

    std::atomic<std::size_t> entries_{0};  // relaxed, all: only sums; the shards' mutexes order the entries
    std::atomic<std::size_t> weight_{0};
    std::atomic<std::size_t> max_entries_;
    const std::size_t max_weight_;
};

/// One insert's way through the bounds: what it takes from the budget and what it frees by evicting stays
/// its own until it is spent or given back, so two inserts cannot starve each other by taking turns.
///
/// Most inserts are done under one shard's lock: they look whether the gate is closed once they have the
/// lock, and give back before they unlock. So whoever works alone sees, shard by shard, all that there is.
/// Those that hold something between locks `enter` the gate before, until they `leave` or are destroyed. When
/// nothing is left to evict although the value could fit, other inserts may hold what is missing:
/// `work_alone` gives back, waits for them and keeps new ones out, so that a second look decides.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class reservation {
public:
    explicit reservation(budget& from) noexcept : budget_(from) {}
    ~reservation();
    reservation(const reservation&) = delete;
    reservation& operator=(const reservation&) = delete;

    /// True once this holds at least `need`; takes what is missing from the free budget if it is there.
    [[nodiscard]] bool cover(room need) noexcept;

    /// Whether it is weight that is missing, and not entries alone.
    [[nodiscard]] bool is_short_of_weight(room need) const noexcept;

    /// Adds what an eviction freed.
    void credit(room freed) noexcept;

    /// Turns `used`, which must be covered, into what the cache holds.
    void spend(room used) noexcept;

    void enter() noexcept;       ///< Blocks: while one works alone.
    void work_alone() noexcept;  ///< Blocks: until the others have left.
    void leave() noexcept;       ///< Gives back and leaves the gate, wherever it is.
    [[nodiscard]] bool is_inside() const noexcept { return place_ != place::outside; }
    [[nodiscard]] bool is_alone() const noexcept { return place_ == place::alone; }

    /// Whether the gate keeps it out: ask under the shard's lock.
    [[nodiscard]] bool is_kept_out() const noexcept { return !is_inside() && budget_.gate.is_closed(); }

    /// Gives back what was not spent.
    void give_back() noexcept;

private:
    budget& budget_;
    room mine_{};
    enum class place : std::uint8_t { outside, inside, alone } place_ = place::outside;
};

}  // namespace levee::local_detail
