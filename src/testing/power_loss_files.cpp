#include "levee/testing/power_loss_files.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::testing {
namespace {

constexpr std::size_t page = 512;

[[noreturn]] void fail(std::errc code, const std::string& what) {
    throw error(std::make_error_code(code), "power_loss_files: " + what);
}

/// Brings the bytes from `begin` to `end` of `from` to the same place in `to`.
void copy_range(const bytes& from, bytes& to, std::size_t begin, std::size_t end) {
    if (begin < end) {
        to.resize(std::max(to.size(), end));
        std::copy(from.begin() + static_cast<std::ptrdiff_t>(begin),
                  from.begin() + static_cast<std::ptrdiff_t>(end),
                  to.begin() + static_cast<std::ptrdiff_t>(begin));
    }
}

}  // namespace

class power_loss_files::file final : public journal_file {
public:
    file(power_loss_files& disk, std::shared_ptr<node> node, std::uint64_t life)
        : disk_(disk), node_(std::move(node)), life_(life) {}

    std::size_t write(bytes_view data) override { return disk_.write(*node_, life_, data); }
    void sync() override { disk_.sync(*node_, life_); }

private:
    power_loss_files& disk_;
    const std::shared_ptr<node> node_;
    const std::uint64_t life_;
};

class power_loss_files::folder_lock final : public journal_lock {
public:
    folder_lock(power_loss_files& disk, std::uint64_t life) : disk_(disk), life_(life) {}
    ~folder_lock() override {
        const std::lock_guard guard(disk_.mutex_);
        if (disk_.life_ == life_) {
            disk_.is_locked_ = false;
        }
    }
    folder_lock(const folder_lock&) = delete;
    folder_lock& operator=(const folder_lock&) = delete;

private:
    power_loss_files& disk_;
    const std::uint64_t life_;
};

power_loss_files::power_loss_files(std::uint64_t seed) : random_(seed) {}
power_loss_files::~power_loss_files() = default;

std::uint64_t power_loss_files::below_locked(std::uint64_t bound) {
    return uniform_below(random_, bound);
}

void power_loss_files::check_power_locked() const {
    if (!has_power_) {
        fail(std::errc::io_error, "the power is off");
    }
}

void power_loss_files::begin_operation_locked(bool is_change) {
    check_power_locked();
    if (++operations_ == cut_at_) {
        has_power_ = false;
    }
    if (is_change && is_read_only_) {
        fail(std::errc::read_only_file_system, "a change");
    }
}

std::unique_ptr<journal_lock> power_loss_files::lock() {
    const std::lock_guard guard(mutex_);
    check_power_locked();
    if (is_read_only_) {
        fail(std::errc::read_only_file_system, "locking");
    }
    if (is_locked_) {
        throw error(errc::unavailable, "power_loss_files: the folder has an owner");
    }
    is_locked_ = true;
    return std::make_unique<folder_lock>(*this, life_);
}

std::unique_ptr<journal_file> power_loss_files::create(const std::string& name, std::uint64_t) {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(true);
    check_power_locked();
    if (live_.contains(name)) {
        fail(std::errc::file_exists, "making " + name);
    }
    auto made = std::make_shared<node>();
    changes_.push_back({.to = name, .made = made});
    apply(live_, changes_.back());
    return std::make_unique<file>(*this, std::move(made), life_);
}

bytes power_loss_files::read(const std::string& name) {
    const std::lock_guard guard(mutex_);
    check_power_locked();
    const auto found = live_.find(name);
    if (found == live_.end()) {
        fail(std::errc::no_such_file_or_directory, "reading " + name);
    }
    return found->second->content;
}

std::vector<std::string> power_loss_files::list() {
    const std::lock_guard guard(mutex_);
    check_power_locked();
    std::vector<std::string> all;
    for (const auto& [name, each] : live_) {
        all.push_back(name);
    }
    return all;
}

void power_loss_files::rename(const std::string& from, const std::string& to) {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(true);
    if (!live_.contains(from)) {
        fail(std::errc::no_such_file_or_directory, "renaming " + from);
    }
    changes_.push_back({.from = from, .to = to});
    apply(live_, changes_.back());
    check_power_locked();
}

void power_loss_files::remove(const std::string& name) {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(true);
    if (!live_.contains(name)) {
        fail(std::errc::no_such_file_or_directory, "removing " + name);
    }
    changes_.push_back({.from = name});
    apply(live_, changes_.back());
    check_power_locked();
}

bool power_loss_files::is_sync_failing_locked() {
    if (failing_syncs_ == 0) {
        return false;
    }
    if (skipped_syncs_ > 0) {
        --skipped_syncs_;
        return false;
    }
    --failing_syncs_;
    return true;
}

void power_loss_files::sync_folder() {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(false);
    check_power_locked();
    if (is_sync_failing_locked()) {
        fail(std::errc::io_error, "syncing the folder");
    }
    durable_ = live_;
    changes_.clear();
}

