/// What every backplane must do, as cases that any test framework can run against one's own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/store/backplane.hpp"
#include "levee/testing/contract_violation.hpp"

namespace levee::testing {

/// Two links under test, as two processes have them to one server; how they are cut, and how time passes.
struct backplane_under_test {
    /// In process they may be the same object.
    std::shared_ptr<backplane> one{}, two{};

    /// Lets things happen until `is_so` holds, or until it is clear that it never will: steps of a
    /// simulation, or waiting with a deadline. Empty: everything happens before `publish` returns.
    std::function<void(const std::function<bool()>& is_so)> settle{};

    /// Publishes and returns once that has ended. Empty: the blocking `publish`.
    std::function<void(backplane& link, const backplane_message& message)> publish{};

    /// Breaks link `two` so that nothing gets through any more, and lets it be again. Empty: what follows
    /// from that is not checked.
    std::function<void()> cut{}, heal{};

    /// For how long after a cut the link may look fresh: ping interval + timeout. With `cut`: above zero.
    duration fresh_for{};

    /// The time now on the time line of `fresh_until`, and how it passes. Empty: the precise clock, and no
    /// case that needs time to pass.
    std::function<time_point()> now{};
    std::function<void(duration)> pass{};
};

/// One case. `run` throws contract_violation where the backplane breaks the rule that `name` states, and
/// lets the backplane's own errors pass. Each needs a namespace that no other case or run uses.
struct backplane_case {
    std::string name{};
    std::function<void(const backplane_under_test& subject, const std::string& name_space)> run{};
};

/// The contract of `backplane`; that the end of a subscription waits for a running handler is not in it, as
/// it cannot be seen from outside without waiting.
///
///     for (const auto& rule : levee::testing::backplane_contract()) {
///         SCOPED_TRACE(rule.name);
///         rule.run(subject, unique_name());
///     }
[[nodiscard]] std::vector<backplane_case> backplane_contract();

}  // namespace levee::testing
