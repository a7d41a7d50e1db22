#include "hit_ratio/report.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <utility>

namespace levee::lab {
namespace {

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string(text);
    }
    std::string quoted = "\"";
    for (const char c : text) {
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    }
    return quoted + '"';
}

}  // namespace

std::string with_separators(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t end = digits.size(); end > 3; end -= 3) {
        digits.insert(end - 3, 1, ',');
    }
    return digits;
}

std::string as_size(std::uint64_t number) {
    static constexpr std::pair<std::uint64_t, std::string_view> units[] = {
        {1ULL << 30, " GiB"}, {1ULL << 20, " MiB"}, {1ULL << 10, " KiB"}};
    for (const auto& [unit, name] : units) {
        if (number != 0 && number % unit == 0) {
            return with_separators(number / unit) + std::string(name);
        }
    }
    return with_separators(number) + " B";
}

std::string as_percent(std::uint64_t part, std::uint64_t whole) {
    // Multiplied first: 100 * 0.47895 is a little less than 47.895 and would round the other way.
    const double percent = whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", percent);
    return text;
}

void print_table(std::ostream& out, std::span<const std::vector<std::string>> rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column) {
            line.append((column == 0 ? 0 : 2) + widths[column] - row[column].size(), ' ');
            line += row[column];
        }
        out << line << '\n';
    }
}

void print_curve(std::ostream& out, std::span<const curve_point> points, bool by_size) {
    std::vector<std::vector<std::string>> rows{{by_size ? "bytes" : "entries"}};
    for (std::size_t i = 0; i < points.size(); ++i) {
        const curve_point& point = points[i];
        if (i == 0 || point.capacity != points[i - 1].capacity) {
            rows.push_back({by_size ? as_size(point.capacity) : with_separators(point.capacity)});
        }
        if (rows.size() == 2) {
            rows[0].push_back(point.policy);
        }
        rows.back().push_back(as_percent(point.hits, point.requests));
    }
    print_table(out, rows);
}

void write_csv(std::ostream& out, std::string_view trace_name, std::span<const curve_point> points,
               bool by_size) {
    out << "trace,unit,capacity,policy,requests,hits,hit_percent\n";
    for (const curve_point& point : points) {
        out << csv_field(trace_name) << ',' << (by_size ? "bytes" : "entries") << ',' << point.capacity << ','
            << csv_field(point.policy) << ',' << point.requests << ',' << point.hits << ','
            << as_percent(point.hits, point.requests) << '\n';
    }
}

}  // namespace levee::lab
