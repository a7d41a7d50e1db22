// The journal on real files: deaths by kill -9, two owners, folders that cannot be used, short writes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <system_error>

#include "journal_support.hpp"
#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "support/temp_dir.hpp"

namespace {

std::multiset<std::string>* synced_folders = nullptr;
std::string* not_syncable = nullptr;

std::string path_of(int file) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file)).string();
}

}  // namespace

/// In place of the system's: notes what is synced, or refuses that, while a test asks for it.
extern "C" int fsync(int file) {
    if (synced_folders != nullptr) {
        synced_folders->insert(path_of(file));
    }
    if (not_syncable != nullptr && *not_syncable == path_of(file)) {
        errno = EINVAL;  // as on a file system without such a call
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fsync, file));
}

namespace {

using namespace levee::tests;
using levee::journal_options;
using levee::journal_sync;

/// A child process that runs `body` and ends; killed, at the latest, by the destructor.
class child {
public:
    explicit child(const std::function<void(int out)>& body) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        id_ = ::fork();
        if (id_ == 0) {
            ::close(ends[0]);
            try {
                body(ends[1]);
            } catch (...) {
                ::_exit(1);
            }
            ::_exit(0);
        }
        ::close(ends[1]);
        in_ = ends[0];
    }
    ~child() {
        end(SIGKILL);
        ::close(in_);
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;

    /// The next number that it wrote; false at the end.
    bool read(std::uint64_t& number) const {
        return ::read(in_, &number, sizeof number) == static_cast<ssize_t>(sizeof number);
    }

    /// Sends the signal, 0: none, and waits for the end. The exit code, or minus the signal's number.
    int end(int signal) {
        if (id_ <= 0) {
            return 0;
        }
        if (signal != 0) {
            ::kill(id_, signal);
        }
        int status = 0;
        ::waitpid(id_, &status, 0);
        id_ = 0;
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }

private:
    pid_t id_ = 0;
    int in_ = -1;
};

void tell(int out, std::uint64_t number) {
    if (::write(out, &number, sizeof number) != static_cast<ssize_t>(sizeof number)) {
        ::_exit(2);
    }
}

void kill_at_random_points(journal_sync sync, int rounds) {
    const temp_dir folder;
    const journal_options options{.folder = folder / "journal", .sync = sync, .segment_bytes = 4096};
    levee::xoshiro256 random(static_cast<std::uint64_t>(sync) + 1);
    std::set<std::uint64_t> pending;  // acknowledged and not released
    for (int round = 0; round < rounds; ++round) {
        SCOPED_TRACE(round);
        child writer([&](int out) {
            opened one(options);
            for (std::uint64_t i = 0;; ++i) {
                tell(out, one.put_safely(std::string(i % 200, 'x')));
            }
        });
        const auto count = levee::uniform_below(random, 200);
        std::uint64_t sequence = 0;
        for (std::uint64_t i = 0; i < count && writer.read(sequence); ++i) {
            pending.insert(sequence);
        }
        EXPECT_EQ(writer.end(SIGKILL), -SIGKILL);
        while (writer.read(sequence)) {
            pending.insert(sequence);
        }
        opened again(options);
        std::set<std::uint64_t> replayed;
        for (const auto& [number, text] : again.replayed) {
            replayed.insert(number);
        }
        for (const auto number : pending) {
            EXPECT_TRUE(replayed.contains(number)) << number << " is lost";
        }
        for (const auto& damage : again.log->recovery().damage) {
            EXPECT_EQ(damage.kind, levee::journal_damage_kind::torn_tail);
        }
        pending = replayed;
        for (const auto number : replayed) {
            if (levee::uniform_below(random, 8) != 0 && pending.size() > 10) {
                again.log->release(number);
                pending.erase(number);
            }
        }
    }
}

TEST(journal_files, nothing_acknowledged_is_lost_to_kill_9) {
    for (const auto sync : {journal_sync::always, journal_sync::every, journal_sync::off}) {
        SCOPED_TRACE(static_cast<int>(sync));
        kill_at_random_points(sync, 8);
    }
}

TEST(journal_files, long_nothing_acknowledged_is_lost_to_kill_9) {
    for (const auto sync : {journal_sync::always, journal_sync::every, journal_sync::off}) {
        kill_at_random_points(sync, 400);
    }
}

TEST(journal_files, another_process_is_refused_until_the_owner_is_dead) {
    const temp_dir folder;
    const journal_options options{.folder = folder / "a/b/journal"};  // and it makes the folders
    child owner([&](int out) {
        opened one(options);
        tell(out, static_cast<std::uint64_t>(::getpid()));
        ::pause();
    });
    std::uint64_t id = 0;
    ASSERT_TRUE(owner.read(id));
    try {
        opened second(options);
        FAIL() << "there are two owners";
    } catch (const levee::error& refused) {
        EXPECT_EQ(refused.code(), levee::errc::unavailable);
        EXPECT_NE(std::string(refused.what()).find("process " + std::to_string(id)), std::string::npos)
            << refused.what();
    }
    owner.end(SIGKILL);
    opened second(options);
    EXPECT_THROW(opened{options}, levee::error);  // nor a second one in this process
}

TEST(journal_files, says_which_file_cannot_be_made) {
    for (const char* folder : {"/proc/levee", "/sys", "/dev/null"}) {  // where root may not either
        try {
            opened one({.folder = folder});
            FAIL() << folder;
        } catch (const levee::error& failed) {
            EXPECT_EQ(failed.code().category(), std::system_category());
            EXPECT_NE(std::string(failed.what()).find(folder), std::string::npos) << failed.what();
        }
    }
}

TEST(journal_files, a_file_size_limit_cuts_a_write_and_the_next_segment_takes_it) {
    const temp_dir folder;
    child limited([&](int out) {
        ::signal(SIGXFSZ, SIG_IGN);
        opened one({.folder = folder / "journal", .segment_bytes = 16384});
        const rlimit limit{.rlim_cur = 6000, .rlim_max = RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        for (int i = 0; i < 10; ++i) {  // the sixth is cut in two, and fails in its second half
            tell(out, one.put_safely(std::string(1000, static_cast<char>('a' + i))));
        }
        tell(out, one.log->stats().given_up);
    });
    std::uint64_t number = 0;
    for (std::uint64_t i = 1; i <= 10; ++i) {
        ASSERT_TRUE(limited.read(number));
        EXPECT_EQ(number, i);
    }
    ASSERT_TRUE(limited.read(number));
    EXPECT_EQ(number, 1U);
    EXPECT_EQ(limited.end(0), 0);
    opened again({.folder = folder / "journal"});
    ASSERT_EQ(again.replayed.size(), 10U);
    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(again.replayed[i].second, std::string(1000, static_cast<char>('a' + i)));
    }
    EXPECT_TRUE(again.log->recovery().damage.empty());
}

TEST(journal_files, syncs_the_folder_above_even_if_somebody_else_made_the_journals) {
    const temp_dir folder;
    const std::string above = std::filesystem::canonical(folder.path()).string();
    for (const std::string& path : {folder / "made", folder / "made", folder / "made/"}) {
        std::multiset<std::string> synced;
        synced_folders = &synced;
        {
            opened one({.folder = path});
        }
        synced_folders = nullptr;
        EXPECT_GE(synced.count(above), 1U) << path;
        EXPECT_GE(synced.count(above + "/made"), 1U) << path;
    }
}

// The one above need not be ours, nor on the same file system; without the others a power loss takes the
// journal.
TEST(journal_files, of_folders_that_cannot_be_synced_only_one_that_was_there_before_is_put_up_with) {
    const temp_dir folder;
    const std::string above = std::filesystem::canonical(folder.path()).string();
    std::string refused = above;
    const auto opens = [&] {
        not_syncable = &refused;
        bool is_open = true;
        try {
            opened one({.folder = folder / "journal"});
        } catch (const levee::error& failed) {
            is_open = false;
            EXPECT_EQ(failed.code(), std::errc::invalid_argument);
            EXPECT_NE(std::string(failed.what()).find(std::filesystem::path(refused).filename()),
                      std::string::npos)
                << failed.what();
        }
        not_syncable = nullptr;
        return is_open;
    };
    EXPECT_FALSE(opens()) << "its name, just made, is not on the medium";
    ASSERT_TRUE(std::filesystem::exists(folder / "journal"));
    EXPECT_TRUE(opens());
    refused = above + "/journal";
    EXPECT_FALSE(opens()) << "the segments' names are not on the medium";
}

TEST(journal_files, keeps_its_files_to_the_owner) {
    const temp_dir folder;
    const std::string path = folder / "journal";
    {
        opened one({.folder = path});
    }
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(path).permissions(), perms::owner_all);
    for (const auto& each : std::filesystem::directory_iterator(path)) {
        EXPECT_EQ(each.status().permissions(), perms::owner_read | perms::owner_write) << each.path();
    }
}

}  // namespace
