#include "sqlite/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "levee/core/error.hpp"

namespace levee::sqlite::detail {
namespace {

/// By this process's effective rights; errno says why not.
bool is_writable(const std::filesystem::path& folder) {
    return ::faccessat(AT_FDCWD, folder.c_str(), W_OK, AT_EACCESS) == 0;
}

}  // namespace

void check_file(const std::string& path, bool may_be_absent, const std::string& where) {
    const auto refuse = [&](const std::string& why) {
        throw error(errc::unavailable, "cannot open " + where + ": " + why);
    };
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno != ENOENT) {
            refuse(std::generic_category().message(errno));
        }
        if (!may_be_absent) {
            refuse("there is no such file");
        }
        // SQLite then tries to open it for reading, and reports that it is not there.
        const std::filesystem::path folder = std::filesystem::path(path).parent_path();
        if (!is_writable(folder.empty() ? "." : folder)) {
            refuse("it cannot be created in its folder: " + std::generic_category().message(errno));
        }
    } else if (S_ISDIR(status.st_mode)) {
        refuse("it is a folder");
    } else if (!S_ISREG(status.st_mode)) {
        refuse("it is not a regular file");
    }
}

bool is_frozen(const std::string& path) {
    std::error_code failed;
    const std::filesystem::path real = std::filesystem::canonical(path, failed);  // the log lies beside this
    if (failed) {
        return false;
    }
    const std::uintmax_t log = std::filesystem::file_size(real.native() + "-wal", failed);
    const bool has_log = failed ? failed != std::errc::no_such_file_or_directory : log != 0;
    return !has_log && !is_writable(real.parent_path());
}

std::string plain_name(const std::string& path) {
    return path.starts_with("file:") ? "./" + path : path;
}

std::string immutable_uri(const std::string& path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string uri = path.starts_with('/') ? "file://" : "file:";  // with an empty authority
    for (const char c : path) {
        if (c == '%' || c == '?' || c == '#') {
            const auto code = static_cast<unsigned char>(c);
            uri += {'%', digits[code >> 4], digits[code & 15]};
        } else {
            uri += c;
        }
    }
    return uri + "?immutable=1";
}

}  // namespace levee::sqlite::detail
