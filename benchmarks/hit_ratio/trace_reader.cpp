#include "hit_ratio/trace_reader.hpp"

#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <levee/core/error.hpp>
#include <memory>
#include <vector>

#include "hit_ratio/trace_parser.hpp"

namespace levee::lab {
namespace {

struct gzip_closer {
    void operator()(gzFile file) const noexcept { gzclose_r(file); }
};
using gzip_file = std::unique_ptr<gzFile_s, gzip_closer>;

[[noreturn]] void throw_errno(int code, const std::string& what) {
    throw error(std::error_code(code, std::generic_category()), what);
}

// gzopen reads plain files as they are, so one way serves both forms.
gzip_file open_trace(const std::string& path, const std::string& name) {
    errno = 0;
    if (path != "-") {
        gzip_file file(gzopen(path.c_str(), "rb"));
        if (!file) {
            throw_errno(errno != 0 ? errno : ENOMEM, "cannot open trace '" + name + "'");
        }
        return file;
    }
    const int descriptor = ::dup(STDIN_FILENO);
    if (descriptor < 0) {
        throw_errno(errno, "cannot open trace '" + name + "'");
    }
    gzip_file file(gzdopen(descriptor, "rb"));
    if (!file) {
        ::close(descriptor);
        throw_errno(ENOMEM, "cannot open trace '" + name + "'");
    }
    return file;
}

// At the end of the input zlib reports a truncated stream here, and not by gzread's result.
void check(gzFile file, const std::string& name) {
    const int system_code = errno;
    int code = Z_OK;
    const char* text = gzerror(file, &code);
    if (code == Z_OK || code == Z_STREAM_END) {
        return;
    }
    if (code == Z_ERRNO) {
        throw_errno(system_code != 0 ? system_code : EIO, "cannot read trace '" + name + "'");
    }
    if (code == Z_BUF_ERROR) {
        throw error(errc::invalid_data, "cannot read trace '" + name + "': the gzip file is truncated");
    }
    throw error(errc::invalid_data,
                "cannot read trace '" + name + "': the gzip file is damaged (" + text + ")");
}

}  // namespace

trace read_trace(const std::string& path) {
    const std::string name = path == "-" ? "standard input" : path;
    const gzip_file file = open_trace(path, name);
    std::vector<char> buffer(std::size_t{256} * 1024);
    gzbuffer(file.get(), static_cast<unsigned>(buffer.size()));
    trace_parser parser(name);
    for (;;) {
        errno = 0;
        const int got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
        if (got <= 0) {
            check(file.get(), name);
            return parser.finish();
        }
        parser.feed({buffer.data(), static_cast<std::size_t>(got)});
    }
}

}  // namespace levee::lab
