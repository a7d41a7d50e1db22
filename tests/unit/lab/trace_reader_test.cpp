#include "hit_ratio/trace_reader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <levee/core/error.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "unit/lab/temporary_file.hpp"

namespace levee::lab {
namespace {

using ids = std::vector<std::uint32_t>;

std::string many_lines() {
    std::string text;
    for (int i = 0; i < 200'000; ++i) {
        text += std::to_string(i % 1009) + '\n';
    }
    return text;
}

// Reads descriptor 0 from a file as long as it lives.
class standard_input_from {
public:
    explicit standard_input_from(const std::string& path) : saved_(::dup(STDIN_FILENO)) {
        const int file = ::open(path.c_str(), O_RDONLY);
        ::dup2(file, STDIN_FILENO);
        ::close(file);
    }
    standard_input_from(const standard_input_from&) = delete;
    standard_input_from& operator=(const standard_input_from&) = delete;
    ~standard_input_from() {
        ::dup2(saved_, STDIN_FILENO);
        ::close(saved_);
    }

private:
    int saved_;
};

TEST(trace_reader, reads_plain_files) {
    const temporary_file file("a,1\nb,2\na,3\n");
    const trace t = read_trace(file.path());
    EXPECT_EQ(t.keys, (ids{0, 1, 0}));
    EXPECT_EQ(t.sizes, (ids{1, 2, 3}));
}

TEST(trace_reader, reads_gzip_files_over_many_buffers) {
    const temporary_file file("");
    file.write_gzip(many_lines());
    const trace t = read_trace(file.path());
    ASSERT_EQ(t.requests(), 200'000U);
    EXPECT_EQ(t.distinct(), 1009U);
    EXPECT_EQ(t.names[t.keys.back()], std::to_string(199'999 % 1009));
}

TEST(trace_reader, reads_standard_input_plain_and_gzip) {
    const temporary_file file("x\ny\n");
    {
        const standard_input_from input(file.path());
        EXPECT_EQ(read_trace("-").keys, (ids{0, 1}));
    }
    file.write_gzip("x\ny\nx\n");
    const standard_input_from input(file.path());
    EXPECT_EQ(read_trace("-").keys, (ids{0, 1, 0}));
}

TEST(trace_reader, says_which_file_does_not_exist) {
    try {
        (void)read_trace("/does/not/exist.gz");
        FAIL();
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), std::errc::no_such_file_or_directory);
        EXPECT_NE(std::string(problem.what()).find("/does/not/exist.gz"), std::string::npos);
    }
}

TEST(trace_reader, says_when_a_folder_is_named) {
    try {
        (void)read_trace("/");
        FAIL();
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), std::errc::is_a_directory);
    }
}

TEST(trace_reader, refuses_an_empty_file_and_names_it) {
    const temporary_file file("");
    try {
        (void)read_trace(file.path());
        FAIL();
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), errc::invalid_data);
        EXPECT_NE(std::string(problem.what()).find(file.path()), std::string::npos);
    }
}

TEST(trace_reader, refuses_a_gzip_file_cut_anywhere) {
    const temporary_file file("");
    file.write_gzip("alpha\nbeta\ngamma\nalpha\n");
    const std::string whole = file.content();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        file.write(whole.substr(0, length));
        EXPECT_THROW((void)read_trace(file.path()), error) << length << " of " << whole.size();
    }
    file.write(whole);
    EXPECT_EQ(read_trace(file.path()).requests(), 4U);
}

TEST(trace_reader, says_when_a_gzip_file_is_truncated) {
    const temporary_file file("");
    file.write_gzip(many_lines());
    file.write(file.content().substr(0, 1000));
    try {
        (void)read_trace(file.path());
        FAIL();
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), errc::invalid_data);
        EXPECT_NE(std::string(problem.what()).find("truncated"), std::string::npos);
    }
}

TEST(trace_reader, refuses_a_damaged_gzip_file) {
    const temporary_file file("");
    file.write_gzip(many_lines());
    std::string content = file.content();
    for (std::size_t i = content.size() / 2; i < content.size() / 2 + 20; ++i) {
        content[i] = static_cast<char>(~content[i]);
    }
    file.write(content);
    try {
        (void)read_trace(file.path());
        FAIL();
    } catch (const error& problem) {
        EXPECT_EQ(problem.code(), errc::invalid_data);
    }
}

}  // namespace
}  // namespace levee::lab