void power_loss_files::apply(names& to, const change& one) {
    if (one.made != nullptr) {
        to[one.to] = one.made;
    } else if (const auto found = to.find(one.from); found != to.end()) {
        const std::shared_ptr<node> moved = found->second;
        to.erase(found);
        if (!one.to.empty()) {
            to[one.to] = moved;
        }
    }
}

std::size_t power_loss_files::write(node& to, std::uint64_t life, bytes_view data) {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(true);
    if (life != life_) {
        fail(std::errc::bad_file_descriptor, "writing");
    }
    if (failing_writes_ > 0) {
        --failing_writes_;
        fail(std::errc::io_error, "writing");
    }
    std::uint64_t used = 0;
    for (const auto& [name, each] : live_) {
        used += each->content.size();
    }
    std::uint64_t count = std::min<std::uint64_t>(data.size(), capacity_ - std::min(capacity_, used));
    if (are_writes_short_ && count > 1) {
        count = 1 + below_locked(count);
    }
    if (!has_power_) {
        count = below_locked(count + 1);
    }
    to.content.insert(to.content.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
    check_power_locked();
    if (count == 0) {
        fail(std::errc::no_space_on_device, "writing");
    }
    return count;
}

void power_loss_files::sync(node& of, std::uint64_t life) {
    const std::lock_guard guard(mutex_);
    begin_operation_locked(false);
    check_power_locked();
    if (life != life_) {
        fail(std::errc::bad_file_descriptor, "syncing");
    }
    const bool is_failing = is_sync_failing_locked();
    if (!is_failing) {
        copy_range(of.content, of.medium, of.clean, of.content.size());
    }
    of.clean = of.content.size();
    if (is_failing) {
        fail(std::errc::io_error, "syncing");
    }
}

void power_loss_files::lose_locked(node& of, power_loss kind) {
    const std::size_t dirty = of.content.size() - std::min(of.clean, of.content.size());
    if (kind == power_loss::torn) {
        copy_range(of.content, of.medium, of.clean, of.clean + below_locked(dirty + 1));
    } else if (kind == power_loss::reordered) {
        for (std::size_t begin = of.clean; begin < of.content.size(); begin = (begin / page + 1) * page) {
            if (below_locked(2) == 0) {
                copy_range(of.content, of.medium, begin,
                           std::min(of.content.size(), (begin / page + 1) * page));
            }
        }
    }
    of.content = of.medium;
    of.clean = of.content.size();
}

void power_loss_files::power_on(power_loss kind) {
    const std::lock_guard guard(mutex_);
    if (kind != power_loss::none) {
        std::uint64_t prefix = kind == power_loss::torn ? below_locked(changes_.size() + 1) : 0;
        for (const change& each : changes_) {
            if (kind == power_loss::reordered ? below_locked(2) == 0 : prefix > 0) {
                apply(durable_, each);
                prefix -= kind == power_loss::torn ? 1 : 0;
            }
        }
        changes_.clear();
        for (const auto& [name, each] : durable_) {
            lose_locked(*each, kind);
        }
        live_ = durable_;
    }
    has_power_ = true;
    cut_at_ = 0;
    ++life_;
    is_locked_ = false;
}

std::uint64_t power_loss_files::operations() const {
    const std::lock_guard guard(mutex_);
    return operations_;
}

void power_loss_files::cut_power_at(std::uint64_t operation) {
    const std::lock_guard guard(mutex_);
    cut_at_ = operation;
}

void power_loss_files::cut_power() {
    const std::lock_guard guard(mutex_);
    has_power_ = false;
}

bool power_loss_files::has_power() const {
    const std::lock_guard guard(mutex_);
    return has_power_;
}

void power_loss_files::fail_syncs(std::uint64_t count, std::uint64_t skipped) {
    const std::lock_guard guard(mutex_);
    failing_syncs_ = count;
    skipped_syncs_ = skipped;
}

void power_loss_files::fail_writes(std::uint64_t count) {
    const std::lock_guard guard(mutex_);
    failing_writes_ = count;
}

void power_loss_files::set_capacity(std::uint64_t capacity) {
    const std::lock_guard guard(mutex_);
    capacity_ = capacity;
}

void power_loss_files::set_read_only(bool is_read_only) {
    const std::lock_guard guard(mutex_);
    is_read_only_ = is_read_only;
}

void power_loss_files::set_short_writes(bool are_short) {
    const std::lock_guard guard(mutex_);
    are_writes_short_ = are_short;
}

void power_loss_files::plant(const std::string& name, bytes content) {
    const std::lock_guard guard(mutex_);
    auto made = std::make_shared<node>();
    made->clean = content.size();
    made->medium = content;
    made->content = std::move(content);
    live_[name] = made;
    durable_[name] = made;
}

}  // namespace levee::testing
