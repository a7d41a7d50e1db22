/// Makes sense of a folder when a journal is opened.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "journal/release_window.hpp"
#include "journal/segment_scan.hpp"
#include "journal/segment_writer.hpp"
#include "levee/core/bytes.hpp"
#include "levee/journal/journal_event.hpp"
#include "levee/journal/journal_files.hpp"

namespace levee::journal_detail {

/// In this order: `examine`, `repair`, `replay`. Each may be cut short anywhere and begun again by the next
/// owner; none loses anything that is readable.
class recovery {
public:
    explicit recovery(journal_files& files) : files_(files) {}

    /// Reads all segments: what is intact, how far everything is released. Changes nothing but names that an
    /// earlier repair left half done. Throws what `files` throws; levee::error(errc::invalid_data) for a
    /// newer version.
    void examine();

    /// Rewrites damaged segments, the damaged ones kept aside; and the last one, because what is read of it
    /// may be in the kernel's memory only. Afterwards all that is pending is on the medium (but for `off`).
    void repair();

    /// Calls `visit` for all records after the mark. Returns which sequences are pending.
    release_window replay(const std::function<void(std::uint64_t, bytes_view)>& visit);

    /// Where the writer goes on.
    [[nodiscard]] segment_writer::place place() const;

    /// Removes segments that were begun and never held anything. Failures do not matter.
    void remove_void() noexcept;

    [[nodiscard]] const journal_recovery& report() const noexcept { return report_; }

private:
    struct segment {
        std::uint64_t number = 0;
        segment_header header{};    // made up if it is not readable
        std::uint64_t counted = 0;  // bytes of it that count
        std::uint64_t size = 0;
        std::uint64_t last = 0;  // the last sequence that is readable, or was before it
        bool is_damaged = false;

        segment_scan scan{};
        std::uint64_t missing = 0;          // bytes that should be at its end
        bool is_authoritative = false;      // somebody said how much of it counts
        std::uint64_t durable_through = 0;  // what was on the medium, as it and later ones say
        std::uint64_t later_first = 0;      // the first sequence in later ones; 0: none
    };

    void finish_renames(const std::vector<std::string>& names);
    void examine_one(std::uint64_t number);
    void keep_extra(bytes_view tail);
    void judge(segment& one, std::uint64_t last_before);
    void rewrite(segment& one, std::uint64_t previous, std::uint64_t previous_length, bool is_last);
    std::string name_to_keep_as(std::uint64_t number) const;

    journal_files& files_;
    std::vector<segment> segments_{};  // in order, once examined
    std::vector<std::uint64_t> void_{};
    std::vector<std::string> names_{};
    std::map<std::uint64_t, bytes> extra_{};  // whole records by sequence
    std::uint64_t highest_number_ = 0;
    std::uint64_t highest_counted_ = 0;
    std::uint64_t mark_ = 0;
    std::uint64_t next_sequence_ = 1;
    journal_recovery report_{};

    // While examining, from the last segment to the first: what later ones say.
    bool has_later_ = false;
    segment_header later_{};
    std::uint64_t later_first_ = 0;  // the first sequence in later ones; 0: none
    std::uint64_t durable_through_ = 0;
};

}  // namespace levee::journal_detail
