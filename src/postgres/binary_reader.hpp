/// Reads the server's binary format: big-endian integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace levee::postgres::detail {

/// Reads from the front of a view. What is too short is read as zeros, and `is_at_end` is false from then on.
class binary_reader {
public:
    explicit binary_reader(std::string_view from) noexcept : left_(from) {}

    [[nodiscard]] std::int16_t int16() noexcept { return static_cast<std::int16_t>(take(2)); }
    [[nodiscard]] std::int32_t int32() noexcept { return static_cast<std::int32_t>(take(4)); }
    [[nodiscard]] std::int64_t int64() noexcept { return static_cast<std::int64_t>(take(8)); }

    /// The next `size` bytes.
    [[nodiscard]] std::string_view raw(std::size_t size) noexcept {
        if (size > left_.size()) {
            is_short_ = true;
            return {};
        }
        const std::string_view taken = left_.substr(0, size);
        left_.remove_prefix(size);
        return taken;
    }

    /// Whether there was less than was asked for.
    [[nodiscard]] bool is_short() const noexcept { return is_short_; }
    /// Whether all was read, and there was enough.
    [[nodiscard]] bool is_at_end() const noexcept { return !is_short_ && left_.empty(); }

private:
    [[nodiscard]] std::uint64_t take(std::size_t size) noexcept {
        std::uint64_t value = 0;
        for (const char each : raw(size)) {
            value = value << 8U | static_cast<unsigned char>(each);
        }
        return value;
    }

    std::string_view left_;
    bool is_short_ = false;
};

}  // namespace levee::postgres::detail
