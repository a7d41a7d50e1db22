#include "levee/sqlite/table_options.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace levee::sqlite {
namespace {

[[noreturn]] void refuse_option(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("table_options::") + field + " is " + value + "; it must be " +
                                range);
}

/// Names are given to a C interface, so NUL would silently end them.
void check_name(const char* field, std::string_view value) {
    if (value.empty()) {
        refuse_option(field, "empty", "set");
    }
    if (const std::size_t nul = value.find('\0'); nul != std::string_view::npos) {
        refuse_option(field, "\"" + std::string(value.substr(0, nul)) + "\\0...\"", "free of NUL");
    }
}

}  // namespace

void validate(const table_options& options) {
    check_name("path", options.path);
    if (options.path == ":memory:") {
        refuse_option("path", options.path,
                      "a file (in memory, every connection would have a database of its own)");
    }
    check_name("table", options.table);
    check_name("key_column", options.key_column);
    check_name("value_column", options.value_column);
    if (options.create_if_missing && options.read_only) {
        refuse_option("create_if_missing", "true", "false together with `read_only`");
    }
    if (options.busy_timeout < duration::zero()) {
        refuse_option("busy_timeout", std::to_string(options.busy_timeout.count()) + " ns", "at least 0 ns");
    }
    if (options.connections < 1 || options.connections > 1024) {
        refuse_option("connections", std::to_string(options.connections), "in [1, 1024]");
    }
    if (options.batch < 1 || options.batch > 999) {
        refuse_option("batch", std::to_string(options.batch), "in [1, 999]");
    }
}

}  // namespace levee::sqlite
