/// The bytes of a cache's snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace levee::local_detail {

/// Format, all numbers little-endian: "levee-L1", u32 version; a record for each entry: u32 length, i64
/// nanoseconds of life left (-1: it does not end), the bytes; then u32 2^32 - 1, u64 number of records, u64
/// FNV-1a (Fowler, Noll, Vo 1991) of everything before it.
class snapshot_writer {
public:
    explicit snapshot_writer(std::ostream& out);

    /// Errors: std::length_error for 2^32 - 1 bytes or more.
    void add(std::int64_t life_left, std::string_view bytes);

    /// Errors: levee::error with std::errc::io_error if anything failed.
    void finish();

private:
    void write(std::string_view bytes);
    template <class Number>
    void write_number(Number value);

    std::ostream& out_;
    std::uint64_t sum_;
    std::uint64_t count_ = 0;
};

struct snapshot_record {
    std::int64_t life_left;
    std::string bytes;
};

/// All records, once the whole has proved undamaged. Errors: levee::error with errc::invalid_data.
[[nodiscard]] std::vector<snapshot_record> read_snapshot(std::istream& in);

}  // namespace levee::local_detail
