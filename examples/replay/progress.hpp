/// How far the work has come, for people who wait.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "levee/core/clock.hpp"
#include "replay/terminal.hpp"

namespace replay {

/// How far one step is.
struct step_state {
    std::string_view label{};
    std::uint64_t done = 0;
    std::uint64_t total = 0;  ///< Zero: not known.
    levee::duration elapsed{};
};

/// One line with a bar, no wider than `width`: "2/6 1,000 entries  [#####.....]  52 %  412,000/s  3 s left".
[[nodiscard]] std::string bar_line(const step_state& state, std::size_t width);

/// The same without the bar: "2/6 1,000 entries: 52 %, 412,000/s, 3 s left".
[[nodiscard]] std::string plain_line(const step_state& state);

/// A step that has ended: "2/6 1,000 entries: 914,145 in 2.2 s, 412,000/s".
[[nodiscard]] std::string end_line(const step_state& state);

/// Shows a sequence of steps on a descriptor: a bar that is redrawn on a terminal; elsewhere a line when
/// a step ends, and one every 5 seconds. Never throws for a reader that has gone: nobody misses it then.
///
/// Thread safety: unsafe.
class progress {
public:
    progress(int descriptor, terminal at) : descriptor_(descriptor), at_(at) {}
    ~progress();
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    /// How many steps are to come; they are numbered from here on.
    void set_steps(std::size_t steps) noexcept {
        steps_ = steps;
        step_ = 0;
    }

    /// Begins a step of `total` things; zero: it is not known how many.
    void begin(std::string_view label, std::uint64_t total);

    /// Makes the lines that are shown below the bar.
    using details = std::function<std::vector<std::string>()>;

    /// Tells how many are done. To be called every 50 ms or so. `below` is asked only when a bar is drawn,
    /// so never without a terminal; its lines are left out where they do not fit.
    void update(std::uint64_t done, const details& below = {});

    /// Ends the step.
    void end(std::uint64_t done);

    /// Erases the bar and what is below it, so that something else can be written.
    void clear() noexcept;

private:
    void write(std::string_view text) noexcept;
    [[nodiscard]] std::string drawn(const std::vector<std::string>& below);
    [[nodiscard]] step_state state(std::uint64_t done) const;

    const int descriptor_;
    const terminal at_;
    std::size_t steps_ = 0, step_ = 0;
    std::string label_{};
    std::uint64_t total_ = 0;
    levee::time_point begun_{}, next_{};
    bool is_drawn_ = false;
    std::size_t drawn_below_ = 0;  // lines
};

}  // namespace replay
