/// When probes change an endpoint's health: so many good or bad ones in a row.
#pragma once

#include <cstdint>

namespace levee::route {

/// `rise` good ones in a row make it healthy, `fall` bad ones unhealthy; what agrees with the present state
/// begins the count anew (HAProxy's rise and fall). Thread safety: unsafe.
class probe_history {
public:
    probe_history(bool is_healthy, std::uint32_t rise, std::uint32_t fall) noexcept
        : is_healthy_(is_healthy), rise_(rise), fall_(fall) {}

    [[nodiscard]] bool is_healthy() const noexcept { return is_healthy_; }

    /// True if this probe's result changes the state.
    [[nodiscard]] bool record(bool is_well) noexcept {
        if (is_well == is_healthy_) {
            contrary_in_row_ = 0;
            return false;
        }
        if (++contrary_in_row_ < (is_well ? rise_ : fall_)) {
            return false;
        }
        is_healthy_ = is_well;
        contrary_in_row_ = 0;
        return true;
    }

private:
    bool is_healthy_;
    std::uint32_t rise_;
    std::uint32_t fall_;
    std::uint32_t contrary_in_row_ = 0;
};

}  // namespace levee::route
