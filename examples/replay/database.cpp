#include "replay/database.hpp"

#include <stdlib.h>  // mkdtemp

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "levee/core/error.hpp"

namespace replay {
namespace {

constexpr std::size_t rows_at_once = 10'000;  // one transaction; also how often an interruption is seen
constexpr std::size_t usual_row = 100, shortest_row = 16, longest_row = 256;

// Rows need not have the trace's sizes, which may come to gigabytes: what is weighed is the number.
std::string make_row(std::uint32_t size, bool has_size) {
    std::string row = std::to_string(std::max<std::uint32_t>(1, size)) + ' ';
    row.resize(has_size ? std::clamp<std::size_t>(size, shortest_row, longest_row) : usual_row, 'x');
    return row;
}

std::vector<std::uint32_t> sizes_of_keys(const levee::lab::trace& trace) {
    std::vector<std::uint32_t> sizes(trace.distinct(), 1);
    for (std::size_t i = 0; trace.has_sizes() && i < trace.requests(); ++i) {
        sizes[trace.keys[i]] = trace.sizes[i];
    }
    return sizes;
}

}  // namespace

scratch_folder::scratch_folder() {
    std::error_code failed;
    const auto parent = std::filesystem::temp_directory_path(failed);
    if (failed) {
        throw levee::error(failed, "there is no folder for temporary files (TMPDIR says where)");
    }
    std::string name = (parent / "levee-replay-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw levee::error(std::error_code(errno, std::generic_category()),
                           "cannot make a folder in '" + parent.string() + "' (TMPDIR says where)");
    }
    path_ = name;
}

scratch_folder::~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::uint64_t scratch_folder::size() const {
    std::uint64_t total = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
        std::error_code gone;
        const auto size = file.file_size(gone);
        total += gone ? 0 : size;
    }
    return total;
}

std::shared_ptr<table> make_table(const scratch_folder& folder, unsigned threads) {
    levee::sqlite::table_options options;
    options.path = (folder.path() / "rows.db").string();
    options.table = "rows";
    options.create_if_missing = true;
    options.connections = threads;
    options.sync_every_commit = false;  // thrown away in the end
    return std::make_shared<table>(std::move(options));
}

bool fill(table& rows, const levee::lab::trace& trace, progress& shown, interrupts& signals) {
    const std::vector<std::uint32_t> sizes = sizes_of_keys(trace);
    shown.begin("filling the database", trace.distinct());
    for (std::size_t key = 0; key < trace.distinct();) {
        if (signals.caught()) {
            return false;
        }
        std::vector<levee::write_op<std::string, std::string>> batch;
        for (const std::size_t end = std::min(key + rows_at_once, trace.distinct()); key < end; ++key) {
            batch.push_back({trace.names[key], make_row(sizes[key], trace.has_sizes())});
        }
        static_cast<void>(rows.store(std::move(batch)));
        shown.update(key);
    }
    shown.end(trace.distinct());
    return true;
}

std::size_t size_in(const std::string& value) noexcept {
    std::size_t size = 1;
    std::from_chars(value.data(), value.data() + value.size(), size);
    return size;
}

}  // namespace replay
