/// Lets GoogleTest name a contract's case in its messages, instead of printing the object's bytes.
#pragma once

#include <ostream>

#include "levee/testing/backplane_contract.hpp"
#include "levee/testing/remote_store_contract.hpp"

namespace levee::testing {

inline void PrintTo(const backplane_case& one, std::ostream* out) {
    *out << one.name;
}
inline void PrintTo(const remote_store_case& one, std::ostream* out) {
    *out << one.name;
}

}  // namespace levee::testing
