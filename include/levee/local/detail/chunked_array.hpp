/// An array that grows without moving what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace levee::local_detail {

/// Value-initialised elements 0 to size() - 1, in chunks. Growing costs a chunk, whatever the size.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class T>
class chunked_array {
public:
    /// At least `size` elements. Errors: std::bad_alloc; what was there stays.
    void reserve(std::size_t size) {
        while (this->size() < size) {
            chunks_.push_back(std::make_unique<T[]>(chunk));
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return chunks_.size() * chunk; }
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return chunks_[i / chunk][i % chunk]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return chunks_[i / chunk][i % chunk]; }
    [[nodiscard]] std::size_t memory() const noexcept {
        return size() * sizeof(T) + chunks_.capacity() * sizeof(chunks_[0]);
    }

private:
    static constexpr std::size_t chunk = 256;

    std::vector<std::unique_ptr<T[]>> chunks_;
};

}  // namespace levee::local_detail
