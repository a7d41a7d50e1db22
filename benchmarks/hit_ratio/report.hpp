/// The curve as text: a table to read and CSV to work on.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/miss_ratio_curve.hpp"

namespace levee::lab {

/// Prints rows of cells in columns, each as wide as its widest cell, right-justified, two blanks between.
/// Rows may have different lengths.
void print_table(std::ostream& out, std::span<const std::vector<std::string>> rows);

/// Prints hit ratios in per cent: a line for each capacity, a column for each policy, in the points' order.
void print_curve(std::ostream& out, std::span<const curve_point> points, bool by_size);

/// Writes one line for each point below a heading:
/// `trace,unit,capacity,policy,requests,hits,hit_percent`; the unit is `entries` or `bytes`.
void write_csv(std::ostream& out, std::string_view trace_name, std::span<const curve_point> points,
               bool by_size);

/// "1,234,567".
[[nodiscard]] std::string with_separators(std::uint64_t number);

/// "128 MiB" where the number is a whole multiple of 1 KiB, 1 MiB or 1 GiB, else as `with_separators`
/// and "B".
[[nodiscard]] std::string as_size(std::uint64_t number);

/// Part of a whole in per cent with two decimals: "58.86"; "0.00" of nothing.
[[nodiscard]] std::string as_percent(std::uint64_t part, std::uint64_t whole);

}  // namespace levee::lab
