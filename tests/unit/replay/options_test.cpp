#include "replay/options.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

namespace replay {
namespace {

std::optional<options> parse(std::vector<const char*> arguments, std::ostream& out) {
    arguments.insert(arguments.begin(), "replay");
    return parse_options(static_cast<int>(arguments.size()), arguments.data(), out);
}

options parse(std::vector<const char*> arguments) {
    std::ostringstream out;
    return parse(std::move(arguments), out).value();
}

std::string refusal(std::vector<const char*> arguments) {
    try {
        parse(std::move(arguments));
    } catch (const wrong_usage& problem) {
        return problem.what();
    }
    return "accepted";
}

levee::lab::trace four_keys(bool with_sizes) {
    levee::lab::trace trace;
    trace.keys = {0, 1, 2, 0, 3};
    trace.names = {"a", "b", "c", "d"};
    if (with_sizes) {
        trace.sizes = {100, 200, 0, 100, 700};
    }
    return trace;
}

TEST(options, have_defaults) {
    const options given = parse({});
    EXPECT_EQ(given.trace, "");
    EXPECT_TRUE(given.entries.empty());
    EXPECT_EQ(given.threads, 2U);
    EXPECT_EQ(given.baseline_requests, 200'000U);
}

TEST(options, sort_sizes_and_drop_doubles) {
    EXPECT_EQ(parse({"--entries", "8192,1000,8192"}).entries, (std::vector<std::uint64_t>{1000, 8192}));
}

TEST(options, read_byte_sizes_with_units) {
    EXPECT_EQ(parse({"--bytes", "64MiB,1gib,10"}).bytes,
              (std::vector<std::uint64_t>{10, 64ULL << 20, 1ULL << 30}));
}

TEST(options, say_all_with_help) {
    std::ostringstream out;
    EXPECT_FALSE(parse({"--help"}, out));
    EXPECT_NE(out.str().find("--trace"), std::string::npos);
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 100U) << line;
    }
}

TEST(options, are_refused_by_name) {
    const std::vector<std::pair<std::vector<const char*>, std::string>> cases{
        {{"--entries", "5,0"}, "--entries: a cache of 0 entries"},
        {{"--bytes", "0"}, "--bytes: a cache of 0 bytes"},
        {{"--bytes", "2EiB"}, "--bytes: more than 1 EiB"},
        {{"--entries", "-3"}, "--entries: -3 is negative"},
        {{"--bytes", "-3"}, "--bytes: -3 is negative"},
        {{"--baseline-requests", "-1"}, "--baseline-requests: -1 is negative"},
        {{"--entries", "many"}, "many"},
        {{"--entries", "1", "--bytes", "1"}, "excludes"},
        {{"--threads", "0"}, "--threads"},
        {{"--threads", "257"}, "--threads"},
        {{"--requests", "0"}, "--requests"},
        {{"--plot", "/"}, "is a folder"},
        {{"--plot", "/no/such/folder/x.svg"}, "there is no folder"},
        {{"--metrics-file", "/"}, "--metrics-file: '/' is a folder"},
        {{"--metrics-file", "/no/such/folder/x.prom"}, "--metrics-file: there is no folder"},
        {{"--metrics-file", "/dev/null"}, "'/dev/null' is no plain file"},
        {{"surplus"}, "surplus"},
        {{"--trce", "x"}, "--trce"},
    };
    for (const auto& [arguments, words] : cases) {
        EXPECT_NE(refusal(arguments).find(words), std::string::npos) << words << ": " << refusal(arguments);
    }
}

TEST(plan, takes_the_sizes_that_were_given) {
    options given;
    given.entries = {2, 3};
    const plan made = plan_for(given, four_keys(true));
    EXPECT_FALSE(made.by_size);
    EXPECT_EQ(made.capacities, given.entries);
    EXPECT_EQ(made.whole, 4U);
}

TEST(plan, counts_bytes_when_the_trace_has_sizes) {
    const plan made = plan_for({}, four_keys(true));
    EXPECT_TRUE(made.by_size);
    EXPECT_EQ(made.whole, 1001U) << "each key once, and at least one byte";
    EXPECT_EQ(made.capacities, (std::vector<std::uint64_t>{8, 16, 48, 96, 192}));
}

TEST(plan, takes_round_shares_of_the_keys_otherwise) {
    EXPECT_EQ(plan_for({}, four_keys(false)).capacities, std::vector<std::uint64_t>{1});
    levee::lab::trace large = four_keys(false);
    large.names.resize(186'880);
    EXPECT_EQ(plan_for({}, large).capacities, (std::vector<std::uint64_t>{1500, 3500, 9000, 15000, 35000}));
}

TEST(plan, needs_sizes_for_bytes) {
    options given;
    given.trace = "folder/x.txt";
    given.bytes = {10};
    EXPECT_THROW(static_cast<void>(plan_for(given, four_keys(false))), wrong_usage);
}

TEST(options, name_the_trace) {
    options given;
    EXPECT_EQ(name_of(given), "made-up workload, seed 1");
    given.trace = "-";
    EXPECT_EQ(name_of(given), "standard input");
    given.trace = "a/b.txt.gz";
    EXPECT_EQ(name_of(given), "b.txt.gz");
}

}  // namespace
}  // namespace replay
