/// W-TinyLFU with a fixed window.
#pragma once

#include <cstdint>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// A small LRU window before a segmented LRU; what leaves the window enters the main part only if it was
/// asked for more often than the main part's victim (Einziger, Friedman, Manes, "TinyLFU: a highly
/// efficient cache admission policy", ACM Transactions on Storage 2017).
///
/// Frequencies are exact counts instead of a sketch: up to 15, all halved every 10 × capacity requests.
/// The window is at least one entry, 80 % of the main part is protected, and ties are lost by the
/// candidate.
///
/// By size: no.
class w_tinylfu final : public policy {
public:
    /// `window_share`: the window's part of the capacity, in [0, 1].
    w_tinylfu(const policy_setup& setup, double window_share);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    enum class place : std::uint8_t { none, window, probation, protected_segment };

    void count_request(std::uint32_t id);
    void promote(std::uint32_t id);
    void shrink_window();
    void enter_main(std::uint32_t candidate);

    occupancy held_;
    id_links links_;
    id_list window_, probation_, protected_;
    std::uint64_t window_limit_, main_limit_, protected_limit_;
    std::uint64_t requests_ = 0;  // since the counts were halved
    std::vector<std::uint8_t> frequency_;
    std::vector<place> place_;
};

}  // namespace levee::lab
