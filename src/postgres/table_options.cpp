#include "levee/postgres/table_options.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

namespace levee::postgres {
namespace {

[[noreturn]] void refuse_option(const std::string& field, const std::string& value, const char* range) {
    throw std::invalid_argument("table_options::" + field + " is " + value + "; it must be " + range);
}

void check_name(const std::string& field, std::string_view value) {
    constexpr std::size_t longest = 63;  // the server cuts longer ones off
    if (value.empty()) {
        refuse_option(field, "empty", "set");
    }
    if (const std::size_t nul = value.find('\0'); nul != std::string_view::npos) {
        refuse_option(field, "\"" + std::string(value.substr(0, nul)) + "\\0...\"", "free of NUL");
    }
    if (value.size() > longest) {
        refuse_option(field, "\"" + std::string(value) + "\"", "at most 63 bytes");
    }
}

}  // namespace

void validate(const table_options& options) {
    check_name("table", options.table);
    if (!options.schema.empty()) {
        check_name("schema", options.schema);
    }
    std::vector<std::string> all;
    for (const auto& [field, names] : {std::pair("key_columns", &options.key_columns),
                                       std::pair("value_columns", &options.value_columns)}) {
        if (names->empty()) {
            refuse_option(field, "empty", "at least one column");
        }
        for (const std::string& each : *names) {
            check_name(field, each);
            all.push_back(each);
        }
    }
    if (!options.version_column.empty()) {
        check_name("version_column", options.version_column);
        all.push_back(options.version_column);
    }
    std::sort(all.begin(), all.end());
    if (const auto twice = std::adjacent_find(all.begin(), all.end()); twice != all.end()) {
        refuse_option("key_columns, value_columns, version_column", "\"" + *twice + "\" twice",
                      "different columns");
    }
    if (options.batch < 1 || options.batch > 100'000) {
        refuse_option("batch", std::to_string(options.batch), "in [1, 100'000]");
    }
    if (options.timeout < duration::zero()) {
        refuse_option("timeout", std::to_string(options.timeout.count()) + " ns", "at least 0 ns");
    }
}

}  // namespace levee::postgres
