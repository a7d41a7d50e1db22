/// How the contract suites report.
#pragma once

#include <stdexcept>

namespace levee::testing {

/// What an implementation did otherwise than its contract has it.
class contract_violation : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

}  // namespace levee::testing
