#include "replay/progress.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "replay/interrupts.hpp"

namespace replay {
namespace {

using namespace std::chrono_literals;

TEST(progress_line, has_bar_rate_and_remaining_time) {
    EXPECT_EQ(bar_line({"2/6 no cache", 500, 2000, 2s}, 100),
              "2/6 no cache  [######..................]  25 %  250/s  6.0 s left");
    EXPECT_EQ(plain_line({"2/6 no cache", 500, 2000, 2s}), "2/6 no cache: 25 %, 250/s, 6.0 s left");
}

TEST(progress_line, fits_the_terminal) {
    const step_state state{"3/9 150,000 entries", 3'000'000, 5'000'000, 10s};
    for (std::size_t width = 1; width < 100; ++width) {
        EXPECT_LE(bar_line(state, width).size(), width);
    }
    EXPECT_EQ(bar_line(state, 66), "3/9 150,000 entries  [####....]  60 %  300,000/s  6.7 s left");
    EXPECT_EQ(bar_line(state, 55), "3/9 150,000 entries  60 %  300,000/s  6.7 s left");
}

TEST(progress_line, promises_nothing_before_it_knows) {
    EXPECT_EQ(plain_line({"x", 0, 10, 0s}), "x: 0 %, 0/s");
    EXPECT_EQ(plain_line({"x", 0, 10, 1s}), "x: 0 %, 0/s");
    EXPECT_EQ(plain_line({"x", 1, 4'000'000'000, 10s}), "x: 0 %, 0/s") << "over a week is no estimate";
}

TEST(progress_line, does_not_run_past_the_end) {
    EXPECT_EQ(bar_line({"x", 12, 10, 1s}, 100), "x  [########################]  100 %  12/s  0.0 s left");
}

TEST(progress_line, says_nothing_of_a_total_that_is_not_known) {
    EXPECT_EQ(bar_line({"reading x", 0, 0, 1s}, 100), "reading x ...");
    EXPECT_EQ(plain_line({"reading x", 0, 0, 1s}), "reading x ...");
}

TEST(progress_line, tells_how_a_step_ended) {
    EXPECT_EQ(end_line({"x", 914'145, 914'145, 2s}), "x: 914,145 in 2.0 s, 457,073/s");
    EXPECT_EQ(end_line({"x", 0, 10, 2s}), "x: 2.0 s");
}

struct pipe_ends {
    pipe_ends() { EXPECT_EQ(::pipe(ends.data()), 0); }
    ~pipe_ends() {
        close_read();
        close_write();
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;

    void close_read() { close(ends[0]); }
    void close_write() { close(ends[1]); }
    std::string all() {
        close_write();
        std::string text;
        std::array<char, 256> part{};
        for (ssize_t got = 0; (got = ::read(ends[0], part.data(), part.size())) > 0;) {
            text.append(part.data(), static_cast<std::size_t>(got));
        }
        return text;
    }
    std::array<int, 2> ends{-1, -1};

private:
    static void close(int& end) {
        if (end >= 0) {
            ::close(end);
        }
        end = -1;
    }
};

TEST(progress, numbers_its_steps_and_writes_plain_lines_when_they_end) {
    pipe_ends out;
    progress shown(out.ends[1], terminal{});
    shown.begin("reading", 0);
    shown.set_steps(2);
    shown.begin("filling", 10);
    shown.update(5);
    shown.end(10);
    shown.begin("no cache", 20);
    shown.end(20);
    const std::string text = out.all();
    EXPECT_EQ(text.substr(0, 19), "1/2 filling: 10 in ");
    EXPECT_NE(text.find("\n2/2 no cache: 20 in "), std::string::npos) << text;
    EXPECT_EQ(text.find_first_of("\r\x1b"), std::string::npos);
}

TEST(progress, redraws_and_erases_its_bar_on_a_terminal) {
    pipe_ends out;
    {
        progress shown(out.ends[1], {.is_terminal = true, .has_colour = false, .width = 80});
        shown.begin("filling", 10);
    }
    const std::string text = out.all();
    EXPECT_EQ(text.substr(0, 11), "\rfilling  [");
    EXPECT_EQ(text.substr(text.size() - 4), "\r\x1b[K");
}

const progress::details two_lines = [] { return std::vector<std::string>{"  one", "  two"}; };

// Of a step without a name: the first update is drawn whatever the time.
std::string drawn_with(const progress::details& below, const terminal& at) {
    pipe_ends out;
    {
        progress shown(out.ends[1], at);
        shown.update(0, below);
    }
    return out.all();
}

TEST(progress, draws_lines_below_its_bar_and_erases_them) {
    EXPECT_EQ(drawn_with(two_lines, {.is_terminal = true}),
              "\r ...\x1b[K\r\n  one\x1b[K\r\n  two\x1b[K\x1b[2A\r\x1b[J")
        << "the cursor is back in the bar's line, from where everything is erased";
}

TEST(progress, leaves_out_lines_that_do_not_fit) {
    const std::string without = "\r ...\x1b[K\r\x1b[K";
    EXPECT_EQ(drawn_with(two_lines, {.is_terminal = true, .width = 5}), without) << "they would wrap";
    EXPECT_NE(drawn_with(two_lines, {.is_terminal = true, .width = 6}), without);
    EXPECT_EQ(drawn_with(two_lines, {.is_terminal = true, .height = 3}), without) << "they would scroll";
    EXPECT_NE(drawn_with(two_lines, {.is_terminal = true, .height = 4}), without);
}

TEST(progress, asks_for_no_lines_without_a_terminal) {
    pipe_ends out;
    progress shown(out.ends[1], terminal{});
    bool is_asked = false;
    shown.update(0, [&] {
        is_asked = true;
        return std::vector<std::string>{"x"};
    });
    EXPECT_FALSE(is_asked);
    EXPECT_EQ(out.all(), " ...\n") << "an unknown total";
}

TEST(progress, goes_on_when_nobody_reads) {
    ignore_broken_pipes();
    pipe_ends out;
    out.close_read();
    progress shown(out.ends[1], terminal{});
    shown.begin("filling", 10);
    EXPECT_NO_THROW(shown.end(10));
}

TEST(write_all, tells_a_broken_pipe_from_other_failures) {
    ignore_broken_pipes();
    pipe_ends out;
    out.close_read();
    EXPECT_THROW(write_all(out.ends[1], "text"), broken_pipe);
    EXPECT_THROW(write_all(-1, "text"), std::system_error);
}

TEST(terminal, is_none_at_a_pipe) {
    pipe_ends out;
    EXPECT_FALSE(terminal::at(out.ends[1]).is_terminal);
    EXPECT_FALSE(terminal::at(out.ends[1]).has_colour);
}

TEST(interrupts, hold_signals_until_they_are_asked_for) {
    interrupts signals;
    EXPECT_EQ(signals.caught(), std::nullopt);
    ::raise(SIGTERM);
    EXPECT_EQ(signals.caught(), SIGTERM);
    ::raise(SIGINT);
    EXPECT_EQ(signals.caught(), SIGTERM) << "the first one counts";
}

TEST(interrupts, leave_ignored_signals_ignored) {
    const auto former = ::signal(SIGHUP, SIG_IGN);
    {
        interrupts signals;
        ::raise(SIGHUP);
        EXPECT_EQ(signals.caught(), std::nullopt);
    }
    ::signal(SIGHUP, former);
}

}  // namespace
}  // namespace replay
