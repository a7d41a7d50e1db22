#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/journal/journal_files.hpp"

namespace levee {
namespace {

[[noreturn]] void fail(const std::string& what, int code = errno) {
    throw error(std::error_code(code, std::system_category()), "journal: " + what);
}

template <class Call>
auto retried(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) {
        result = call();
    }
    return result;
}

class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    [[nodiscard]] int get() const noexcept { return number_; }

private:
    int number_ = -1;
};

class posix_file final : public journal_file {
public:
    posix_file(descriptor file, std::string path, std::uint64_t expected_size)
        : file_(std::move(file)),
          path_(std::move(path)),
          step_(static_cast<off_t>(std::min<std::uint64_t>(expected_size, 1 << 20))) {}

    ~posix_file() override {
        // What was allocated ahead is given back. That is not synced, and may fail: then zeros follow what
        // was written, which is what a reader has to expect of a file that nobody closed.
        if (allocated_ > written_ && ::ftruncate(file_.get(), written_) != 0) {
            return;
        }
    }
    posix_file(const posix_file&) = delete;
    posix_file& operator=(const posix_file&) = delete;

    std::size_t write(bytes_view data) override {
        const auto size = static_cast<off_t>(data.size());
        if (step_ > 0 && written_ + size > allocated_) {
            const off_t more = std::max(step_, size);
            if (::fallocate(file_.get(), 0, written_, more) == 0) {
                allocated_ = written_ + more;
            } else {
                step_ = 0;  // not on this file system, or not now: without
            }
        }
        const auto count = retried([&] { return ::pwrite(file_.get(), data.data(), data.size(), written_); });
        if (count <= 0) {
            fail("writing " + path_, count == 0 ? ENOSPC : errno);
        }
        written_ += count;
        return static_cast<std::size_t>(count);
    }

    void sync() override {
        if (retried([&] { return ::fdatasync(file_.get()); }) != 0) {
            fail("syncing " + path_);
        }
    }

private:
    const descriptor file_;
    const std::string path_;
    off_t step_;
    off_t written_ = 0;
    off_t allocated_ = 0;
};

class posix_lock final : public journal_lock {
public:
    explicit posix_lock(descriptor file) noexcept : file_(std::move(file)) {}

private:
    const descriptor file_;  // closing it unlocks
};

class posix_files final : public journal_files {
public:
    explicit posix_files(std::string folder) : folder_(std::move(folder)) {}

    std::unique_ptr<journal_lock> lock() override {
        open_folder();
        const std::string path = path_of("lock");
        descriptor file(
            retried([&] { return ::openat(handle_.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600); }));
        if (file.get() < 0) {
            fail("opening " + path);
        }
        if (retried([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
            if (errno == EWOULDBLOCK) {
                throw error(errc::unavailable, "journal: " + folder_ + " belongs to " + owner_of(file));
            }
            fail("locking " + path);
        }
        const std::string me = std::to_string(::getpid()) + "\n";
        if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), me.data(), me.size(), 0) < 0) {
            // For people only, and a full disk must not keep the journal closed.
        }
        return std::make_unique<posix_lock>(std::move(file));
    }

    std::unique_ptr<journal_file> create(const std::string& name, std::uint64_t expected_size) override {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
        descriptor file(retried([&] { return ::openat(handle_.get(), name.c_str(), flags, 0600); }));
        if (file.get() < 0) {
            fail("making " + path_of(name));
        }
        return std::make_unique<posix_file>(std::move(file), path_of(name), expected_size);
    }

    bytes read(const std::string& name) override {
        const descriptor file(
            retried([&] { return ::openat(handle_.get(), name.c_str(), O_RDONLY | O_CLOEXEC); }));
        struct stat status{};
        if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
            fail("opening " + path_of(name));
        }
        bytes content(static_cast<std::size_t>(status.st_size));
        std::size_t have = 0;
        while (have < content.size()) {
            const auto count =
                retried([&] { return ::read(file.get(), content.data() + have, content.size() - have); });
            if (count < 0) {
                fail("reading " + path_of(name));
            }
            if (count == 0) {
                break;
            }
            have += static_cast<std::size_t>(count);
        }
        content.resize(have);
        return content;
    }

    std::vector<std::string> list() override {
        std::error_code code;
        std::vector<std::string> names;
        for (std::filesystem::directory_iterator each(folder_, code), end; !code && each != end;
             each.increment(code)) {
            names.push_back(each->path().filename().string());
        }
        if (code) {
            throw error(code, "journal: listing " + folder_);
        }
        return names;
    }

    void rename(const std::string& from, const std::string& to) override {
        if (::renameat(handle_.get(), from.c_str(), handle_.get(), to.c_str()) != 0) {
            fail("renaming " + path_of(from) + " to " + to);
        }
    }

    void remove(const std::string& name) override {
        if (::unlinkat(handle_.get(), name.c_str(), 0) != 0) {
            fail("removing " + path_of(name));
        }
    }

    void sync_folder() override {
        if (retried([&] { return ::fsync(handle_.get()); }) != 0) {
            fail("syncing the folder " + folder_);
        }
    }

    std::string name() const override { return folder_; }

private:
    std::string path_of(const std::string& name) const { return folder_ + "/" + name; }

    void open_folder() {
        const std::filesystem::path folder(folder_);
        make_folder(folder.has_filename() ? folder : folder.parent_path());  // without a slash at the end
        handle_ =
            descriptor(retried([&] { return ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
        if (handle_.get() < 0) {
            fail("opening the folder " + folder_);
        }
    }

    /// Each folder's name is in its parent, which has to be synced as well: also that of a folder that is
    /// there already, because who made it may have died before that.
    static void make_folder(const std::filesystem::path& folder) {
        const bool is_there = ::access(folder.c_str(), F_OK) == 0;
        const std::filesystem::path parent =
            folder.has_parent_path() ? folder.parent_path() : std::filesystem::path(".");
        if (!is_there) {
            if (parent != folder) {
                make_folder(parent);
            }
            if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
                fail("making the folder " + folder.string());
            }
        }
        const descriptor above(
            retried([&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
        if (above.get() < 0 && is_there && errno == EACCES) {
            return;  // a parent that is not ours to read was made by somebody else, long ago
        }
        if (above.get() < 0 || retried([&] { return ::fsync(above.get()); }) != 0) {
            if (above.get() >= 0 && is_there && (errno == EINVAL || errno == EROFS)) {
                return;  // nor was it made a moment ago on a file system without such a call, or read-only
            }
            fail("syncing the folder " + parent.string());
        }
    }

    static std::string owner_of(const descriptor& file) {
        std::array<char, 24> text{};
        const auto count = ::pread(file.get(), text.data(), text.size(), 0);
        std::string number(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
        number = number.substr(0, number.find('\n'));
        return number.empty() ? "another process" : "process " + number;
    }

    const std::string folder_;
    descriptor handle_{};
};

}  // namespace

std::shared_ptr<journal_files> posix_journal_files(const std::string& folder) {
    return std::make_shared<posix_files>(folder);
}

}  // namespace levee
