/// The seam between the journal and the disk: the few file operations that it needs, for one folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/bytes.hpp"

namespace levee {

/// A file that is written from its beginning to its end. Closed by its destructor, which syncs nothing.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class journal_file {
public:
    virtual ~journal_file() = default;

    /// Appends the first bytes of `data`, which is not empty, and answers how many: at least one, and fewer
    /// than all when the disk took no more for now. Throws levee::error with the system's code.
    virtual std::size_t write(bytes_view data) = 0;

    /// Brings all that was written, and the file's length, to the medium. Throws levee::error; the file must
    /// be given up then: what had not been synced is undefined, and a later sync that succeeds says nothing
    /// about it (PostgreSQL's lesson of 2018: the kernel marks pages clean that it failed to write).
    virtual void sync() = 0;
};

/// Held while it lives. Another process's death, however it dies, frees what it held.
class journal_lock {
public:
    virtual ~journal_lock() = default;
};

/// The operations on one folder, which implementations know. Names are plain file names.
///
/// Thread safety: a journal makes one call at a time, from changing threads.
class journal_files {
public:
    virtual ~journal_files() = default;

    /// Locks the folder; made if it is missing, its parents too. Throws levee::error: `errc::unavailable`
    /// when there is another owner, in this process or another, or the system's code.
    [[nodiscard]] virtual std::unique_ptr<journal_lock> lock() = 0;

    /// A new, empty file. It will be written to about `expected_size` bytes: a hint for who allocates ahead;
    /// what is allocated and not written reads as zeros, and only behind what was written. Throws
    /// levee::error; `std::errc::file_exists` when the name is taken.
    [[nodiscard]] virtual std::unique_ptr<journal_file> create(const std::string& name,
                                                               std::uint64_t expected_size) = 0;

    /// The whole content. Throws levee::error.
    [[nodiscard]] virtual bytes read(const std::string& name) = 0;

    /// All names in the folder, in any order. Throws levee::error.
    [[nodiscard]] virtual std::vector<std::string> list() = 0;

    /// Replaces what `to` names, if it exists. Throws levee::error.
    virtual void rename(const std::string& from, const std::string& to) = 0;

    /// Throws levee::error.
    virtual void remove(const std::string& name) = 0;

    /// Brings names that were made, changed or removed to the medium. Throws levee::error.
    virtual void sync_folder() = 0;

    /// What people call this folder, for the texts of errors.
    [[nodiscard]] virtual std::string name() const = 0;

protected:
    journal_files() = default;
    journal_files(const journal_files&) = default;
    journal_files& operator=(const journal_files&) = default;
};

/// The real thing: a folder of the system's file system. Files are made with mode 0600, the folder with 0700.
/// The lock is flock(2) on the file "lock", which holds the owner's process number for people who read it; a
/// child made by fork(2) that does not exec shares the lock, so the folder is free when both have ended.
///
/// Files grow in steps of up to 1 MiB, so that most syncs need not write the length: a third less time on
/// ext4.
///
/// fdatasync(2) on files and fsync(2) on the folder are trusted: on media that answer before they have the
/// data, and on network file systems without a working flock, the promises of the journal do not hold.
[[nodiscard]] std::shared_ptr<journal_files> posix_journal_files(const std::string& folder);

}  // namespace levee
