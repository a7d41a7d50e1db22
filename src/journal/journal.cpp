#include "levee/journal/journal.hpp"

#include <utility>

#include "journal/journal_core.hpp"

namespace levee {

journal::journal(journal_options options, const visitor& replay)
    : core_(std::make_unique<core>(std::move(options), replay)) {}

journal::~journal() = default;

const journal_recovery& journal::recovery() const noexcept {
    return core_->recovery_report();
}

std::uint64_t journal::append(bytes_view record) {
    return core_->append(std::span(&record, 1));
}

std::uint64_t journal::append(std::span<const bytes_view> records) {
    return core_->append(records);
}

void journal::wait_durable(std::uint64_t sequence, time_point deadline) {
    core_->wait(sequence, deadline, false);
}

void journal::when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done) {
    core_->when_durable(sequence, std::move(done));
}

void journal::run_sync() noexcept {
    core_->run_sync();
}

time_point journal::next_sync_at() const {
    return core_->next_sync_at();
}

void journal::release(std::uint64_t sequence) {
    core_->release(std::span(&sequence, 1));
}

void journal::release(std::span<const std::uint64_t> sequences) {
    core_->release(sequences);
}

void journal::sync(time_point deadline) {
    core_->sync(deadline);
}

void journal::close() {
    core_->close();
}

journal_stats journal::stats() const {
    return core_->stats();
}

}  // namespace levee
