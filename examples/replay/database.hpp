/// The database that is replayed against.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "hit_ratio/trace.hpp"
#include "levee/sqlite/table_source.hpp"
#include "replay/interrupts.hpp"
#include "replay/progress.hpp"

namespace replay {

/// A new folder for temporary files (TMPDIR says where); removed, with what is in it, by the destructor.
class scratch_folder {
public:
    /// Errors: levee::error naming the folder that cannot be written.
    scratch_folder();
    ~scratch_folder();
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// The bytes of the files in it.
    [[nodiscard]] std::uint64_t size() const;

private:
    std::filesystem::path path_;
};

using table = levee::sqlite::table_source<std::string, std::string>;

/// Creates the table in `folder`, for `threads` threads. Errors: levee::error.
[[nodiscard]] std::shared_ptr<table> make_table(const scratch_folder& folder, unsigned threads);

/// Writes one row for each distinct key. False: interrupted. Errors: levee::error, as for a full disk.
[[nodiscard]] bool fill(table& rows, const levee::lab::trace& trace, progress& shown, interrupts& signals);

/// The size that the trace gave the key, in bytes and at least 1; 1 when it gave none. Read from the row,
/// which begins with it.
[[nodiscard]] std::size_t size_in(const std::string& value) noexcept;

}  // namespace replay
