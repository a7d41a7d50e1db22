#include "levee/monitor/percentile_monitor.hpp"
#include "monitor/number_text.hpp"
#include "monitor/utf8.hpp"

#include <ostream>

namespace levee {
namespace {

using monitor_detail::as_text;

std::string quoted(std::string_view text) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string made = "\"";
    monitor_detail::for_each_character(text, [&made](std::string_view character) {
        const auto byte = static_cast<unsigned char>(character.front());
        if (byte < 0x20) {
            made += "\\u00";
            made += digits[byte >> 4U];
            made += digits[byte & 15U];
        } else {
            if (character == "\\" || character == "\"") {
                made += '\\';
            }
            made += character;
        }
    });
    return made += '"';
}

std::string as_json(std::optional<duration> time) {
    return time ? as_text(time->count()) : "null";
}

std::string as_json(std::optional<double> number) {
    return number ? as_text(*number) : "null";
}

// The fields that a summary has, without the braces.
void write(std::ostream& to, const latency_summary& from) {
    to << R"("count":)" << as_text(from.count) << R"(,"min_ns":)" << as_json(from.min) << R"(,"max_ns":)"
       << as_json(from.max) << R"(,"mean_ns":)" << as_json(from.mean) << R"(,"p50_ns":)" << as_json(from.p50)
       << R"(,"p90_ns":)" << as_json(from.p90) << R"(,"p95_ns":)" << as_json(from.p95) << R"(,"p99_ns":)"
       << as_json(from.p99) << R"(,"p99_9_ns":)" << as_json(from.p999);
}

void write(std::ostream& to, std::string_view name, const call_stats& from) {
    to << ",\n   " << quoted(name) << ":{";
    write(to, static_cast<const latency_summary&>(from));
    to << R"(,"failures":)" << as_text(from.failures) << R"(,"error_rate":)" << as_json(from.error_rate())
       << R"(,"rate":)" << as_json(from.rate()) << R"(,"span_ns":)" << as_text(from.span.count())
       << R"(,"failed":{)";
    write(to, from.failed);
    to << "}}";
}

}  // namespace

void percentile_monitor::json(std::ostream& to) const {
    to.width(0);
    to << "{\"operations\":[";
    const char* separator = "\n";
    for (const auto& [name, stats] : all_stats()) {
        to << separator << "  {\"name\":" << quoted(name);
        write(to, "since_start", stats);
        write(to, "last_10s", stats.last_10s);
        write(to, "last_minute", stats.last_minute);
        to << '}';
        separator = ",\n";
    }
    to << "],\n \"lost\":" << as_text(lost()) << "}\n";
}

}  // namespace levee
