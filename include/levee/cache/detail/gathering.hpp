/// Who takes part in one call of a bulk loader: the decision, without I/O.
///
///   state      expect      arrive, depart                  seal
///   open       one more    one fewer is missing            -> sealed, or -> gathered if nobody is missing
///   sealed     -           the last one: -> gathered       -
///   gathered   -           -                               -
///
/// Each member that is expected either arrives, and then needs the load, or departs: it has its answer, or
/// waits for another process and may do so for long.
#pragma once

#include <cstddef>
#include <mutex>

namespace levee::cache_detail {

/// Thread safety: safe on a shared object.
class gathering {
public:
    /// One more member, before `seal`. Undone by `depart`.
    void expect() noexcept;

    // True from the one call that completes the gathering: then the load is due, if anybody has arrived.
    [[nodiscard]] bool arrive() noexcept;
    [[nodiscard]] bool depart() noexcept;
    /// Nobody else is to be expected.
    [[nodiscard]] bool seal() noexcept;

    [[nodiscard]] std::size_t arrived() const noexcept;

private:
    [[nodiscard]] bool is_gathered_locked() const noexcept { return is_sealed_ && missing_ == 0; }

    mutable std::mutex mutex_;  // guards all below
    std::size_t missing_ = 0;
    std::size_t arrived_ = 0;
    bool is_sealed_ = false;
};

}  // namespace levee::cache_detail
