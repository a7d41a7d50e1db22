/// The state of a link that a test cuts and heals.
#pragma once

#include <cstdint>

namespace levee::testing {

enum class chaos_link : std::uint8_t {
    works,
    refuses,    ///< Cut, and it shows: what is sent fails at once. What others send meanwhile is lost.
    is_silent,  ///< Cut without a sign: what is sent is lost and never answered, what others send is lost.
};

}  // namespace levee::testing
