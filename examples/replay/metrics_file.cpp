#include "replay/metrics_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "replay/terminal.hpp"

namespace replay {
namespace {

using namespace std::chrono_literals;

// From a hit in memory to a disk that stalls.
const std::vector<levee::duration> buckets{100ns, 200ns, 500ns, 1us, 2us, 5us, 10us, 20us,  50us,
                                           100us, 200us, 500us, 1ms, 2ms, 5ms, 10ms, 100ms, 1s};

[[noreturn]] void fail(const std::string& path, int code) {
    throw levee::error(std::error_code(code, std::generic_category()),
                       "cannot write the metrics '" + path + "'");
}

/// A file under a name of its own, removed unless it is renamed.
class unfinished_file {
public:
    explicit unfinished_file(const std::string& path)
        : path_(path),
          descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666)) {
        if (descriptor_ < 0) {
            fail(path_, errno);
        }
    }
    ~unfinished_file() {
        close();
        if (!is_renamed_) {
            ::unlink(path_.c_str());
        }
    }
    unfinished_file(const unfinished_file&) = delete;
    unfinished_file& operator=(const unfinished_file&) = delete;

    void write(std::string_view text) const { write_all(descriptor_, text); }

    void rename_to(const std::string& path) {
        if (close() != 0 || std::rename(path_.c_str(), path.c_str()) != 0) {
            fail(path, errno);
        }
        is_renamed_ = true;
    }

private:
    int close() noexcept {
        const int open = std::exchange(descriptor_, -1);
        return open < 0 ? 0 : ::close(open);
    }

    const std::string& path_;
    int descriptor_;
    bool is_renamed_ = false;
};

}  // namespace

metrics_file::metrics_file(std::string path, const levee::percentile_monitor& monitor)
    : path_(std::move(path)),
      unfinished_(path_ + '.' + std::to_string(::getpid()) + ".unfinished"),
      monitor_(monitor) {}

void metrics_file::write() {
    if (path_.empty()) {
        return;
    }
    next_ = levee::clock::precise().now() + 1s;
    std::ostringstream page;
    monitor_.prometheus(page, {.prefix = "replay", .buckets = buckets});
    unfinished_file file(unfinished_);
    try {
        file.write(page.view());
    } catch (const std::system_error& problem) {
        fail(path_, problem.code().value());
    }
    file.rename_to(path_);
}

void metrics_file::update() {
    if (!path_.empty() && levee::clock::precise().now() >= next_) {
        write();
    }
}

}  // namespace replay
