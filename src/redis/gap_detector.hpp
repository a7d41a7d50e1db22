/// Notices that messages of a link are missing, by their numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace levee::redis::detail {

/// Links are known from their first message on: what one sent before that was sent before anybody listened,
/// or a gap was told for another reason. Bounded: of many links those silent for longest are forgotten.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class gap_detector {
public:
    explicit gap_detector(std::size_t max_links = 1'024) : max_links_(max_links) {}

    /// True: messages of this link between the last one and this one are missing. One that comes again, or
    /// late, is none.
    [[nodiscard]] bool hear(std::uint64_t link, std::uint64_t number);

    /// After a gap that was noticed otherwise nothing is expected.
    void forget() noexcept { links_.clear(); }

    [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }

private:
    struct place {
        std::uint64_t number = 0;
        std::uint64_t heard_at = 0;
    };

    void make_room();

    std::size_t max_links_;
    std::uint64_t heard_ = 0;
    std::unordered_map<std::uint64_t, place> links_{};
};

}  // namespace levee::redis::detail
