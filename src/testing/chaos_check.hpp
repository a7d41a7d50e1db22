// The ranges of the chaos decorators' options.
#pragma once

#include <string>

#include "levee/core/clock.hpp"
#include "testing/refusal.hpp"

namespace levee::testing_detail {

inline void check_share(const std::string& field, double share) {
    if (!(share >= 0.0 && share <= 1.0)) {
        refuse(field, text(share), "in [0, 1]");
    }
}

inline void check_not_negative(const std::string& field, duration span) {
    if (span < duration::zero()) {
        refuse(field, text(span), "at least 0");
    }
}

inline void check_above_zero(const std::string& field, duration span) {
    if (span <= duration::zero()) {
        refuse(field, text(span), "above 0");
    }
}

inline void check_sum(const std::string& fields, double sum) {
    if (sum > 1.0 + 1e-9) {  // as 0.1 ten times is
        refuse("the sum of " + fields, text(sum), "at most 1");
    }
}

}  // namespace levee::testing_detail
