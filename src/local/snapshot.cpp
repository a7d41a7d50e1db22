#include "levee/local/detail/snapshot.hpp"

#include <algorithm>
#include <istream>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <type_traits>

#include "levee/core/error.hpp"

namespace levee::local_detail {
namespace {

constexpr std::string_view magic = "levee-L1";
constexpr std::uint32_t version = 1;
constexpr std::uint32_t end_mark = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t first_sum = 0xcbf29ce484222325;

std::uint64_t summed(std::uint64_t sum, std::string_view bytes) noexcept {
    for (const char byte : bytes) {
        sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    return sum;
}

[[noreturn]] void refuse(const char* why) {
    throw error(errc::invalid_data, std::string("local_cache: restoring a snapshot: ") + why);
}

class reader {
public:
    explicit reader(std::istream& in) : in_(in) {}

    /// In pieces, so that a false length costs no memory.
    std::string read(std::size_t size) {
        constexpr std::size_t piece = 1U << 16;
        std::string bytes;
        while (bytes.size() < size) {
            const std::size_t before = bytes.size();
            bytes.resize(before + std::min(piece, size - before));
            if (!in_.read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before))) {
                refuse("it is cut off");
            }
        }
        sum_ = summed(sum_, bytes);
        return bytes;
    }
    template <class Number>
    Number read_number() {
        const std::string bytes = read(sizeof(Number));
        std::uint64_t value = 0;
        for (std::size_t i = sizeof(Number); i-- > 0;) {
            value = value << 8 | static_cast<unsigned char>(bytes[i]);
        }
        return static_cast<Number>(value);
    }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

private:
    std::istream& in_;
    std::uint64_t sum_ = first_sum;
};

}  // namespace

snapshot_writer::snapshot_writer(std::ostream& out) : out_(out), sum_(first_sum) {
    write(magic);
    write_number(version);
}

void snapshot_writer::write(std::string_view bytes) {
    out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    sum_ = summed(sum_, bytes);
}

template <class Number>
void snapshot_writer::write_number(Number value) {
    std::string bytes(sizeof(Number), '\0');
    auto left = static_cast<std::make_unsigned_t<Number>>(value);
    for (char& byte : bytes) {
        byte = static_cast<char>(left & 0xffU);
        left = static_cast<std::make_unsigned_t<Number>>(left >> 8);
    }
    write(bytes);
}

void snapshot_writer::add(std::int64_t life_left, std::string_view bytes) {
    if (bytes.size() >= end_mark) {
        throw std::length_error("local_cache: an entry of a snapshot has 2^32 - 1 bytes or more");
    }
    write_number(static_cast<std::uint32_t>(bytes.size()));
    write_number(life_left);
    write(bytes);
    ++count_;
}

void snapshot_writer::finish() {
    write_number(end_mark);
    write_number(count_);
    write_number(sum_);
    if (!out_.flush()) {
        throw error(std::make_error_code(std::errc::io_error), "local_cache: writing a snapshot");
    }
}

std::vector<snapshot_record> read_snapshot(std::istream& in) {
    reader from(in);
    if (from.read(magic.size()) != magic) {
        refuse("it is none");
    }
    if (from.read_number<std::uint32_t>() != version) {
        refuse("it is of another version");
    }
    std::vector<snapshot_record> records;
    for (;;) {
        const auto size = from.read_number<std::uint32_t>();
        if (size == end_mark) {
            break;
        }
        const auto life_left = from.read_number<std::int64_t>();
        records.push_back({life_left, from.read(size)});
    }
    const auto count = from.read_number<std::uint64_t>();
    const std::uint64_t sum = from.sum();
    if (count != records.size() || from.read_number<std::uint64_t>() != sum) {
        refuse("it is damaged");
    }
    return records;
}

}  // namespace levee::local_detail
