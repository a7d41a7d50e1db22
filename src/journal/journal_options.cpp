#include "levee/journal/journal_options.hpp"

#include <stdexcept>
#include <string>

namespace levee {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("journal_options::") + field + " is " + value + "; it must be " +
                                range);
}

}  // namespace

void validate(const journal_options& options) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t kibibyte = 1024;
    if (options.folder.empty() && options.files == nullptr) {
        refuse("folder", "empty", "a folder's path unless files is set");
    }
    if (options.sync != journal_sync::always && options.sync != journal_sync::every &&
        options.sync != journal_sync::off) {
        refuse("sync", std::to_string(static_cast<int>(options.sync)), "always, every or off");
    }
    if (options.sync_interval < 100us || options.sync_interval > 1h) {
        refuse("sync_interval", std::to_string(options.sync_interval.count()) + " ns", "in [100 us, 1 h]");
    }
    if (options.segment_bytes < 4 * kibibyte || options.segment_bytes > kibibyte * kibibyte * kibibyte) {
        refuse("segment_bytes", std::to_string(options.segment_bytes), "in [4 KiB, 1 GiB]");
    }
    if (options.max_bytes != 0 && options.max_bytes < 3 * options.segment_bytes) {
        refuse("max_bytes", std::to_string(options.max_bytes), "0 or at least three segments");
    }
}

}  // namespace levee
