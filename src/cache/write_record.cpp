#include "levee/cache/detail/write_record.hpp"

#include <bit>
#include <concepts>
#include <cstring>
#include <type_traits>

namespace levee::cache_detail {
namespace {

constexpr std::uint8_t format = 1;
static_assert(std::endian::native == std::endian::little,
              "levee stores numbers as little-endian machines do");

template <std::integral T>
void append(bytes& out, T number) {
    const auto* raw = reinterpret_cast<const std::byte*>(&number);
    out.insert(out.end(), raw, raw + sizeof(T));
}

void append(bytes& out, bytes_view raw) {
    out.insert(out.end(), raw.begin(), raw.end());
}

/// Takes from the front of bytes that may be anything.
class reader {
public:
    explicit reader(bytes_view from) : left_(from) {}

    template <std::integral T>
    bool take(T& number) {
        if (left_.size() < sizeof(T)) {
            return false;
        }
        std::memcpy(&number, left_.data(), sizeof(T));
        left_ = left_.subspan(sizeof(T));
        return true;
    }
    bool take(std::size_t size, bytes_view& raw) {
        if (left_.size() < size) {
            return false;
        }
        raw = left_.first(size);
        left_ = left_.subspan(size);
        return true;
    }
    bool take(std::size_t size, std::string& text) {
        bytes_view raw;
        if (!take(size, raw)) {
            return false;
        }
        text = as_text(raw);
        return true;
    }
    [[nodiscard]] bool is_empty() const noexcept { return left_.empty(); }

private:
    bytes_view left_;
};

}  // namespace

bytes encode(const write_record& record) {
    bytes out;
    out.reserve(28 + record.key.size() + record.value.size() +
                (record.is_letter() ? 32 + record.reason.size() : 0));
    append(out, format);
    append(out, static_cast<std::uint8_t>(record.what));
    append(out, std::uint16_t{0});
    if (record.is_about_letter()) {
        append(out, record.id);
        return out;
    }
    append(out, record.writer);
    append(out, record.version);
    append(out, static_cast<std::uint32_t>(record.key.size()));
    append(out, static_cast<std::uint32_t>(record.value.size()));
    append(out, as_bytes(record.key));
    append(out, bytes_view(record.value));
    if (record.is_letter()) {
        append(out, record.sequence);
        append(out, record.code);
        append(out, static_cast<std::uint32_t>(record.category.size()));
        append(out, as_bytes(record.category));
        append(out, static_cast<std::uint32_t>(record.reason.size()));
        append(out, as_bytes(record.reason));
    }
    return out;
}

std::optional<write_record> decode_write_record(bytes_view from) {
    reader in(from);
    std::uint8_t version = 0;
    std::uint8_t kind = 0;
    std::uint16_t none = 0;
    if (!in.take(version) || version != format || !in.take(kind) || kind > 6 || !in.take(none) || none != 0) {
        return std::nullopt;
    }
    write_record record{.what = static_cast<write_record::kind>(kind)};
    if (record.is_about_letter()) {
        return in.take(record.id) && in.is_empty() ? std::optional(std::move(record)) : std::nullopt;
    }
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    bytes_view value;
    if (!in.take(record.writer) || !in.take(record.version) || !in.take(key_size) || !in.take(value_size) ||
        !in.take(key_size, record.key) || !in.take(value_size, value)) {
        return std::nullopt;
    }
    record.value.assign(value.begin(), value.end());
    if (record.is_letter()) {
        std::uint32_t size = 0;
        if (!in.take(record.sequence) || !in.take(record.code) || !in.take(size) ||
            !in.take(size, record.category) || !in.take(size) || !in.take(size, record.reason)) {
            return std::nullopt;
        }
    }
    return in.is_empty() ? std::optional(std::move(record)) : std::nullopt;
}

}  // namespace levee::cache_detail
