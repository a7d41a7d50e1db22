#include "hit_ratio/golden.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "hit_ratio/miss_ratio_curve.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/trace_reader.hpp"

namespace levee::lab {
namespace {

std::string two_decimals(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}

}  // namespace

const std::vector<golden_trace>& golden_traces() {
    static const std::vector<golden_trace> all{
        {"adaptsize_request", {402, 4024}},
        {"arc_OLTP", {512, 1000, 1869, 2000, 8192, 18688}},
        {"arc_P3", {763, 7625, 76254, 152508}},
        {"cache2k_orm-busy", {763, 7635}},
        {"cache2k_web07", {1000, 2048}},
        {"corda_vaultservice", {512, 905, 9047}},
        {"libcachesim_cloudPhysicsIO_vscsi", {566, 5000, 5663, 20000}},
        {"lirs_2_pools", {100, 994}},
        {"lirs_cpp", {50}},
        {"lirs_gli", {512, 1024}},
        {"lirs_loop", {512, 1000}},
        {"lirs_multi1", {261, 1000}},
        {"lirs_multi2", {568, 1000}},
        {"lirs_multi3", {745, 1000}},
        {"lirs_sprite", {200, 708, 1000}},
        {"scarab_recs", {258, 2584, 16384, 25837}},
    };
    return all;
}

const std::vector<std::string>& fixed_policies() {
    static const std::vector<std::string> all{"fifo", "lru", "clock", "sieve",       "s3-fifo",
                                              "arc",  "2q",  "lirs",  "w-tinylfu-1", "w-tinylfu-20"};
    return all;
}

void print_golden(std::ostream& out, const std::string& folder, unsigned threads) {
    curve_options options{.policies = fixed_policies(), .threads = threads};
    const std::size_t fixed = options.policies.size();
    options.policies.emplace_back("levee");
    options.policies.emplace_back("opt");
    const std::size_t count = options.policies.size();

    std::vector<std::vector<std::string>> rows{{"trace, entries"}};
    rows.front().insert(rows.front().end(), options.policies.begin(), options.policies.end());
    std::vector<double> sums(count);
    double behind = 0, worst = 0;
    std::size_t pairs = 0;
    for (const golden_trace& each : golden_traces()) {
        const trace input = read_trace(folder + '/' + std::string(each.name) + ".txt.gz");
        options.capacities = each.entries;
        const auto points = miss_ratio_curve(input, options);
        for (std::size_t at = 0; at < points.size(); at += count, ++pairs) {
            auto& row = rows.emplace_back();
            row.push_back(std::string(each.name) + ", " + with_separators(points[at].capacity));
            double best = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const double percent = 100 * points[at + i].hit_ratio();
                sums[i] += percent;
                best = i < fixed ? (std::max)(best, percent) : best;
                row.push_back(two_decimals(percent));
            }
            const double ours = best - 100 * points[at + fixed].hit_ratio();
            behind += ours;
            worst = (std::max)(worst, ours);
        }
    }
    auto& means = rows.emplace_back();
    means.push_back("mean of " + std::to_string(pairs));
    for (const double sum : sums) {
        means.push_back(two_decimals(sum / static_cast<double>(pairs)));
    }
    print_table(out, rows);
    out << "levee is behind the best fixed policy of each by "
        << two_decimals(behind / static_cast<double>(pairs)) << " points on average, " << two_decimals(worst)
        << " at worst\n";
}

}  // namespace levee::lab
