/// A file that lives as long as a test needs it.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace levee::lab {

/// A file in the temporary folder with the given content, removed at the end.
class temporary_file {
public:
    explicit temporary_file(std::string_view content) {
        const char* folder = std::getenv("TMPDIR");
        path_ = std::string(folder != nullptr ? folder : "/tmp") + "/levee_lab_XXXXXX";
        const int descriptor = ::mkstemp(path_.data());
        if (descriptor < 0) {
            throw std::runtime_error("cannot make a temporary file");
        }
        ::close(descriptor);
        write(content);
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() { ::unlink(path_.c_str()); }

    [[nodiscard]] const std::string& path() const { return path_; }

    void write(std::string_view content) const {
        std::ofstream(path_, std::ios::binary)
            .write(content.data(), static_cast<std::streamsize>(content.size()));
    }
    void write_gzip(std::string_view content) const {
        const gzFile file = gzopen(path_.c_str(), "wb");
        gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
        gzclose(file);
    }
    [[nodiscard]] std::string content() const {
        std::ifstream file(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

private:
    std::string path_;
};

}  // namespace levee::lab
