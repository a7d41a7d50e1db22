// The text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
#include "levee/monitor/percentile_monitor.hpp"
#include "monitor/number_text.hpp"
#include "monitor/utf8.hpp"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <stdexcept>

namespace levee {
namespace {

using monitor_detail::as_fixed_text;
using monitor_detail::as_text;

double in_seconds(duration time) {
    return static_cast<double>(time.count()) / 1e9;
}

bool is_metric_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    };
    return !name.empty() && is_letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
    });
}

void check(const prometheus_options& options) {
    if (!is_metric_name(options.prefix)) {
        throw std::invalid_argument(
            "prometheus_options::prefix is \"" + options.prefix +
            "\"; it must be letters, digits, '_' and ':', and not begin with a digit");
    }
    duration last{};
    for (const duration bound : options.buckets) {
        if (bound <= last || in_seconds(bound) == in_seconds(last)) {
            throw std::invalid_argument("prometheus_options::buckets has " + std::to_string(bound.count()) +
                                        " ns after " + std::to_string(last.count()) +
                                        " ns; bounds must be above zero and rise");
        }
        last = bound;
    }
    double last_quantile = 0.0;
    for (const double quantile : options.quantiles) {
        if (!(quantile > last_quantile && quantile < 1.0)) {
            throw std::invalid_argument("prometheus_options::quantiles has " + as_text(quantile) + " after " +
                                        as_text(last_quantile) + "; they must be in (0, 1) and rise");
        }
        last_quantile = quantile;
    }
}

std::string escaped(std::string_view label) {
    std::string text;
    monitor_detail::for_each_character(label, [&text](std::string_view character) {
        if (character == "\n") {
            text += "\\n";
        } else {
            if (character == "\\" || character == "\"") {
                text += '\\';
            }
            text += character;
        }
    });
    return text;
}

void head(std::ostream& to, const std::string& metric, std::string_view type, std::string_view help) {
    to << "# HELP " << metric << ' ' << help << "\n# TYPE " << metric << ' ' << type << '\n';
}

// _sum and _count, which histograms and summaries have alike.
void totals(std::ostream& to, const std::string& metric, const std::string& labels, const histogram& all) {
    to << metric << "_sum{" << labels << "} " << as_text(all.sum() / 1e9) << '\n'
       << metric << "_count{" << labels << "} " << as_text(all.count()) << '\n';
}

void classic_buckets(std::ostream& to, const std::string& metric, const std::string& labels,
                     const std::vector<duration>& bounds, const histogram& all) {
    for (const duration bound : bounds) {
        to << metric << "_bucket{" << labels << ",le=\"" << as_fixed_text(in_seconds(bound)) << "\"} "
           << as_text(all.count_between(0, static_cast<std::uint64_t>(bound.count()))) << '\n';
    }
    to << metric << "_bucket{" << labels << ",le=\"+Inf\"} " << as_text(all.count()) << '\n';
    totals(to, metric, labels, all);
}

void quantile_lines(std::ostream& to, const std::string& metric, const std::string& labels,
                    const std::vector<double>& quantiles, const histogram& recent, const histogram& all) {
    for (const double quantile : quantiles) {
        const auto value = recent.value_at_percentile(quantile * 100.0);
        to << metric << '{' << labels << ",quantile=\"" << as_text(quantile) << "\"} "
           << (value ? as_text(static_cast<double>(*value) / 1e9) : "NaN") << '\n';
    }
    totals(to, metric, labels, all);
}

// One operation with one outcome.
struct series {
    std::string labels;
    histogram all, recent;
};

std::vector<series> read(const percentile_monitor& monitor) {
    std::vector<series> found;
    for (const std::string& name : monitor.names()) {
        operation_histograms recent = monitor.histograms(name, window::last_minute);
        operation_histograms all = monitor.histograms(name);  // after, so that it has all that is recent
        const std::string operation = "operation=\"" + escaped(name) + "\",outcome=";
        found.push_back({operation + "\"success\"", std::move(all.succeeded), std::move(recent.succeeded)});
        found.push_back({operation + "\"failure\"", std::move(all.failed), std::move(recent.failed)});
    }
    return found;
}

}  // namespace

std::vector<duration> prometheus_options::default_buckets() {
    std::vector<duration> bounds;
    for (duration decade = std::chrono::microseconds(100); decade < std::chrono::seconds(10); decade *= 10) {
        bounds.insert(bounds.end(), {decade, decade * 5 / 2, decade * 5});
    }
    bounds.push_back(std::chrono::seconds(10));
    return bounds;
}

void percentile_monitor::prometheus(std::ostream& to, const prometheus_options& options) const {
    check(options);
    to.width(0);
    const std::vector<series> operations = read(*this);
    if (!operations.empty() && !options.buckets.empty()) {
        const std::string metric = options.prefix + "_operation_duration_seconds";
        head(to, metric, "histogram", "Duration of operations since the start.");
        for (const series& one : operations) {
            classic_buckets(to, metric, one.labels, options.buckets, one.all);
        }
    }
    if (!operations.empty() && !options.quantiles.empty()) {
        const std::string metric = options.prefix + "_operation_recent_duration_seconds";
        head(to, metric, "summary", "Duration of operations, with quantiles of the last minute.");
        for (const series& one : operations) {
            quantile_lines(to, metric, one.labels, options.quantiles, one.recent, one.all);
        }
    }
    const std::string metric = options.prefix + "_monitor_lost_values_total";
    head(to, metric, "counter", "Durations not counted for want of memory.");
    to << metric << ' ' << as_text(lost()) << '\n';
}

}  // namespace levee
