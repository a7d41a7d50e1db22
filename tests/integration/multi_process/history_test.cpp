// The checker of histories finds each planted fault, and nothing where there is none.
#include "history.hpp"

#include <gtest/gtest.h>

namespace levee::tests {
namespace {

using namespace std::chrono_literals;

constexpr time_point start{1h};

event change(std::uint64_t value, duration began, duration ended, progress how = progress::acknowledged) {
    return {.what = act::change, .how = how, .value = value, .began = start + began, .ended = start + ended};
}
event read(act what, std::uint64_t value, duration began) {
    return {.what = what,
            .how = progress::done,
            .value = value,
            .began = start + began,
            .ended = start + began + 1ms};
}
event load(std::uint64_t value, duration began, duration ended) {
    return {.what = act::load,
            .how = progress::done,
            .value = value,
            .began = start + began,
            .ended = start + ended};
}

std::string faults_in(std::vector<std::vector<event>> processes, std::vector<disturbance> of_server = {}) {
    const history all{.processes = std::move(processes),
                      .of_server = std::move(of_server),
                      .link_bound = 500ms,
                      .marks_interval = 200ms,
                      .lease = 2s};
    std::string rules;
    for (const auto& each : violations(all)) {
        rules += each.substr(0, 2);
    }
    return rules;
}

TEST(histories, of_one_process_that_reads_what_it_invalidated_break_g1) {
    for (const act how : {act::read, act::read_local, act::read_remote}) {
        const auto seen = faults_in({{change(2, 10ms, 20ms, progress::queued), read(how, 1, 21ms)}});
        EXPECT_EQ(seen, "G1") << static_cast<int>(how);
    }
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms), read(act::read, 2, 21ms)}}), "");
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms), read(act::read, 1, 19ms)}}), "") << "not yet returned";
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms, progress::begun), read(act::read, 1, 1s)}}), "")
        << "killed before it returned: nothing was promised";
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms), change(1, 15ms, 25ms), read(act::read, 1, 30ms)}}), "G1")
        << "a later change of an older value takes nothing back";
}

TEST(histories, of_a_shared_level_that_answers_what_another_process_invalidated_break_g2) {
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read_remote, 1, 21ms)}}), "G2");
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read_remote, 1, 19ms)}}), "");
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms, progress::queued)}, {read(act::read_remote, 1, 1s)}}), "")
        << "not confirmed: not promised to others";
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read, 1, 21ms)}}), "") << "may be its own L1";
}

TEST(histories, of_a_process_that_learns_of_a_mark_too_late_break_g2) {
    auto marked = change(2, 10ms, 20ms);
    marked.by_mark = true;
    EXPECT_EQ(faults_in({{marked}, {read(act::read_remote, 1, 719ms)}}), "") << "link and marks' interval";
    EXPECT_EQ(faults_in({{marked}, {read(act::read_remote, 1, 721ms)}}), "G2");
    EXPECT_EQ(faults_in({{marked, read(act::read_remote, 1, 21ms)}}), "G1") << "who marked knows at once";
}

TEST(histories, of_a_process_that_calls_fresh_what_it_should_have_heard_of_break_g3) {
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read_local, 1, 521ms)}}), "G3");
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read_local, 1, 519ms)}}), "") << "the bound";
    EXPECT_EQ(faults_in({{change(2, 10ms, 20ms)}, {read(act::read_local, 2, 5s)}}), "");
}

TEST(histories, of_two_loads_at_once_without_an_excuse_break_g4) {
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms)}, {load(1, 1005ms, 1015ms)}}), "G4");
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms), load(1, 1005ms, 1015ms)}}), "G4") << "in one process";
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms)}, {load(1, 1011ms, 1015ms)}}), "");
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms), change(2, 990ms, 1002ms)}, {load(1, 1005ms, 1015ms)}}), "")
        << "the lease was voided";
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms)}, {load(1, 1005ms, 1015ms)}}, {{start, start + 900ms}}), "")
        << "the server had lost it";
    auto unleased = load(1, 1005ms, 1015ms);
    unleased.is_leased = false;
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms)}, {unleased}}), "");
    auto another = load(1, 1005ms, 1015ms);
    another.key = 1;
    EXPECT_EQ(faults_in({{load(1, 1s, 1010ms)}, {another}}), "");
}

TEST(histories, count_what_there_was_to_be_checked) {
    const history all{.processes = {{change(2, 10ms, 20ms), read(act::read, 2, 30ms)},
                                    {read(act::read_remote, 2, 30ms), read(act::read_local, 2, 1s),
                                     read(act::read_local, 1, 15ms), load(2, 0ms, 1ms), load(2, 2ms, 3ms)}},
                      .link_bound = 500ms,
                      .lease = 2s};
    const auto counts = checked(all);
    EXPECT_EQ(counts.g1, 1U);
    EXPECT_EQ(counts.g2, 1U);
    EXPECT_EQ(counts.g3, 1U);
    EXPECT_EQ(counts.g4, 1U);
}

}  // namespace
}  // namespace levee::tests
